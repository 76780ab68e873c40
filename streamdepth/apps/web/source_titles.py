"""Titles of sources for the page, and messages for it, without credentials and without folders of this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from streamdepth.factory.sources import DEVICE_PREFIXES
from streamdepth.utils.redact import redact


def source_title(address: str | None) -> str:
    """Returns a title for the source at `address`; None stands for a browser's camera."""
    if address is None:
        return "browser camera"
    if address.isdecimal():
        return f"camera {address}"
    folder = folder_of_source(address)
    return redact(address[len(folder) :].lstrip("/") if folder else address)


def folder_of_source(address: str | None) -> str:
    """Returns the folder of a local file; empty for every other source."""
    if address is None or "://" in address or address.startswith(DEVICE_PREFIXES):
        return ""
    return os.path.dirname(address.partition("#/")[0].rstrip("/"))


def folder_hider(folders: Sequence[str]) -> Callable[[str], str]:
    """Returns a function that replaces these folders by an ellipsis wherever a message names them."""
    longest_first = sorted({folder for folder in folders if folder.strip("/.")}, key=len, reverse=True)
    if not longest_first:
        return str
    pattern = re.compile(rf"(?<![\w/])(?:{'|'.join(map(re.escape, longest_first))})(?=[/\\)'\"]|$)")
    return lambda message: pattern.sub("…", message)
