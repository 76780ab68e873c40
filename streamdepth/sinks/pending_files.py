"""Files that appear under their name only when they are complete: checks, atomic writing, and its errors.

Everything is written under a hidden temporary name in the same folder (`temporary_files`) and renamed at the end, so
that an older file of that name stays untouched until the new one is complete, whatever happens.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import av

from streamdepth.core.errors import ConfigError, DiskFullError, SinkOpenError, SinkWriteError
from streamdepth.core.wording import switch
from streamdepth.sinks.disk_space import disk_full_message
from streamdepth.sinks.private_folders import file_mode
from streamdepth.sinks.temporary_files import (
    lock,
    remove_parts_of_killed_runs,
    sidecar_path,
    temporary_folder,
    temporary_path,
    unlock,
)

_log = logging.getLogger(__name__)

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_output(path: Path, *, overwrite: bool = False, input_path: Path | None = None) -> None:
    """Checks that a file may be written to `path`.

    Args:
        overwrite: an existing file may be replaced, but never `input_path`.
        input_path: the file that is being read.

    Raises:
        SinkOpenError: with the code "exists", "is-input", "no-folder" (there is none, and it cannot be made),
            "not-a-file" or "bad-name".
    """
    folder = path.parent
    try:
        has_folder, exists = folder.is_dir(), path.exists()
    except OSError as error:  # for example a name that is too long
        raise SinkOpenError(f"cannot write '{path}': {error.strerror}; choose another name", code="bad-name") from error
    if not has_folder:
        _check_folder_can_be_made(path)
    if not exists:
        return
    if input_path is not None and _is_same(path, input_path):
        raise _input_error(path)
    if not path.is_file():
        raise SinkOpenError(f"cannot write '{path}': it is not a regular file; choose another name", code="not-a-file")
    if not overwrite:
        raise SinkOpenError(
            f"'{path}' exists already; use {switch('--overwrite')} or choose another name", code="exists"
        )


def _check_folder_can_be_made(path: Path) -> None:
    """Raises SinkOpenError ("no-folder") where the folder of `path` is missing and cannot be made."""
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "may not be written to" if existing.is_dir() else "is no folder"
        raise SinkOpenError(
            f"cannot write '{path}': there is no folder '{path.parent}', and '{existing}' {reason}; choose another",
            code="no-folder",
        )


class _MadeFolders:
    """Makes a missing folder and those above it; `remove_empty` takes back what is still empty."""

    def __init__(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._made = missing

    def remove_empty(self) -> None:
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()


def check_distinct(outputs: Iterable[Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Checks that no two outputs of a run are the same file, and none is an input; None is skipped.

    Raises:
        ConfigError: two outputs are the same file (code "same-output").
        SinkOpenError: an output is an input (code "is-input").
    """
    paths = [path for path in outputs if path is not None]
    origins = [Path(input_path) for input_path in inputs if input_path is not None]
    for path in paths:
        if any(_is_same(path, input_path) for input_path in origins):
            raise _input_error(path)
    for first, second in combinations(paths, 2):
        if _is_same(first, second):
            raise ConfigError(
                f"two outputs have the same name, '{first}' and '{second}'; give each its own", code="same-output"
            )


