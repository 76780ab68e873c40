"""The timecode of a recording, by which editing programs find its frames: HH:MM:SS:FF."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.stream import Stream

_TIMECODE = re.compile(r"(\d+):(\d\d):(\d\d)([:;.])(\d+)")
"""Hours, minutes, seconds and frames; a semicolon or point before the frames marks drop-frame timecode."""


def find_timecode(streams: Iterable[Stream]) -> str | None:
    """Returns the timecode of the first frame that the first of these tracks states; None if none does."""
    values = (value for stream in streams for key, value in stream.metadata.items() if key.lower() == "timecode")
    return next((text for text in values if _TIMECODE.fullmatch(text)), None)


def advance_timecode(timecode: str, frame_count: int, fps: Fraction) -> str:
    """Returns the timecode of the frame that comes `frame_count` frames later; after 24 hours it begins at 0 again.

    Drop-frame timecode skips 2 of 30 numbers in the first second of each minute, but not in minutes 0, 10, 20...

    >>> advance_timecode("10:00:59;29", 1, Fraction(30000, 1001))
    '10:01:00;02'
    """
    match = _TIMECODE.fullmatch(timecode)
    if match is None or not frame_count:
        return timecode
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    rate = max(1, round(fps))
    dropped = 2 * (rate // 30) if match[4] != ":" and rate % 30 == 0 else 0
    minutes += 60 * hours
    number = (60 * minutes + seconds) * rate + frames - dropped * (minutes - minutes // 10) + frame_count
    tens, rest = divmod(number, 600 * rate - 9 * dropped)
    number += dropped * (9 * tens + max(0, rest - dropped) // (60 * rate - dropped))
    seconds, frames = divmod(number, rate)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{match[4]}{frames:02d}"
