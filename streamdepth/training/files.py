"""Files of a training, each of which is either complete or missing."""

from __future__ import annotations

from pathlib import Path

from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.write_errors import map_write_errors


def write_file(path: Path, content: bytes) -> None:
    """Writes a file atomically, with its folder; replaces an older one.

    Raises SinkWriteError, or DiskFullError on a full disk; no partial file is left.
    """
    with map_write_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, overwrite=True) as temporary:
        temporary.write_bytes(content)
