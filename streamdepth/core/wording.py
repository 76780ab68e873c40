"""Names of switches in messages: flags for users of the command line, keywords for users of Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_is_command_line = False


def switch(flag: str) -> str:
    """Returns what a user writes to turn a switch on: `--overwrite`, or `overwrite=True` in a Python program."""
    return flag if _is_command_line else f"{flag.removeprefix('--').replace('-', '_')}=True"


@contextmanager
def command_line_wording() -> Iterator[None]:
    """Makes messages within the block, of all threads, name flags instead of keywords."""
    global _is_command_line
    before, _is_command_line = _is_command_line, True
    try:
        yield
    finally:
        _is_command_line = before
