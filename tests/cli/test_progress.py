"""Progress in percent."""

from __future__ import annotations

from streamdepth.cli.progress import percent_done


def test_a_hundred_percent_is_the_end_only() -> None:
    assert [percent_done(share) for share in (0.0, 0.004, 0.5, 0.998, 1.0)] == [0, 0, 50, 99, 99]
    assert percent_done(1.0, is_complete=True) == 100
