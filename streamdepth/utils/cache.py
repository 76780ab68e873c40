"""The cache folder and the converted networks in it. Processes may share it and be killed at any moment."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_NEW = ".new-"


def cache_folder() -> Path:
    """Returns the folder named by STREAMDEPTH_CACHE, else `streamdepth` in the platform's cache folder.

    Without a home folder, as for an unknown user in a container, it is a temporary folder of this process.
    """
    if named := os.environ.get("STREAMDEPTH_CACHE"):
        return Path(named)
    try:
        return _platform_cache_folder() / "streamdepth"
    except RuntimeError:  # no HOME, and the user is not in the system's list
        return _temporary_cache_folder()


@functools.cache
def _temporary_cache_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="streamdepth-cache-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _log.warning(
        "this user has no home folder, so that nothing is kept for the next start; set HOME or STREAMDEPTH_CACHE"
    )
    return folder


def make_cache_subfolder(name: str) -> Path:
    """Makes a folder in the cache folder, private to this user unless the cache folder was there. Raises OSError."""
    root = cache_folder()
    root.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(mode=0o700, exist_ok=True)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _platform_cache_folder() -> Path:
    """Returns the folder of this user's caches. Raises RuntimeError where there is no home."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class ModelCache:
    """Folders of one converted network, one for each input size, in the cache folder of its engine.

    A folder is complete or absent, because it is written under another name and renamed. Its manifest holds each file's
    digest, so that a damaged file is found before it is mapped into memory. A cache that cannot be written costs time,
    and is never an error.

    Args:
        engine: the engine's name.
        network_name: the name of the network in the folders' names.
        key: equal if conversions are equal.
        file_name: of the model in its folder; other files may lie beside it.
    """

    def __init__(self, engine: str, network_name: str, key: str, file_name: str = "model.xml") -> None:
        self._root, self._file_name = cache_folder() / engine, file_name
        self._prefix = f"{re.sub(r'[^A-Za-z0-9.]+', '-', network_name).strip('-.')[-60:]}-{key}"

    def _folder(self, size: str) -> Path:
        return self._root / f"{self._prefix}-{size}"

    def find(self, size: str) -> Path | None:
        """Returns the path of the model for this input size; None if there is none. A damaged one is removed."""
        folder = self._folder(size)
        if not folder.is_dir():
            return None
        try:
            if json.loads((folder / _MANIFEST).read_text()) == _file_digests(folder):
                return folder / self._file_name
        except (OSError, ValueError) as error:
            _log.debug("unreadable cache %s: %s", folder, error)
        _log.warning("the cached network in %s is damaged and is made anew", folder)
        _remove_atomically(folder)
        return None

    def remove(self, size: str) -> None:
        """Removes the model for this input size, if there is one."""
        if self._folder(size).is_dir():
            _remove_atomically(self._folder(size))

    def store(self, size: str, save: Callable[[Path], None]) -> None:
        """Stores what `save` writes to the path it is given, unless another process was faster."""
        try:
            make_cache_subfolder(self._root.name)
            _remove_half_made(self._root)
            with _locked_temporary_folder(self._root) as new:
                save(new / self._file_name)
                (new / _MANIFEST).write_text(json.dumps(_file_digests(new)))
                if not self._folder(size).exists():
                    new.rename(self._folder(size))
        except (OSError, RuntimeError) as error:
            _log.warning("the converted network is not kept, so the next start is slow again: %s", error)


@contextmanager
def _locked_temporary_folder(root: Path) -> Iterator[Path]:
    """Yields a new folder in `root`, which is removed at the end unless it was renamed.

    A lock beside it, which the system releases with the process, distinguishes it from those of killed processes.
    """
    from filelock import FileLock

    path = root / f"{_NEW}{secrets.token_hex(4)}"
    with FileLock(f"{path}.lock"):
        try:
            path.mkdir()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            Path(f"{path}.lock").unlink(missing_ok=True)


def _remove_half_made(root: Path) -> None:
    """Removes the temporary folders of killed processes in `root`, as far as that is possible."""
    from filelock import FileLock, Timeout

    for path in {root / file.name.removesuffix(".lock") for file in root.glob(f"{_NEW}*")}:
        with contextlib.suppress(OSError, NotImplementedError, Timeout), FileLock(f"{path}.lock", timeout=0):
            shutil.rmtree(path, ignore_errors=True)
            Path(f"{path}.lock").unlink(missing_ok=True)


def _file_digests(folder: Path) -> dict[str, str]:
    """Returns the digests of all files but the manifest."""
    digests = {}
    for path in sorted(folder.iterdir()):
        if path.name != _MANIFEST:
            with path.open("rb") as file:
                digests[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return digests


def _remove_atomically(folder: Path) -> None:
    """Moves the folder out of the way and deletes it there, so that no other process sees half of it."""
    try:
        with tempfile.TemporaryDirectory(prefix=".old-", dir=folder.parent, ignore_cleanup_errors=True) as name:
            folder.rename(Path(name) / "damaged")
    except OSError as error:
        _log.debug("cannot move %s: %s", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
