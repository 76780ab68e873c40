"""Files of a training: each is complete at its place, or not there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from streamdepth.sinks.pending_files import map_write_errors


def write_file(path: Path, content: bytes) -> None:
    """Its folder is made, too. Raises SinkWriteError, DiskFullError where there is no room; then nothing is left."""
    part = path.with_name(f".{path.name}.part")
    with map_write_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with map_write_errors(path):
            part.write_bytes(content)
            part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
