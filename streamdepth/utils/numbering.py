"""File names with a number field: `%06d` stands for the index of a frame or the number of a segment.

Only the first such field of a name counts; any other `%` means itself. A name without a field gets a number at its end
where it is taken already.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Collection, Sequence
from pathlib import Path

_FIELD = re.compile(r"%0?\d*d")
_LAST_NUMBER = re.compile(r"(.*?)(\d{1,9})(\D*)")
_NUMBER = r" *\d+"
"""Regular expression for a formatted number; %3d pads with spaces."""
_LARGEST_NUMBER = 999_999_999
"""The largest number in a name that counts frames; larger ones are times."""


def has_number_field(name: str) -> bool:
    """True if `name` contains a field such as `%06d`."""
    return _FIELD.search(name) is not None


def insert_number(name: str, number: int) -> str:
    """Returns `name` with `number` in its field, or `name` itself where it has no field.

    >>> insert_number("frame_%04d.png", 7)
    'frame_0007.png'
    """
    return _FIELD.sub(lambda field: field[0] % number, name, count=1)


def replace_number_field(name: str, replacement: str) -> str:
    """Returns `name` with `replacement` in place of its number field."""
    return _FIELD.sub(lambda _: replacement, name, count=1)


def number_glob(path: str) -> str:
    """Returns a glob pattern for `path` with any number: `*` stands for the field of the last name that has one.

    In that name `*` and `?` stay wildcards, and brackets mean themselves. `find_number` tells which files that match
    have a number there.

    >>> number_glob("takes/sh[1]_%04d.png")
    'takes/sh[[]1]_*.png'
    """
    parts = list(Path(path).parts)
    at = _part_with_field(path)
    parts[at] = "*".join(part.replace("[", "[[]") for part in _FIELD.split(parts[at], maxsplit=1))
    return str(Path(*parts))


def find_number(pattern: str, path: str) -> int | None:
    """Returns the number of `path` in the field of `pattern`; None if it has none, or its name differs elsewhere.

    >>> find_number("sh_%04d_v02.png", "sh_1001_v02.png"), find_number("*_%04d.png", "left_0007.png")
    (1001, 7)
    """
    at, parts = _part_with_field(pattern), Path(path).parts
    if len(parts) < -at:
        return None
    name = number_regex(Path(pattern).parts[at]).replace(r"\*", ".*").replace(r"\?", ".")
    match = re.fullmatch(name, parts[at], re.IGNORECASE)
    return int(match[1]) if match else None


def _part_with_field(path: str) -> int:
    """Returns the position of the last name with a field among the parts of a path, -1 for the file's own name."""
    return next(-1 - n for n, part in enumerate(reversed(Path(path).parts)) if has_number_field(part))


def number_regex(name: str) -> str:
    """Returns a regular expression that matches `name` with any number, captured as a group.

    Without a field it matches `name` only.
    """
    return f"({_NUMBER})".join(re.escape(part) for part in _FIELD.split(name, maxsplit=1))


def find_numbered_files(pattern: Path) -> list[Path]:
    """Returns the existing files that match `pattern` with any number in its field, in no particular order."""
    name = re.compile(number_regex(pattern.name))
    if not pattern.parent.is_dir():
        return []
    return [path for path in pattern.parent.iterdir() if name.fullmatch(path.name)]


def has_numbered_file(pattern: str) -> bool:
    """True if a file exists that `insert_number` makes of `pattern`; 0007 does not match %06d."""
    return any(
        insert_number(pattern, int(number)) == path
        for path in glob.iglob(_FIELD.sub("*", glob.escape(pattern)))
        for number in re.findall(r"\d+", path)
    )


def next_number(pattern: Path) -> int:
    """Returns one more than the largest number in use; 0 where no file matches `pattern`.

    Files with a further suffix, such as the JSON beside a depth video, count too.
    """
    name = re.compile(rf"{number_regex(pattern.name)}(?:\..+)?")
    matches = (name.fullmatch(path.name) for path in pattern.parent.iterdir())
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def sequence_numbers(paths: Sequence[str]) -> list[int] | None:
    """Returns the rising numbers of files whose names differ in their last number only; None for any other files.

    Files are no sequence where more numbers are missing than there are.

    >>> sequence_numbers(["sh010.1001.exr", "sh010.1003.exr"])
    [1001, 1003]
    """
    matches = [_LAST_NUMBER.fullmatch(Path(path).name) for path in paths]
    if len(paths) < 2 or len({match and (match[1], match[3]) for match in matches}) > 1:
        return None
    numbers = [int(match[2]) for match in matches if match]
    if not numbers or numbers[-1] - numbers[0] + 1 > 2 * len(numbers):
        return None
    return numbers if _is_rising(numbers) and len({Path(path).parent for path in paths}) == 1 else None


def pattern_numbers(pattern: str, paths: Sequence[str]) -> list[int] | None:
    """Returns the numbers of files in the field of `pattern`, however many are missing between them.

    None where they do not rise, or are too large to count frames, as times are.

    >>> pattern_numbers("sh_%04d_v02.png", ["sh_1001_v02.png", "sh_1005_v02.png"])
    [1001, 1005]
    """
    numbers = [number for path in paths if (number := find_number(pattern, path)) is not None]
    is_whole = 0 < len(numbers) == len(paths)
    return numbers if is_whole and _is_rising(numbers) and numbers[-1] <= _LARGEST_NUMBER else None


def _is_rising(numbers: Sequence[int]) -> bool:
    return all(a < b for a, b in itertools.pairwise(numbers))


def unused_name(name: str, taken: Collection[str], separator: str = "_") -> str:
    """Returns `name`, or the first of NAME_2, NAME_3... that is not in `taken`.

    >>> unused_name("door", {"door", "door_2"})
    'door_3'
    """
    names = itertools.chain([name], (f"{name}{separator}{n}" for n in itertools.count(2)))
    return next(free for free in names if free not in taken)


def unused_names(names: Sequence[str]) -> list[str]:
    """Returns a unique name for each of `names`: the first of several that are equal keeps it, others get a number.

    >>> unused_names(["IMG", "IMG", "IMG_2"])
    ['IMG', 'IMG_3', 'IMG_2']
    """
    found: list[str] = []
    for name in names:
        found.append(unused_name(name, {*names, *found}) if name in found else name)
    return found
