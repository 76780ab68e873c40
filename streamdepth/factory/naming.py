"""What the outputs of several sources are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.utils.numbering import unused_name

_LONGEST = 80


def named(settings: Settings) -> list[tuple[str, str | None]]:
    """Each source with the stem of its outputs, as `output_names` says. Raises ConfigError as that does."""
    return list(zip(settings.source, output_names(settings, stems(settings.source)), strict=True))


def output_names(settings: Settings, names: Sequence[str]) -> Sequence[str | None]:
    """The stems of the outputs of all streams: their names, or None for a single one, whose outputs are named in full.

    Raises ConfigError where several streams would go into one file.
    """
    if len(names) == 1:
        return [None]
    for path in (settings.outputs.video, settings.outputs.depth, settings.outputs.points, settings.outputs.mesh):
        if path and path.suffix:
            raise ConfigError(f"{len(names)} sources need a folder to write to, not the file '{path}'")
    return names


def stems(addresses: Sequence[str]) -> list[str]:
    """A file name's stem for each address, no two the same: of a file its own, of a server its host and path."""
    found: list[str] = []
    for address in addresses:
        stem = re.sub(r"\W+", "_", _called(address)).strip("_")[:_LONGEST] or "stream"
        found.append(unused_name(stem, found))
    return found


def _called(address: str) -> str:
    """Without what may be secret: a user's name, a password, a query."""
    if "://" not in address:
        return Path(address).stem
    try:
        parts = urlsplit(address)
        path = PurePosixPath(parts.path)
        return f"{parts.hostname or ''}{path.with_suffix('') if path.name else ''}"
    except ValueError:  # the source says what is wrong with it
        return ""


def ros_name(stem: str) -> str:
    """One of `stems` as ROS allows names: letters beyond ASCII, and `_` after another, become their numbers.

    So names that differ still do.
    """
    return re.sub(r"[^A-Za-z0-9_]|(?<=_)_", lambda found: f"u{ord(found[0]):04x}", stem)
