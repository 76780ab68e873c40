"""Folders whose files only this user may read, such as the folder of a page's recordings."""

from __future__ import annotations

from pathlib import Path

_folders: set[Path] = set()
_PRIVATE_MODE, _USUAL_MODE = 0o600, 0o666


def make_files_private(folder: Path) -> None:
    """Makes all files that sinks write into `folder` from now on readable by this user alone."""
    _folders.add(folder.absolute())


def file_mode(path: Path) -> int:
    """Returns the permissions of a new file, before the process's umask."""
    return _PRIVATE_MODE if path.absolute().parent in _folders else _USUAL_MODE
