"""Checks of the names of outputs, before anything is written: their folders, older files, and the input itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.wording import switch
from streamdepth.sinks.file_system import link_target

_STREAM = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/.+/fd/\d+")
"""Links to the files or pipes that a process has open; writing must never replace them."""


def check_output(path: Path, *, overwrite: bool = False, input_path: Path | None = None) -> None:
    """Checks that a file may be written to `path`, or to the target of the link `path`, which need not exist.

    Args:
        overwrite: an existing file may be replaced, but never `input_path`.
        input_path: the file that is being read.

    Raises:
        SinkOpenError: with the code "exists", "is-input", "no-folder" (there is none, and it cannot be made),
            "not-a-file" or "bad-name".
    """
    if _STREAM.fullmatch(os.path.abspath(path)):
        raise SinkOpenError(
            f"cannot write '{path}': it is a stream of the process and no file; choose a file's name, or - for "
            "standard output, which takes videos (-o -) and JSON",
            code="not-a-file",
        )
    try:
        target = link_target(path)
        has_folder, exists = target.parent.is_dir(), path.exists()
    except OSError as error:  # for example a name that is too long
        raise SinkOpenError(f"cannot write '{path}': {error.strerror}; choose another name", code="bad-name") from error
    if not has_folder:
        _check_folder_can_be_made(target)
    if target.is_symlink():
        raise SinkOpenError(f"cannot write '{path}': this link leads in a circle; choose another name", code="bad-name")
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
