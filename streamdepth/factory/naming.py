"""Names of streams and of their outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.utils.numbering import unused_names
from streamdepth.utils.redact import redact

NAME_FIELD = "{name}"
"""The text in the path of an output that stands for the name of the stream, file or picture."""
_MAX_LENGTH = 80


def output_names(settings: Settings, names: Sequence[str]) -> Sequence[str | None]:
    """Returns the names of all streams as names of their outputs; None for a single stream, whose outputs are files.

    Raises:
        ConfigError: if several streams would go into one file ("not-a-folder").
    """
    if len(names) == 1:
        return [None]
    outputs = settings.outputs
    depth = None if outputs.depth and is_shared_output(outputs.depth) else outputs.depth
    for path in (outputs.video, depth, outputs.points, outputs.mesh):
        if path and path.suffix and NAME_FIELD not in str(path):
            raise ConfigError(
                f"{len(names)} sources need a folder to write to, not the file '{path}'", code="not-a-folder"
            )
    return names


def is_shared_output(path: Path) -> bool:
    """True for a file that holds several streams, each in topics or entities of its own."""
    return path.suffix.lower() in (".mcap", ".rrd") and NAME_FIELD not in str(path)


def stream_names(addresses: Sequence[str]) -> list[str]:
    """Returns a unique name for each address that a file may have: a file's stem, or a server's host and path."""
    return unused_names([clean_name(_public_part(address)) for address in addresses])


def clean_name(text: str) -> str:
    """Returns a name that a file may have: letters, digits and underscores, not empty."""
    return re.sub(r"\W+", "_", text).strip("_")[:_MAX_LENGTH] or "stream"


def _public_part(address: str) -> str:
    """Returns the address without what may be secret: a user's name, a password, a query."""
    if "://" not in address:
        bag, _, topic = address.rpartition("#/")
        return (topic.rpartition("/")[0] or topic) if bag else Path(address).stem
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
