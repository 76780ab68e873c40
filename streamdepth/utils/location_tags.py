"""Tells which tags of a media file say where it was recorded, as phones and action cameras write them."""

from __future__ import annotations

import re

_KEY = re.compile(r"location|gps|iso6709|latitude|longitude|geotag|(^|[^a-z])xyz$", re.IGNORECASE)
_POSITION = re.compile(r"\s*[+-]\d{1,6}(\.\d+)?[+-]\d{1,7}(\.\d+)?([+-]\d+(\.\d+)?)?(CRS\w+)?/?\s*")
"""A position as ISO 6709 writes it, such as +48.8577+002.295/."""


def is_location_tag(key: str, value: str) -> bool:
    """True if a tag names or holds the place where something was recorded."""
    return _KEY.search(key) is not None or _POSITION.fullmatch(value) is not None
