"""Folders, permissions and durability of finished files."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path

_log = logging.getLogger(__name__)


class MadeFolders:
    """Makes a missing folder and those above it; `remove_empty` removes those that are still empty."""

    def __init__(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._made = missing

    def remove_empty(self) -> None:
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()


_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS, errno.EBADF}
"""Errors of file systems without fsync: network shares, FUSE, shared folders of virtual machines."""


def sync_file(path: Path) -> None:
    """Writes a file's content to the disk, safe from a power cut, if its file system can. Raises OSError."""
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
            _log.debug("'%s' is not synchronized: %s", path, error)


def sync_folder(folder: Path) -> None:
    """Writes a rename to the disk, so that it survives a power cut, if the system supports that."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        _log.debug("the folder '%s' is not synchronized: %s", folder, error)


def link_target(path: Path) -> Path:
    """Returns the path that the link `path` leads to, whether a file is there or not; `path` itself if it is no link.

    A file that is put in place by renaming goes there, because a rename to a link's own name would replace the link.
    """
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def copy_permissions(older: Path, newer: Path) -> None:
    """Gives the file `newer` the permissions of the one that it will replace, if there is one."""
    with contextlib.suppress(OSError):
        newer.chmod(stat.S_IMODE(older.stat().st_mode))
