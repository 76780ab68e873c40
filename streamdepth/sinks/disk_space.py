"""Free space on disks: the one error for a full disk, and the end of a recording before the disk is full."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from streamdepth.core.errors import DiskFullError, SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.core.wrappers import WrappedSink

_CHECK_INTERVAL_SECONDS = 0.25


def disk_full_message(path: Path, reserve_bytes: float = 0) -> str:
    """Returns one line about a disk or quota without enough space for `path`; `reserve_bytes` are to stay free."""
    free = _free_bytes(path)
    reason, tip = "the disk or the quota is full", "make room or write elsewhere"
    if reserve_bytes:
        reason = f"{reserve_bytes / 1e6:.0f} MB of the disk are to stay free"
        tip = "make room, write elsewhere, or lower --min-free-mb (outputs.min_free_mb)"
    return f"no room for '{path}': {reason} ({free / 1e6:.0f} MB free); {tip}"


def check_free_space(path: Path, reserve_bytes: float) -> None:
    """Raises DiskFullError unless `reserve_bytes` are free for `path`, and OSError where its folder is missing."""
    if _free_bytes(path) < reserve_bytes:
        raise DiskFullError(disk_full_message(path, reserve_bytes))


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path if path.is_dir() else path.parent).free


class DiskSpaceGuard(WrappedSink):
    """Ends the recording of a live stream while there is still space to complete its files.

    Once fewer than `min_free_bytes` are free besides what the wrapped sink needs to finish, `wants_stop` is true;
    `close` completes the output and then raises DiskFullError. `open` raises it at once where there is too little
    space. Other streams are written without a guard, since a part of a converted file is of no use.
    """

    def __init__(self, inner: Sink, path: str | Path, *, min_free_bytes: float) -> None:
        super().__init__(inner)
        self.path, self.min_free_bytes = Path(path), min_free_bytes
        self._is_live = False
        self._shortage: DiskFullError | None = None
        self._checked_at = 0.0

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._is_live, self._shortage = info.is_live, None
        super().on_open(info, model)
        self._check()
        if self._shortage:
            raise DiskFullError(f"{self._shortage}; nothing was recorded")

    def on_write(self, item: DepthFrame) -> None:
        super().on_write(item)
        if time.monotonic() - self._checked_at > _CHECK_INTERVAL_SECONDS:
            self._check()

    def _check(self) -> None:
        if not self._is_live:
            return
        self._checked_at = time.monotonic()
        try:
            check_free_space(self.path, self.min_free_bytes + self.bytes_to_finish)
        except DiskFullError as error:
            self._shortage = error
        except OSError as error:
            raise SinkWriteError(f"writing '{self.path}' failed: {error.strerror}") from error

    def on_close(self) -> None:
        super().on_close()
        if self._shortage:
            raise DiskFullError(f"{self._shortage}; what was recorded is complete")

    @property
    def wants_stop(self) -> bool:
        return self._shortage is not None or super().wants_stop
