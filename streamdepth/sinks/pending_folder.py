"""Files of a folder that appear under their names together, when they are complete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from streamdepth.core.errors import SinkWriteError
from streamdepth.sinks.file_system import MadeFolders, copy_permissions, link_target
from streamdepth.sinks.temporary_files import temporary_folder
from streamdepth.sinks.write_errors import map_write_errors, not_writable_error


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
            self._made_folders = MadeFolders(folder)
            self.temporary.mkdir()
        except OSError as error:
            raise not_writable_error(folder, error) from error

    def commit(self) -> None:
        """Moves every file into place. Raises SinkWriteError; files that were not moved stay in the hidden folder."""
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
                copy_permissions(self.folder / name, self.temporary / name)
                _move(self.temporary / name, self.folder / name)
            shutil.rmtree(self.temporary)

    def discard(self) -> None:
        """Removes what was written. Idempotent; does nothing after `commit`, whether that failed or not."""
        if not self._is_committed:
            shutil.rmtree(self.temporary, ignore_errors=True)
            self._made_folders.remove_empty()


def _move(file: Path, path: Path) -> None:
    """Renames `file` to `path`, or to the target of the link `path`, to which it is copied if it is on another disk."""
    target = link_target(path)
    if target == path:
        os.replace(file, path)
    else:
        shutil.move(file, target)
