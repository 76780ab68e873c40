"""Outputs that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import av

from streamdepth.core.errors import ConfigError, DiskFullError, SinkOpenError, SinkWriteError
from streamdepth.sinks.temporary import lock, sidecar_of, temporary_beside, temporary_folder

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_output(path: Path, *, overwrite: bool = False, origin: Path | None = None) -> None:
    """Raises SinkOpenError unless a file may be written to `path`.

    Args:
        overwrite: an existing file may be replaced, but never `origin`.
        origin: the file that is being read.
    """
    folder = path.parent
    try:
        has_folder, exists = folder.is_dir(), path.exists()
    except OSError as error:  # for example a name that is too long
        raise SinkOpenError(f"cannot write '{path}': {error.strerror}; choose another name") from error
    if not has_folder:
        raise SinkOpenError(f"cannot write '{path}': there is no folder '{folder}'; create it or choose another")
    if not exists:
        return
    if origin is not None and _is_same(path, origin):
        raise SinkOpenError(f"the output '{path}' is the input itself; choose another name")
    if not path.is_file():
        raise SinkOpenError(f"cannot write '{path}': it is not a regular file; choose another name")
    if not overwrite:
        raise SinkOpenError(f"'{path}' exists already; use --overwrite (overwrite=True) or choose another name")


def check_apart(outputs: Iterable[Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Raises ConfigError where two outputs of a run are one file, SinkOpenError where one is an input.

    Of paths that are None, nothing is asked.
    """
    paths = [path for path in outputs if path is not None]
    origins = [Path(origin) for origin in inputs if origin is not None]
    for path in paths:
        if any(_is_same(path, origin) for origin in origins):
            raise SinkOpenError(f"the output '{path}' is the input itself; choose another name")
    for first, second in combinations(paths, 2):
        if _is_same(first, second):
            raise ConfigError(f"two outputs have the same name, '{first}' and '{second}'; give each its own")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except OSError:  # one is not there, or cannot be a file's name
        return False


def av_path(path: str | Path) -> str:
    """What libav opens as this very file; a colon in a bare name would make it a protocol."""
    return f"file:{path}"


@contextmanager
def complete_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path to write to: put in place as `path` when the block ends, removed when it raises.

    Raises SinkOpenError as `PendingFile` does, and SinkWriteError while writing and as `PendingFile.commit` does.
    """
    file = PendingFile(path, overwrite=overwrite)
    try:
        with writing(path):
            yield file.temporary
    except BaseException:
        file.discard()
        raise
    file.commit()


class PendingFile:
    """A file that is written under a temporary name in the same folder, and renamed by `commit`.

    Until then an older file of that name is untouched, whatever happens. The temporary file is locked, which tells it
    from those of killed processes (`remove_left_behind`). Raises SinkOpenError as `check_output` does, and when the
    folder cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, origin: Path | None = None) -> None:
        check_output(path, overwrite=overwrite, origin=origin)
        self.path, self.overwrite = path, overwrite
        self.temporary = temporary_beside(path)
        try:
            self.temporary.touch(exist_ok=False)
            self._lock = lock(self.temporary)
        except OSError as error:
            raise SinkOpenError(
                f"cannot write to the folder '{path.parent}': {error.strerror}; choose another"
            ) from error

    @property
    def size(self) -> int:
        """Bytes written so far."""
        try:
            return self.temporary.stat().st_size
        except OSError:
            return 0

    def commit(self) -> None:
        """Puts the file in place. Raises SinkWriteError; then what was written stays under the temporary name."""
        commit(self)

    def _put_in_place(self) -> None:
        with self.temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.temporary, self.path)
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        """Removes what was written. Idempotent, and harmless after `commit`."""
        self._unlock()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock = None


def commit(*files: PendingFile) -> None:
    """Puts files in place that belong together, in this order; none where one of their names is taken meanwhile.

    Raises SinkWriteError, which says where everything is: what could not be put in place stays under its temporary
    name.
    """
    for file in files:
        file._unlock()
    try:
        for file in files:
            if file.path.exists() and not file.overwrite:
                raise SinkWriteError(f"'{file.path}' has appeared meanwhile and was left alone")
        for file in files:
            with writing(file.path):
                file._put_in_place()
    except SinkWriteError as error:
        left = [f"the result is in '{file.temporary}'" for file in files if file.temporary.exists()]
        done = [f"'{file.path}' is in place" for file in files if not file.temporary.exists()]
        raise type(error)("; ".join([str(error), *done, *left])) from error


class PendingPair:
    """A file and the JSON beside it (`sidecar_of`), which are there together or not at all.

    Raises SinkOpenError as `PendingFile` does for either; then nothing is left behind.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, origin: Path | None = None) -> None:
        self.file = PendingFile(path, overwrite=overwrite, origin=origin)
        try:
            self._sidecar = PendingFile(sidecar_of(path), overwrite=overwrite, origin=origin)
        except SinkOpenError:
            self.file.discard()
            raise

    def write_facts(self, text: str) -> None:
        """What the JSON says. Raises OSError."""
        self._sidecar.temporary.write_text(text + "\n", encoding="utf-8")

    def commit(self) -> None:
        """Puts both in place, as `commit` does: the JSON last, which says nothing of an older file then."""
        commit(self.file, self._sidecar)

    def discard(self) -> None:
        """Removes what was written. Idempotent, and harmless after `commit`."""
        self.file.discard()
        self._sidecar.discard()


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system allows it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class PendingFolder:
    """Files of one folder, and those below it, that are written to a hidden one and moved into place by `commit`."""

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self.folder, self.overwrite = folder, overwrite
        self.temporary = temporary_folder(folder)
        try:
            self.temporary.mkdir()
        except OSError as error:
            raise SinkOpenError(f"cannot write to the folder '{folder}': {error.strerror}; choose another") from error

    def commit(self) -> None:
        """Moves every file into place. Raises SinkWriteError; then what was not moved stays in the hidden folder."""
        made = sorted(file.relative_to(self.temporary) for file in self.temporary.rglob("*") if file.is_file())
        taken = [name for name in made if (self.folder / name).exists()]
        if taken and not self.overwrite:
            raise SinkWriteError(
                f"'{self.folder / taken[0]}' has appeared meanwhile and was left alone; the result is in "
                f"'{self.temporary}'"
            )
        with writing(self.folder):
            for name in made:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.temporary / name, self.folder / name)
            shutil.rmtree(self.temporary)

    def discard(self) -> None:
        """Removes what was written. Idempotent, and harmless after `commit`."""
        shutil.rmtree(self.temporary, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what can go wrong while `path` is written into SinkWriteError, a full disk into DiskFullError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        failure = DiskFullError if getattr(error, "errno", None) in _FULL else SinkWriteError
        raise failure(explain(path, error)) from error


def explain(path: Path, error: Exception) -> str:
    """One line for a failed write."""
    if getattr(error, "errno", None) in _FULL:
        free = shutil.disk_usage(path.parent).free / 1e6
        return f"no room for '{path}': the disk or the quota is full ({free:.0f} MB free); make room or write elsewhere"
    reason = getattr(error, "strerror", None) or str(error)
    return f"writing '{path}' failed: {reason}"
