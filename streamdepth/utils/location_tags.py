"""Recognizes tags and subtitles of media files that hold the place of recording, written by phones and drones."""

from __future__ import annotations

import re

_KEY = re.compile(r"location|gps|iso6709|latitude|longitude|geotag|(^|[^a-z])xyz$", re.IGNORECASE)
_POSITION = re.compile(r"\s*[+-]\d{1,6}(\.\d+)?[+-]\d{1,7}(\.\d+)?([+-]\d+(\.\d+)?)?(CRS\w+)?/?\s*")
"""A position as ISO 6709 writes it, such as +48.8577+002.295/."""


_NUMBER = rb"[-+]?\d{1,3}\.\d{2,}"
_TEXT_POSITION = re.compile(
    rb"\b(?:gps|home|rth|lat(?:itude)?|lon(?:g(?:itude)?)?)\b[^\w\n]{0,4}"
    + _NUMBER  # DJI's and others' flight data
    + rb"|"
    + _NUMBER
    + rb"\s*\xc2?\xb0?\s*[NS]\b\s*[,;/ ]\s*"
    + _NUMBER
    + rb"\s*\xc2?\xb0?\s*[EW]\b"
    + rb"|\$G[PN](?:GGA|RMC|GLL),",  # NMEA 0183
    re.IGNORECASE,
)
"""A position in a subtitle, as drones and dash cameras write it continually."""


def is_location_text(text: bytes) -> bool:
    """True if a subtitle holds a position in degrees."""
    return _TEXT_POSITION.search(text) is not None


def is_location_tag(key: str, value: str) -> bool:
    """True if a tag names or holds the place where something was recorded."""
    return _KEY.search(key) is not None or _POSITION.fullmatch(value) is not None
