"""Names with a number in them: %06d stands for the index of a frame, or the number of a segment.

The first such field of a name counts; any other `%` means itself. What has no such field gets a number where its name
is taken.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Collection
from pathlib import Path

_FIELD = re.compile(r"%0?\d*d")
_NUMBER = r" *\d+"
"""What stands for a field: %3d fills up with spaces."""


def has_number_field(name: str) -> bool:
    """Whether a number stands somewhere in `name`."""
    return _FIELD.search(name) is not None


def insert_number(name: str, number: int) -> str:
    """`name` with its number; as it is where it has none."""
    return _FIELD.sub(lambda field: field[0] % number, name, count=1)


def replace_number_field(name: str, instead: str) -> str:
    """`name` with `instead` where its number would stand."""
    return _FIELD.sub(lambda _: instead, name, count=1)


def number_glob(name: str) -> str:
    """`name` with a `*` for every number."""
    return _FIELD.sub("*", name)


def number_regex(name: str) -> str:
    """A regular expression for `name` with any number, which is its group; for that very name where it has none."""
    return f"({_NUMBER})".join(re.escape(part) for part in _FIELD.split(name, maxsplit=1))


def find_numbered_files(pattern: Path) -> list[Path]:
    """The files there already that `pattern` stands for: with any number in their name, or that very name."""
    name = re.compile(number_regex(pattern.name))
    return [path for path in pattern.parent.iterdir() if name.fullmatch(path.name)]


def has_numbered_file(pattern: str) -> bool:
    """Whether a file is there for some number, as `numbered` writes it: %06d is not 0007."""
    return any(
        insert_number(pattern, int(number)) == path
        for path in glob.iglob(number_glob(glob.escape(pattern)))
        for number in re.findall(r"\d+", path)
    )


def next_number(pattern: Path) -> int:
    """One more than the largest number for which a file of `pattern` is there, or one beside it such as its JSON."""
    name = re.compile(rf"{number_regex(pattern.name)}(?:\..+)?")
    found = (name.fullmatch(path.name) for path in pattern.parent.iterdir())
    return max((int(match[1]) + 1 for match in found if match), default=0)


def unused_name(name: str, taken: Collection[str], sign: str = "_") -> str:
    """`name`; where that is taken, with `sign` and a number behind it, NAME_2, NAME_3 and on."""
    names = itertools.chain([name], (f"{name}{sign}{n}" for n in itertools.count(2)))
    return next(free for free in names if free not in taken)
