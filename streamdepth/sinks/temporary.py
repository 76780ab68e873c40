"""The hidden names that outputs are written under, and what killed processes leave there."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import IO

from streamdepth.errors import SinkOpenError
from streamdepth.numbered import around

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


def temporary_beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, with the same extension; never longer than a file system takes."""
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")


def sidecar_of(path: Path) -> Path:
    """The JSON that lies beside a file and tells of it."""
    return path.with_name(f"{path.name}.json")


def lock(path: Path) -> IO[bytes] | None:
    """Holds `path` until the handle is closed or the process ends; None where another holds it, or on Windows."""
    if fcntl is None:
        return None
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def remove_leftovers(path: Path) -> None:
    """What killed runs left of `path`, and of the JSON beside it, under hidden names.

    Only for those who know that nobody is writing it now.
    """
    ours = (path, sidecar_of(path))
    names = [rf"\.{re.escape(p.stem[:40])}\.[0-9a-f]{{8}}\.part{re.escape(p.suffix)}" for p in ours]
    for file in path.parent.iterdir():
        if re.fullmatch("|".join(names), file.name):
            file.unlink(missing_ok=True)


def remove_left_behind(pattern: Path) -> None:
    """Removes the temporary files of killed processes for all numbers of `pattern`, and of what lies beside them.

    Raises SinkOpenError where a process still writes one. Does nothing on Windows.
    """
    before, after = around(pattern.name)
    number, rest, mark = re.escape(before) + r"\d+", after or "", r"\.[0-9a-f]{8}\.part"
    itself = f"{re.escape(rest.removesuffix(pattern.suffix))}({mark})+{re.escape(pattern.suffix)}"
    beside = rf"{re.escape(rest)}{mark}\..+"
    name = re.compile(rf"\.+{number}({itself}|{beside})")
    for path in pattern.parent.iterdir() if fcntl else ():
        if name.fullmatch(path.name):
            held = lock(path)
            if held is None:
                raise SinkOpenError(f"another process is writing '{pattern}' now; end it, or choose another name")
            path.unlink(missing_ok=True)
            held.close()
