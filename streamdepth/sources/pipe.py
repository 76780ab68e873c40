"""Reading of pipes, which carry the output of another program and can be read only once, from front to back."""

from __future__ import annotations

import errno
import os
import select
import shutil
import stat
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdepth.core.errors import DiskFullError, SourceOpenError

_HEAD_BYTES = 65536
_FIRST_BYTES = 12
_POLL_SECONDS = 0.2
_MOV_BOXES = (b"ftyp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"mdat")
"""The boxes of MP4 and MOV that may come before the index, by their names."""


class PipeReader:
    """A file object that reads a pipe for libav; it waits for the writer, and `interrupt` ends the wait.

    Args:
        path: the pipe.
        descriptor: an open file descriptor to read instead, such as 0 for standard input; it is not closed.
        interrupted: once it is set, the pipe seems to end.
    """

    def __init__(self, path: Path, descriptor: int | None, interrupted: threading.Event) -> None:
        self._interrupted, self._has_own_descriptor = interrupted, descriptor is None
        # Opened without waiting, a named pipe has a descriptor to wait with; elsewhere it would seem to end at once.
        flags = os.O_NONBLOCK if sys.platform == "linux" else getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, os.O_RDONLY | flags) if descriptor is None else descriptor
        _set_binary(self._descriptor)
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Returns the first `size` bytes, or all if there are fewer; `read` returns them again."""
        while len(self._head) < size and (more := self._read_some(size - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes as soon as there are some; b"" at the end."""
        size = _HEAD_BYTES if size < 0 else size
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read_some(size)

    def _read_some(self, size: int) -> bytes:
        while not self._interrupted.is_set():
            if not _is_readable(self._descriptor):
                continue
            try:
                return os.read(self._descriptor, size)
            except BlockingIOError:
                continue
        return b""

    def close(self) -> None:
        """Closes the pipe, which tells its writer so. Idempotent."""
        if self._has_own_descriptor and self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class PipeInput:
    """An open pipe; a format that needs seeking, such as a phone's MP4, is stored first (`stored_path`).

    Args:
        name: the stream's name for messages.
        path, descriptor, interrupted: as for `PipeReader`.

    Raises:
        SourceOpenError: nothing comes ("empty"), the wait was interrupted ("interrupted"), or it cannot be read.
        DiskFullError: the temporary folder (TMPDIR) is too small for the copy.
    """

    def __init__(self, name: str, path: Path, descriptor: int | None, interrupted: threading.Event) -> None:
        self.stored_path: Path | None = None
        """The copy to read instead of the pipe; None where the pipe itself is read."""
        self._name = name
        self._folder: TemporaryDirectory[str] | None = None
        try:
            self.reader = PipeReader(path, descriptor, interrupted)
        except OSError as error:
            raise SourceOpenError(f"{name} cannot be read: {error.strerror}", code="no-permission") from error
        try:
            head = self.reader.peek(_FIRST_BYTES)
            if interrupted.is_set():
                raise SourceOpenError(f"{name} was left before anything came", code="interrupted")
            if not head:
                raise SourceOpenError(f"{name} is empty: its writer ended without a byte", code="empty")
            if head[4:8] in _MOV_BOXES and _has_index_last(self.reader.peek(_HEAD_BYTES)):
                self._store()
        except BaseException:
            self.close()
            raise

    def _store(self) -> None:
        self._folder = TemporaryDirectory(prefix="streamdepth-", ignore_cleanup_errors=True)
        self.stored_path = Path(self._folder.name) / "pipe.mp4"
        try:
            with self.stored_path.open("wb") as file:
                shutil.copyfileobj(self.reader, file)
        except OSError as error:
            kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else SourceOpenError
            raise kind(
                f"{self._name} cannot be stored in the temporary folder: {error.strerror}; its index comes last, so "
                "that it must be stored before it can be read; set TMPDIR to a folder with more space"
            ) from error

    def close(self) -> None:
        """Closes the pipe and removes the copy. Idempotent."""
        self.reader.close()
        if self._folder is not None:
            self._folder.cleanup()


def _has_index_last(head: bytes) -> bool:
    """True for an MP4 or MOV whose index comes after the pictures, as cameras and phones write it."""
    position = 0
    while position + 8 <= len(head):
        size, kind = int.from_bytes(head[position : position + 4], "big"), head[position + 4 : position + 8]
        if kind not in _MOV_BOXES:
            return False
        if kind == b"mdat":
            return True
        if size < 8:
            return False
        position += size
    return False


def is_pipe(path: Path) -> bool:
    """True for a file that can be read only once. Raises OSError."""
    return not stat.S_ISREG(path.stat().st_mode)


def _is_readable(descriptor: int) -> bool:
    """True once there is data or the end, within a moment; always True on systems that cannot wait for pipes."""
    if sys.platform == "win32":
        return True
    try:
        return bool(select.select([descriptor], [], [], _POLL_SECONDS)[0])
    except ValueError:  # the descriptor's number is too large for select
        return True


def _set_binary(descriptor: int) -> None:
    """Makes Windows pass on all bytes unchanged, as other systems do anyway."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
