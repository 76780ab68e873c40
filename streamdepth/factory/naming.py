"""Names of streams and of their outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.utils.numbering import unused_name
from streamdepth.utils.redact import redact

_MAX_LENGTH = 80


def named_sources(settings: Settings) -> list[tuple[str, str | None]]:
    """Returns (address, name of its outputs) of each source. Raises ConfigError as `output_names` does."""
    return list(zip(settings.source, output_names(settings, stream_names(settings.source)), strict=True))


def output_names(settings: Settings, names: Sequence[str]) -> Sequence[str | None]:
    """Returns the names of all streams as names of their outputs; None for a single stream, whose outputs are files.

    Raises:
        ConfigError: if several streams would go into one file ("not-a-folder").
    """
    if len(names) == 1:
        return [None]
    outputs = settings.outputs
    for path in (outputs.video, outputs.depth, outputs.points, outputs.mesh):
        if path and path.suffix:
            raise ConfigError(
                f"{len(names)} sources need a folder to write to, not the file '{path}'", code="not-a-folder"
            )
    return names


def stream_names(addresses: Sequence[str]) -> list[str]:
    """Returns a unique name for each address that a file may have: a file's stem, or a server's host and path."""
    names: list[str] = []
    for address in addresses:
        name = re.sub(r"\W+", "_", _public_part(address)).strip("_")[:_MAX_LENGTH] or "stream"
        names.append(unused_name(name, names))
    return names


def _public_part(address: str) -> str:
    """Returns the address without what may be secret: a user's name, a password, a query."""
    if "://" not in address:
        return Path(address).stem
    try:
        parts = urlsplit(redact(address))
        path = PurePosixPath(parts.path)
        return f"{parts.hostname or ''}{path.with_suffix('') if path.name else ''}"
    except ValueError:  # the source says what is wrong with it
        return ""


def ros_name(name: str) -> str:
    """Returns a stream's name as ROS allows it; names that differ still do.

    A letter beyond ASCII becomes its code point, and so does an underscore after another one.
    """
    return re.sub(r"[^A-Za-z0-9_]|(?<=_)_", lambda found: f"u{ord(found[0]):04x}", name)
