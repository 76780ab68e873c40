"""Standard output and standard error that survive closed pipes, closed terminals and narrow encodings."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast


def protect_standard_streams() -> None:
    """Makes printing safe for any target that a shell connects the two streams to.

    Output to a stream that was closed before the start is discarded. Characters that the encoding lacks, and bytes of
    file names that are not UTF-8, are written as escapes. Standard error never raises: a full disk or a closed terminal
    must not make a successful command fail.
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
    """Flushes standard output. Returns False if that failed for another reason than a closed pipe."""
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
    """Redirects the rest to the null device, since otherwise the interpreter would print an error at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _ForgivingStream:
    """A text stream that discards text that it cannot write."""

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
