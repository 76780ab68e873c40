"""Parsing of times in texts and file names of robots' data sets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

_STAMP = re.compile(r"\d{9,10}\.\d+|\d{16}|\d{19}")


def parse_stamp_ns(word: str) -> int:
    """Returns the nanoseconds of a time in seconds; long integers are micro- or nanoseconds.

    Raises decimal.InvalidOperation for text that is not a number.

    >>> parse_stamp_ns("1305031102.175304"), parse_stamp_ns("1403636579763555584")
    (1305031102175304000, 1403636579763555584)
    """
    value = Decimal(word)
    unit = next(unit for limit, unit in ((10**12, 10**9), (10**17, 10**3), (10**40, 1)) if abs(value) < limit)
    return round(value * unit)


def stamps_of_names(paths: Sequence[str]) -> list[int] | None:
    """Returns the times, in nanoseconds since 1970, in the names of files; None if a name is not a time.

    Names are seconds with a fraction, as in TUM's data sets, or 16 or 19 digits of micro- or nanoseconds.

    >>> stamps_of_names(["rgb/1305031102.175304.png", "rgb/1305031102.211214.png"])
    [1305031102175304000, 1305031102211214000]
    """
    names = [Path(path).stem for path in paths]
    return [parse_stamp_ns(name) for name in names] if names and all(map(_STAMP.fullmatch, names)) else None
