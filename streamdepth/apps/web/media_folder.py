"""The folder of recordings and snapshots. Requests do not choose names in it, and cannot reach anything outside it."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import deque
from datetime import datetime
from pathlib import Path

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.sinks.disk_space import check_free_space
from streamdepth.sinks.private_folders import make_files_private
from streamdepth.sinks.snapshot import write_snapshot_files
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.utils.numbering import unused_name

_BASE_NAME = r"[\w-]+_\d{8}-\d{6}(?:-\d+)?"
_FILE_NAME = re.compile(rf"{_BASE_NAME}(?:_depth|_view)?(?:_\d{{6}})?\.(?:mp4|mkv|mkv\.json|png|jpg)")
"""Names of the files that recordings and snapshots write; a request can have no other file."""


class MediaFolder:
    """A folder of recordings and snapshots; it is made when the first one is written.

    Args:
        path: the folder.
        min_free_bytes: disk space that snapshots leave free. Recordings check that by themselves.
    """

    def __init__(self, path: Path, *, min_free_bytes: float = 0.0) -> None:
        self.path, self.min_free_bytes = path, min_free_bytes
        self._lock = threading.Lock()
        self._recent_names: deque[str] = deque(maxlen=100)
        """Names that were returned lately, whose files may not exist yet."""

    def new_base_path(self, stream: str) -> Path:
        """Returns a path without suffix, made of stream and time, that no file of the folder begins with.

        Raises SinkOpenError.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)  # what a camera sees is for this user alone
            make_files_private(self.path)
            existing = list(self.path.iterdir())
        except OSError as error:
            raise SinkOpenError(
                f"cannot keep anything in the folder '{self.path}': {error.strerror}", code="not-writable"
            ) from error
        name = f"{stream}_{datetime.now():%Y%m%d-%H%M%S}"
        # a file that is being written has such a name after a dot
        taken = {found[0] for path in existing if (found := re.match(_BASE_NAME, path.name.lstrip(".")))}
        with self._lock:
            unused = unused_name(name, taken.union(self._recent_names), "-")
            self._recent_names.append(unused)
        return self.path / unused

    def check_free_space(self, size_bytes: float = 0.0, path: Path | None = None) -> None:
        """Raises DiskFullError unless `min_free_bytes` stay free after a file of `size_bytes`.

        `path` is the folder of the file, if it is not this one.
        """
        check_free_space(path or self.path, self.min_free_bytes + size_bytes)

    def files(self) -> list[tuple[Path, os.stat_result]]:
        """Returns the complete files with their stat results, newest first."""
        paths = (path for path in self.path.glob("*") if _FILE_NAME.fullmatch(path.name))
        found = [(path, result) for path in paths if (result := _stat_regular_file(path))]
        return sorted(found, key=lambda file: (file[1].st_mtime, file[0].name), reverse=True)

    def delete(self, name: str) -> bool:
        """Deletes the file with exactly that name, and the sidecar of a depth video; returns False without one.

        Raises SinkWriteError ("not-writable").
        """
        path = self.find(name)
        if path is None:
            return False
        try:
            path.unlink(missing_ok=True)
            if path.suffix == ".mkv":
                sidecar_path(path).unlink(missing_ok=True)
        except OSError as error:
            raise SinkWriteError(f"cannot delete '{path.name}': {error.strerror}", code="not-writable") from error
        return True

    def find(self, name: str) -> Path | None:
        """Returns the file with exactly that name, or None; no name leads out of the folder."""
        return next((path for path, _ in self.files() if path.name == name), None)


def write_snapshot(item: DepthFrame, folder: MediaFolder, stream: str, options: RenderOptions) -> list[Path]:
    """Writes the three files of `write_snapshot_files` into the folder, and returns their paths. Raises SinkError."""
    base = folder.new_base_path(stream)
    folder.check_free_space()
    return write_snapshot_files(item, base, options)


def _stat_regular_file(path: Path) -> os.stat_result | None:
    """Returns the stat result of a regular file; None for a link, anything else, or if it has just been removed."""
    try:
        result = path.lstat()
    except OSError:
        return None
    return result if stat.S_ISREG(result.st_mode) else None
