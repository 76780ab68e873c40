"""Parsing of lengths with units."""

from __future__ import annotations

import math
import re

from streamdepth.core.errors import ConfigError

_METERS_PER_UNIT = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "in": 0.0254}


def parse_length_m(text: str) -> float:
    """Returns the meters of `1.35m`, `135 cm`, `1350mm`, `4ft`, `20in` or a bare number of meters.

    Raises ConfigError, code "bad-length", for anything else and for lengths that are not above 0.

    >>> parse_length_m("135 cm")
    1.35
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", text)
    parse_length_m = float(match[1]) * _METERS_PER_UNIT.get(match[2] or "m", 0.0) if match else 0.0
    if not 0 < parse_length_m < math.inf:
        raise ConfigError(f"'{text}' is no length; write 1.35m (also cm, mm, km, ft, in), above 0", code="bad-length")
    return parse_length_m
