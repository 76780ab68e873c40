"""The hidden names that outputs are written under, and what killed processes leave there."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import IO

from streamdepth.core.errors import SinkOpenError
from streamdepth.utils.numbering import number_regex

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_LONGEST = 100
"""Bytes of a name that are kept: with what is added to them, no file system finds it too long."""


def temporary_beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, with the same extension; never longer than a file system takes."""
    return path.with_name(f".{_stem(path)}.{secrets.token_hex(4)}.part{path.suffix}")


def temporary_folder(folder: Path) -> Path:
    """A fresh hidden name in `folder`."""
    return folder / f".{secrets.token_hex(4)}.part"


def remove_folders_left(folder: Path) -> None:
    """Those that killed runs left in `folder`. Only for those who know that nobody is writing there now."""
    for path in folder.iterdir():
        if re.fullmatch(r"\.[0-9a-f]{8}\.part", path.name):
            shutil.rmtree(path, ignore_errors=True)


def copy_beside(temporary: Path) -> Path:
    """The name for a file that is to replace the one at a temporary name."""
    return temporary.with_suffix(f".copy{temporary.suffix}")


def _stem(path: Path) -> str:
    """The name without its extension; of a long one its beginning, and what tells it from others that begin alike."""
    name = os.fsencode(path.stem)
    if len(name) <= _LONGEST:
        return path.stem
    return f"{name[:_LONGEST].decode(errors='ignore')}~{blake2b(name, digest_size=4).hexdigest()}"


def sidecar_of(path: Path) -> Path:
    """The JSON that lies beside a file and tells of it."""
    return path.with_name(f"{path.name}.json")


def lock(path: Path) -> IO[bytes] | None:
    """Holds `path` until the handle is closed or the process ends; None on Windows, and where there are no locks.

    Raises BlockingIOError where another holds it.
    """
    if fcntl is None:
        return None
    file = path.open("rb+")  # NFS gives such a lock to writers only
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            raise
        return None
    return file


def remove_leftovers(path: Path) -> None:
    """What killed runs left of `path`, and of the JSON beside it, under hidden names.

    Only for those who know that nobody is writing it now.
    """
    for file in _hidden(path, lambda wanted: re.escape(_stem(wanted))):
        file.unlink(missing_ok=True)


def remove_left_behind(pattern: Path) -> None:
    """Removes the temporary files of killed processes for all numbers of `pattern`, and of the JSONs beside them.

    Raises SinkOpenError where a process still writes one, then none is removed, and where one cannot be removed. Does
    nothing on Windows.
    """
    if fcntl is None:
        return
    with ExitStack() as locks:
        try:
            left = [file for file in _hidden(pattern, lambda wanted: number_regex(wanted.stem)) if _held(file, locks)]
            for file in left:
                file.unlink(missing_ok=True)
        except BlockingIOError:
            raise SinkOpenError(f"another process is writing '{pattern}' now; end it, or choose another name") from None
        except OSError as error:
            raise SinkOpenError(
                f"cannot remove '{error.filename}', which a killed run left: {error.strerror}; remove it, or choose "
                "another name"
            ) from error


def _held(file: Path, locks: ExitStack) -> bool:
    """Whether it could be locked, which lasts as long as `locks`. Raises BlockingIOError where another holds it."""
    try:
        held = lock(file)
    except FileNotFoundError:  # its process has just put it in place
        return False
    if held is not None:
        locks.enter_context(held)
    return held is not None


def _hidden(path: Path, stem: Callable[[Path], str]) -> Iterator[Path]:
    """The temporary files there for `path`, and for the JSON beside it; `stem` makes an expression of a name."""
    ends = [rf"{stem(p)}\.[0-9a-f]{{8}}\.part(\.copy)?{re.escape(p.suffix)}" for p in (path, sidecar_of(path))]
    name = re.compile(rf"\.({'|'.join(ends)})")
    return (file for file in path.parent.iterdir() if name.fullmatch(file.name))
