"""Standard output and standard error that survive closed pipes, closed terminals and narrow encodings."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast


def protect_standard_streams() -> None:
    """Makes printing safe, whatever a shell has connected the two streams to.

    A stream that was closed before the start goes nowhere. Characters that the encoding lacks, and bytes of file names
    that are no UTF-8, are written as escapes. Standard error never fails: a full disk or a closed terminal behind it
    must not make a failure of work that succeeds.
    """
    if sys.stdout is None:
        sys.stdout = _open_null_device()
    if sys.stderr is None:
        sys.stderr = _open_null_device()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = cast(TextIO, _ForgivingStream(sys.stderr))


def flush_standard_output() -> bool:
    """Writes out what standard output still has. Returns False if that failed for another reason than a closed pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_standard_output()
    except OSError:
        _discard_standard_output()
        return False
    return True


def _open_null_device() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _discard_standard_output() -> None:
    """Sends what is left to the null device; else the interpreter would complain once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _ForgivingStream:
    """A text stream that forgets what it cannot write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
