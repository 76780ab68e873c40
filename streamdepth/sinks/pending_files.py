"""Files that appear under their name only when they are complete.

Everything is written under a hidden temporary name in the same folder (`temporary_files`) and renamed at the end, so
that an older file of that name stays untouched until the new one is complete, whatever happens.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.sinks.file_system import MadeFolders, copy_permissions, link_target, sync_file, sync_folder
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.private_folders import file_mode
from streamdepth.sinks.temporary_files import (
    lock,
    remove_parts_of_killed_runs,
    sidecar_path,
    temporary_path,
    unlock,
)
from streamdepth.sinks.write_errors import map_write_errors, not_writable_error


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary path to write to, which becomes `path` when the block ends, and is removed if it raises.

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

    Until then an older file of that name is untouched; the new one gets its permissions. A link stays, and the file
    that it leads to is written. The temporary file is locked, which distinguishes it from those of killed processes,
    which are removed first.

    Raises:
        SinkOpenError: as `check_output` says, or the folder cannot be written to (code "not-writable").
    """

    def __init__(self, path: Path, *, overwrite: bool = False, input_path: Path | None = None) -> None:
        check_output(path, overwrite=overwrite, input_path=input_path)
        self.path, self.overwrite = path, overwrite
        self._target = link_target(path)
        beside = self._target.with_name(path.name)  # the suffix of `path` says what is written
        self.temporary = temporary_path(beside)
        self._is_committed = False
        try:
            self._made_folders = MadeFolders(beside.parent)
            remove_parts_of_killed_runs(beside)
            self._lock = lock(self.temporary)
            self.temporary.touch(file_mode(path), exist_ok=False)
            copy_permissions(self.path, self.temporary)
        except OSError as error:
            self.discard()
            raise not_writable_error(beside.parent, error) from error

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
        sync_file(self.temporary)
        copy_permissions(self.path, self.temporary)
        os.replace(self.temporary, self._target)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Removes the temporary file. Idempotent; does nothing after `commit`, even one that failed."""
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
    """Puts files that belong together in place, in this order; none if one of their names was taken meanwhile.

    Raises:
        SinkWriteError: a name was taken meanwhile (code "exists"), or a file could not be renamed. The message says
            where all files are: those that could not be put in place keep their temporary names.
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
    """A file and the JSON beside it (`sidecar_path`), which appear together or not at all.

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
        """Puts both in place by `commit_together`, the JSON last, so that it never describes an older file."""
        commit_together(self.file, self._sidecar)

    def discard(self) -> None:
        """Removes the temporary file. Idempotent; does nothing after `commit`, even one that failed."""
        self._sidecar.discard()
        self.file.discard()  # last, because it has made the folder
