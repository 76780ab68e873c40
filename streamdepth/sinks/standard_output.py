"""Standard output as the file of a video, for a player or an encoder at the other end of a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from streamdepth.core.errors import SinkOpenError

STANDARD_OUTPUT = Path("-")
"""The path that stands for standard output."""


class StandardOutput:
    """Standard output, taken over for one file: whatever else is printed meanwhile goes to standard error.

    Written data cannot be removed, so `commit` and `discard` both only restore standard output.

    Args:
        is_text: True for lines that people can read, too; then it may be a terminal.
    """

    def __init__(self, *, is_text: bool = False) -> None:
        if not is_text:
            check_standard_output()
        sys.stdout.flush()
        self._descriptor = os.dup(1)
        with contextlib.suppress(OSError):  # standard error may be closed
            os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            msvcrt.setmode(self._descriptor, os.O_BINARY)

    def write(self, data: bytes) -> int:
        """Writes all of `data`. Raises OSError, which is BrokenPipeError if the reader has closed the pipe."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(data)

    def commit(self) -> None:
        """Restores standard output. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.dup2(descriptor, 1)
            os.close(descriptor)

    discard = commit


def check_standard_output() -> None:
    """Raises SinkOpenError ("terminal") if standard output is a terminal."""
    if sys.stdout is not None and sys.stdout.isatty():
        raise SinkOpenError(
            "the output - is standard output, and that is a terminal here; pass it on to another program, as in "
            "streamdepth convert in.mp4 -o - | ffplay -",
            code="terminal",
        )
