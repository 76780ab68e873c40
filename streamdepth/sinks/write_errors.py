"""Maps the errors of failed writes: folders without permission, full disks, and FFmpeg's errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from streamdepth.core.errors import DiskFullError, SinkOpenError, SinkWriteError
from streamdepth.sinks.disk_space import disk_full_message

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def map_write_errors(path: Path) -> Iterator[None]:
    """Turns errors of FFmpeg and of files into SinkWriteError, and those of a full disk into DiskFullError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise make_write_error(path, error) from error


def make_write_error(path: Path, error: Exception) -> SinkWriteError:
    """Returns the error of a failed write to `path`; it is a DiskFullError where there is no room."""
    return (DiskFullError if _is_disk_full(error) else SinkWriteError)(write_error_message(path, error))


def _is_disk_full(error: Exception) -> bool:
    """True for want of room, which libraries in C++ and Rust tell in the text of another error."""
    return getattr(error, "errno", None) in _DISK_FULL or os.strerror(errno.ENOSPC) in str(error)


def write_error_message(path: Path, error: Exception) -> str:
    """Returns one line for a failed write to `path`."""
    if _is_disk_full(error):
        return disk_full_message(path)
    reason = getattr(error, "strerror", None) or str(error)
    return f"writing '{path}' failed: {reason}"


def not_writable_error(folder: Path, error: OSError) -> SinkOpenError:
    """Returns the error, with the code "not-writable", for a folder in which no file could be made."""
    return SinkOpenError(
        f"cannot write to the folder '{folder}': {error.strerror or error}; choose another", code="not-writable"
    )
