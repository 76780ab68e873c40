from __future__ import annotations

import pytest

from streamdepth.utils.location_tags import is_location_tag


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("location", "+48.8577+002.2950/"),
        ("location-eng", "+48.8577+002.2950/"),
        ("com.apple.quicktime.location.ISO6709", "+37.3318-122.0312+031.500/"),
        ("com.apple.quicktime.location.accuracy.horizontal", "4.7"),
        ("com.apple.quicktime.location.name", "home"),
        ("RECORDING_LOCATION", "Paris"),
        ("GPSLatitude", "48 deg"),
        ("\N{COPYRIGHT SIGN}xyz", "48.8577"),
        ("xyz", "anything"),
        ("comment", "+48.8577+002.2950+035.0CRSWGS_84/"),
    ],
)
def test_tags_of_a_position_are_known(key: str, value: str) -> None:
    assert is_location_tag(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", "a walk"),
        ("creation_time", "2026-11-28T10:00:00+01:00"),
        ("com.android.version", "15"),
        ("rate", "+12"),
    ],
)
def test_other_tags_are_not(key: str, value: str) -> None:
    assert not is_location_tag(key, value)
