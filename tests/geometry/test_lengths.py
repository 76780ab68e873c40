"""Lengths with units, as users write them."""

from __future__ import annotations

import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.geometry.lengths import parse_length_m


@pytest.mark.parametrize(
    ("text", "meters"), [("1.35m", 1.35), ("135 cm", 1.35), ("1350mm", 1.35), ("2", 2), ("1ft", 0.3048)]
)
def test_lengths(text: str, meters: float) -> None:
    assert parse_length_m(text) == pytest.approx(meters)


@pytest.mark.parametrize("text", ["", "m", "-1m", "0m", "1.2.3m", "1 furlong", "1e999m", 400 * "9"])
def test_what_is_no_length(text: str) -> None:
    with raises_code(ConfigError, "bad-length"):
        parse_length_m(text)