def _input_error(path: Path) -> SinkOpenError:
    return SinkOpenError(f"the output '{path}' is the input itself; choose another name", code="is-input")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.realpath(path) == os.path.realpath(other) or path.samefile(other)
    except OSError:  # one is not there, or cannot be a file's name
        return False


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Gives a temporary path to write to, which becomes `path` when the block ends, and is removed when it raises.

        with atomic_write(Path("report.json")) as temporary:
            temporary.write_text("{}")

    Raises:
        SinkOpenError: `path` cannot be written, as `PendingFile` says.
        SinkWriteError: writing failed, or the file cannot be put in place.
    """
    file = PendingFile(path, overwrite=overwrite)
    try:
        with map_write_errors(path):
            yield file.temporary
    except BaseException:
        file.discard()
        raise
    file.commit()


class PendingFile:
    """A file that is written under a temporary name in the same folder, and renamed by `commit`.

    Until then an older file of that name is untouched; the new one gets its permissions. The temporary file is locked,
    which distinguishes it from those of killed processes, which are removed first.

    Raises:
        SinkOpenError: as `check_output` says, or the folder cannot be written to (code "not-writable").
    """

    def __init__(self, path: Path, *, overwrite: bool = False, input_path: Path | None = None) -> None:
        check_output(path, overwrite=overwrite, input_path=input_path)
        self.path, self.overwrite = path, overwrite
        self.temporary = temporary_path(path)
        self._is_committed = False
        try:
            self._made_folders = _MadeFolders(path.parent)
            remove_parts_of_killed_runs(path)
            self._lock = lock(self.temporary)
            self.temporary.touch(file_mode(path), exist_ok=False)
            _copy_permissions(self.path, self.temporary)
        except OSError as error:
            self.discard()
            raise _not_writable_error(path.parent, error) from error

    @property
    def size(self) -> int:
        """Bytes written so far."""
        try:
            return self.temporary.stat().st_size
        except OSError:
            return 0

    def commit(self) -> None:
        """Puts the file in place. Raises SinkWriteError; then what was written stays under the temporary name."""
        commit_together(self)

    def _put_in_place(self) -> None:
        _sync_file(self.temporary)
        _copy_permissions(self.path, self.temporary)
        os.replace(self.temporary, self.path)
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        """Removes what was written. Idempotent; does nothing after `commit`, whether that failed or not."""
        if not self._is_committed:
            with contextlib.suppress(OSError):
                self.temporary.unlink(missing_ok=True)
        self.release()
        if not self._is_committed and hasattr(self, "_made_folders"):
            self._made_folders.remove_empty()

    def release(self) -> None:
        """Ends the lock of the temporary file. Idempotent."""
        if hasattr(self, "_lock"):
            unlock(self._lock)


def commit_together(*files: PendingFile) -> None:
    """Puts files in place that belong together, in this order; none where one of their names was taken meanwhile.

    Raises:
        SinkWriteError: a name was taken meanwhile (code "exists"), or a file could not be renamed. The message says
            where everything is: what could not be put in place stays under its temporary name.
    """
    for file in files:
        file._is_committed = True
    try:
        for file in files:
            if file.path.exists() and not file.overwrite:
                raise SinkWriteError(f"'{file.path}' has appeared meanwhile and was left alone", code="exists")
        for file in files:
            with map_write_errors(file.path):
                file._put_in_place()
    except SinkWriteError as error:
        unfinished = [f"the result is in '{file.temporary}'" for file in files if file.temporary.exists()]
        finished = [f"'{file.path}' is in place" for file in files if not file.temporary.exists()]
        raise type(error)("; ".join([str(error), *finished, *unfinished]), code=error.code) from error
    finally:
        for file in files:
            file.release()


class PendingFileWithSidecar:
    """A file and the JSON beside it (`sidecar_path`), which are there together or not at all.

    Raises SinkOpenError as `PendingFile` does for either; then nothing is left behind.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, input_path: Path | None = None) -> None:
        self.file = PendingFile(path, overwrite=overwrite, input_path=input_path)
        try:
            self._sidecar = PendingFile(sidecar_path(path), overwrite=overwrite, input_path=input_path)
        except SinkOpenError:
            self.file.discard()
            raise

    @property
    def temporary(self) -> Path:
        """The path that the file is to be written to."""
        return self.file.temporary

    def write_sidecar(self, text: str) -> None:
        """Writes the JSON. Raises OSError."""
        self._sidecar.temporary.write_text(text + "\n", encoding="utf-8")

    def commit(self) -> None:
        """Puts both in place as `commit_together` does; the JSON last, so that it never describes an older file."""
        commit_together(self.file, self._sidecar)

    def discard(self) -> None:
        """Removes what was written. Idempotent; does nothing after `commit`, whether that failed or not."""
        self._sidecar.discard()
        self.file.discard()  # last, because it has made the folder


_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS, errno.EBADF}
"""Errors of file systems that do not know fsync: network shares, FUSE, folders of virtual machines."""


def _sync_file(path: Path) -> None:
    """Makes a file's content last through a power cut, where its file system allows it. Raises OSError."""
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
            _log.debug("'%s' is not synchronized: %s", path, error)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system allows it; the file itself is complete already."""
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


def _copy_permissions(older: Path, newer: Path) -> None:
    """Gives the file `newer` the permissions of the one that it will replace, if there is one."""
    with contextlib.suppress(OSError):
        newer.chmod(stat.S_IMODE(older.stat().st_mode))


class PendingFolder:
    """Files of one folder and its subfolders, written to a hidden folder and moved into place by `commit`.

    Raises:
        SinkOpenError: the folder cannot be written to (code "not-writable").
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self.folder, self.overwrite = folder, overwrite
        self.temporary = temporary_folder(folder)
        self._is_committed = False
        try:
            self._made_folders = _MadeFolders(folder)
            self.temporary.mkdir()
        except OSError as error:
            raise _not_writable_error(folder, error) from error

    def commit(self) -> None:
        """Moves every file into place. Raises SinkWriteError; then what was not moved stays in the hidden folder."""
        self._is_committed = True
        names = sorted(file.relative_to(self.temporary) for file in self.temporary.rglob("*") if file.is_file())
        taken = [name for name in names if (self.folder / name).exists()]
        if taken and not self.overwrite:
            raise SinkWriteError(
                f"'{self.folder / taken[0]}' has appeared meanwhile and was left alone; the result is in "
                f"'{self.temporary}'",
                code="exists",
            )
        with map_write_errors(self.folder):
            for name in names:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                _copy_permissions(self.folder / name, self.temporary / name)
                os.replace(self.temporary / name, self.folder / name)
            shutil.rmtree(self.temporary)

    def discard(self) -> None:
        """Removes what was written. Idempotent; does nothing after `commit`, whether that failed or not."""
        if not self._is_committed:
            shutil.rmtree(self.temporary, ignore_errors=True)
            self._made_folders.remove_empty()


def _not_writable_error(folder: Path, error: OSError) -> SinkOpenError:
    return SinkOpenError(
        f"cannot write to the folder '{folder}': {error.strerror}; choose another", code="not-writable"
    )


@contextmanager
def map_write_errors(path: Path) -> Iterator[None]:
    """Turns errors of FFmpeg and of files into SinkWriteError, and those of a full disk into DiskFullError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        failure = DiskFullError if getattr(error, "errno", None) in _DISK_FULL else SinkWriteError
        raise failure(write_error_message(path, error)) from error


def write_error_message(path: Path, error: Exception) -> str:
    """Returns one line for a failed write to `path`."""
    if getattr(error, "errno", None) in _DISK_FULL:
        return disk_full_message(path)
    reason = getattr(error, "strerror", None) or str(error)
    return f"writing '{path}' failed: {reason}"
