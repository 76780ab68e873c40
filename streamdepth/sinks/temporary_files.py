"""The hidden names under which outputs are written, their locks, and the removal of files of killed processes.

While NAME.mp4 is written it is called `.NAME.1a2b3c4d.part.mp4`, and `.NAME.1a2b3c4d.part.mp4.lock` beside it is
locked: the operating system ends that lock with the process, however it ends, so a temporary file without a lock is
abandoned.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.errors import SinkOpenError
from streamdepth.utils.numbering import number_regex

if TYPE_CHECKING:
    from filelock import BaseFileLock

_log = logging.getLogger(__name__)
_CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.EPERM)
"""Errors of file systems without locks: network shares, FUSE, shared folders of virtual machines."""
_LONGEST_STEM = 100
"""Bytes of a name that are used, so that the temporary name is not too long for any file system."""


def sidecar_path(path: Path) -> Path:
    """Returns the path of the JSON that lies beside `path` and describes it: NAME.mkv has NAME.mkv.json."""
    return path.with_name(f"{path.name}.json")


def temporary_path(path: Path) -> Path:
    """Returns a fresh hidden path in the same folder with the same extension, never too long for a file system."""
    return path.with_name(f".{_short_stem(path)}.{secrets.token_hex(4)}.part{path.suffix}")


def temporary_folder(folder: Path) -> Path:
    """Returns a fresh hidden path for a folder inside `folder`."""
    return folder / f".{secrets.token_hex(4)}.part"


def temporary_copy(temporary: Path) -> Path:
    """Returns the path for a copy that is to replace the file at a temporary path."""
    return temporary.with_suffix(f".copy{temporary.suffix}")


def _short_stem(path: Path) -> str:
    """Returns the name without extension; a long one is cut and completed by a hash, so that it stays unique."""
    name = os.fsencode(path.stem)
    if len(name) <= _LONGEST_STEM:
        return path.stem
    return f"{name[:_LONGEST_STEM].decode(errors='ignore')}~{blake2b(name, digest_size=4).hexdigest()}"


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name if path.name.startswith('.') else f'.{path.name}'}.lock")


def lock(path: Path) -> BaseFileLock:
    """Locks `path` against other processes by a hidden lock file beside it, until `unlock` or the process's end.

    Any thread may unlock it. A file system without locks locks nothing: then `is_locked` of what is returned is False,
    and there is no lock file. Raises BlockingIOError where it is locked already, OSError where no file can be made.
    """
    from filelock import FileLock, Timeout

    found = FileLock(_lock_path(path), timeout=0, thread_local=False)
    is_new = not _lock_path(path).exists()
    try:
        found.acquire()
    except Timeout as error:
        raise BlockingIOError(f"'{path}' is locked") from error
    except (OSError, NotImplementedError) as error:
        if is_new:
            with contextlib.suppress(OSError):
                _lock_path(path).unlink(missing_ok=True)
        if getattr(error, "errno", errno.ENOSYS) not in _CANNOT_LOCK:
            raise
        _log.debug("'%s' is not locked: %s", path, error)
    return found


def unlock(lock: BaseFileLock) -> None:
    """Ends a lock and removes its file. Idempotent."""
    if lock.is_locked:
        with contextlib.suppress(OSError):  # a lock that nobody holds does no harm
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def remove_abandoned_folders(folder: Path) -> None:
    """Removes the temporary folders in `folder`; call it only where nobody else can be writing there."""
    for path in folder.iterdir():
        if re.fullmatch(r"\.[0-9a-f]{8}\.part", path.name):
            shutil.rmtree(path, ignore_errors=True)


def remove_abandoned_files(path: Path) -> None:
    """Removes the temporary files of `path` and of its sidecar; call it only where nobody else can be writing them."""
    for file in _temporary_files(path, re.escape(_short_stem(path)), re.escape(_short_stem(sidecar_path(path)))):
        _lock_path(file).unlink(missing_ok=True)
        file.unlink(missing_ok=True)


def remove_parts_of_killed_runs(path: Path) -> None:
    """Removes the temporary files that killed processes left for `path`, as far as that is possible.

    Files that a process is writing now are locked and are kept. Files that an error message has named as results that
    could not be put in place are kept, too: their lock was released regularly, so that they have no lock file.
    """
    for file in _temporary_files(path, re.escape(_short_stem(path)), re.escape(_short_stem(sidecar_path(path)))):
        if not _lock_path(file).exists():
            continue
        with contextlib.suppress(OSError, NotImplementedError):
            found = lock(file)
            try:
                for part in (file, temporary_copy(file)) if found.is_locked else ():
                    part.unlink(missing_ok=True)
            finally:
                unlock(found)


def remove_abandoned_segments(pattern: Path) -> None:
    """Removes the temporary files that killed processes left for any number of `pattern`, and for their sidecars.

    Raises:
        SinkOpenError: a process is writing one of them ("in-use"), then none is removed; or one cannot be removed.
    """
    stems = number_regex(pattern.stem), number_regex(sidecar_path(pattern).stem)
    with ExitStack() as locks:
        try:
            abandoned = [file for file in _temporary_files(pattern, *stems) if _lock_abandoned(file, locks)]
            for file in abandoned:
                file.unlink(missing_ok=True)
        except BlockingIOError:
            raise SinkOpenError(
                f"another process is writing '{pattern}' now; end it, or choose another name", code="in-use"
            ) from None
        except OSError as error:
            raise SinkOpenError(
                f"cannot remove '{error.filename}', which a killed run left: {error.strerror}; remove it, or choose "
                "another name"
            ) from error


def _lock_abandoned(file: Path, locks: ExitStack) -> bool:
    """Locks a temporary file until `locks` is closed; False if its process has just put it in place.

    False, too, on a file system without locks, where nothing tells whether a process is still writing the file.

    Raises BlockingIOError where another process has locked it.
    """
    found = lock(file)
    locks.callback(unlock, found)
    return found.is_locked and file.exists()


def _temporary_files(path: Path, stem: str, sidecar_stem: str) -> Iterator[Path]:
    """Yields the temporary files for `path` and its sidecar, whose stems are given as regular expressions.

    A lock whose file is missing stands for that file, so that it is removed as well.
    """
    endings = ((stem, path.suffix), (sidecar_stem, sidecar_path(path).suffix))
    names = "|".join(rf"{stem}\.[0-9a-f]{{8}}\.part(\.copy)?{re.escape(suffix)}" for stem, suffix in endings)
    pattern = re.compile(rf"(\.(?:{names}))(?:\.lock)?")
    files = path.parent.iterdir() if path.parent.is_dir() else ()
    found = {match[1] for file in files if (match := pattern.fullmatch(file.name))}
    return (path.with_name(name) for name in sorted(found))
