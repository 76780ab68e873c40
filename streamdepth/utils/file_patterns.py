"""Files that match a pattern: each once, without loops of links, under names that cannot be taken for addresses."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterator

_ANY_FOLDERS = "**"
_SAFE_NAME = re.compile(r"[\w.][\w .,()+=@~-]*(?:[/\\].*)?", re.DOTALL)
"""A relative path whose first part holds no colon, which could make it an address."""


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:
        return False


def match_files(pattern: str, *, is_each_once: bool = True, is_wanted: Callable[[str], bool] = _is_file) -> list[str]:
    """Returns the paths of all files that match a glob, sorted.

    `**` stands for any folders. Names with a wildcard match in any case of letters: `*.mp4` matches `DJI_0001.MP4`. The
    exact name of a folder means that folder: in `take [2]/*.png` the brackets are no wildcard if `take [2]` exists.

    Links are followed, but no folder is entered twice, and with `is_each_once` a file that has several paths by links
    is returned under one of them. A relative path that could be taken for an address, such as `lavfi:x.mp4` or `0`,
    gets `./` in front. `is_wanted` decides which paths count: files by default.
    """
    parts = re.split(r"[/\\]" if os.sep == "\\" else "/", pattern)
    root = ""
    if parts and not parts[0]:
        root = "/"
    elif os.sep == "\\" and parts[0].endswith(":"):
        root = parts.pop(0) + "\\"
    found = (path for path in _match(root, [part for part in parts if part]) if is_wanted(path))
    paths = sorted(dict.fromkeys(found), key=lambda path: (os.path.islink(path), path))
    if is_each_once:
        first: dict[str, str] = {}
        for path in paths:
            first.setdefault(os.path.realpath(path), path)
        paths = list(first.values())
    return sorted(map(local_path, paths))


def local_path(path: str) -> str:
    """Returns the path, with `./` in front if it could be taken for an address or a camera's number."""
    is_safe = os.path.isabs(path) or (_SAFE_NAME.fullmatch(path) and not path.isdecimal())
    return path if is_safe else os.path.join(".", path)


def is_local_path(address: str) -> bool:
    """True if an address is a local path: it begins like one, or a file or folder of that name exists.

    The name of a file may look like an address, for example when a shell has inserted it for `*`.
    """
    if address.startswith(("./", "../", "/")) or (os.sep == "\\" and re.match(r"\.{0,2}\\|[A-Za-z]:\\", address)):
        return True
    try:
        return os.path.lexists(address)
    except ValueError:
        return False


def _match(folder: str, parts: list[str]) -> Iterator[str]:
    """Yields the paths below `folder`, "" being the current one, that match the rest of a pattern."""
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == _ANY_FOLDERS:
        while rest and rest[0] == _ANY_FOLDERS:
            rest = rest[1:]
        for inner in _folders_below(folder):
            yield from _match(inner, rest or ["*"])
    elif glob.has_magic(part) and not (rest and os.path.isdir(os.path.join(folder, part))):
        matches = re.compile(fnmatch.translate(part), re.IGNORECASE).match
        for name in _names(folder):
            if matches(name) and (not name.startswith(".") or part.startswith(".")):
                path = os.path.join(folder, name)
                if not rest or os.path.isdir(path):
                    yield from _match(path, rest)
    else:
        path = os.path.join(folder, part)
        if os.path.lexists(path):
            yield from _match(path, rest)


def _folders_below(folder: str) -> Iterator[str]:
    """Yields `folder` and all folders below it, each once; real folders come before targets of links."""
    entered: set[tuple[int, int]] = set()
    waiting, links = [folder], list[str]()
    while waiting or links:
        current = waiting.pop() if waiting else links.pop(0)
        identity = _identity(current)
        if identity is None or identity in entered:
            continue
        entered.add(identity)
        yield current
        for name in _names(current):
            path = os.path.join(current, name)
            if not name.startswith(".") and os.path.isdir(path):
                (links if os.path.islink(path) else waiting).append(path)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder or ".")
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:  # a folder that may not be read holds nothing for us
        return []
