"""Parsers of values that people write as text: durations, rates, sizes, lists."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

_SECONDS_BY_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(value: object) -> object:
    """Returns seconds for 30s, 10m or 1h30m; other values as they are. Raises ValueError for other units."""
    if not isinstance(value, str) or re.fullmatch(r"\d+(\.\d+)?", value):
        return value
    if not re.fullmatch(r"(\d+(\.\d+)?[smh])+", value):
        raise ValueError("write 30s, 10m, 1h or a number of seconds")
    return sum(float(number) * _SECONDS_BY_UNIT[unit] for number, unit in re.findall(r"([\d.]+)([smh])", value))


def parse_rate(value: object) -> object:
    """Returns `value` when it is None, "auto" or a rate in Hz, above 0 and up to 1000; raises ValueError otherwise."""
    try:
        if value in (None, "auto") or 0 < float(str(value)) <= 1000:
            return value
    except ValueError:
        pass
    raise ValueError("write auto, or how many times per second, above 0 and up to 1000")


def parse_field_of_view(value: object) -> object:
    """Returns `value` when it is None, "auto" or degrees between 0 and 180; raises ValueError otherwise."""
    try:
        if value in (None, "auto") or 0 < float(str(value)) < 180:
            return value
    except ValueError:
        pass
    raise ValueError("write auto, or the horizontal field of view in degrees, above 0 and below 180")


def parse_frame_rate(value: object) -> object:
    """Returns frames per second for "30000/1001"; other values as they are. Raises ValueError for other texts."""
    if not isinstance(value, str):
        return value
    try:
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("write frames per second, such as 25, 29.97 or 30000/1001") from None


def exact_frame_rate(fps: float) -> Fraction:
    """Returns the rate that is meant: 30000/1001 for 29.97, and other rates as fractions of small numbers."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    is_ntsc = ntsc and fps != round(fps) and abs(float(ntsc) - fps) < 0.005
    return ntsc if is_ntsc else Fraction(fps).limit_denominator(1001)


def parse_share(value: object) -> object:
    """Returns 0.25 for "25%"; other values as they are. Raises ValueError."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    return value


def parse_rectangle(value: object) -> object:
    """Returns whole numbers for "x,y,width,height"; other values as they are. Raises ValueError for other texts."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"\d+,\d+,[1-9]\d*,[1-9]\d*", value):
        raise ValueError("write left,top,width,height in px, such as 0,60,1280,600")
    return tuple(int(number) for number in value.split(","))


def parse_number(value: object) -> object:
    """Returns a whole number for its digits; other values as they are."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def parse_size(value: object) -> object:
    """Returns ["640", "480"] for "640x480"; other values as they are."""
    return value.lower().split("x") if isinstance(value, str) else value


def check_zones(zones: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the texts of zones as they are. Raises ValueError for one that cannot be read, and for equal names."""
    from streamdepth.core.zones import Zone  # with NumPy, which the command line loads late

    names = [Zone.parse(text).name for text in zones]
    if len(set(names)) < len(names):
        raise ValueError("two zones have the same name; give each a name of its own")
    return zones


def parse_strings(value: object) -> object:
    """Returns a tuple of texts for one text, number or path, or for a list of them; other values as they are."""
    if isinstance(value, (str, int, Path)):
        return (str(value),)
    return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else value


def parse_pairs(value: object) -> object:
    """Returns texts `key=value` for a mapping, in which lists become numbers with commas; other values as texts do."""
    if not isinstance(value, dict):
        return parse_strings(value)
    return tuple(f"{key}={_pair_value(item)}" for key, item in value.items())


def _pair_value(item: object) -> str:
    if isinstance(item, dict):
        return ",".join(f"{key}:{value}" for key, value in item.items())
    return ",".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)
