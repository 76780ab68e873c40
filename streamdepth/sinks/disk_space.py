"""Recording until the disk is nearly full, and not until it is."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from streamdepth.core.errors import DiskFullError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.output import writing

_LOOK_SECONDS = 0.25


class DiskSpaceGuard(Sink):
    """Ends the recording of a live stream while there is still room to complete its files.

    Once less than `min_free_bytes`, and what the inner sink needs to finish, is free, `wants_stop` is true; `close`
    completes the output and then raises DiskFullError. Streams that are not live are left alone: of a file, a part is
    no use. `open` raises DiskFullError at once where there is too little room.
    """

    def __init__(self, sink: Sink, path: str | Path, *, min_free_bytes: float) -> None:
        super().__init__()
        self.sink, self.path, self.min_free_bytes = sink, Path(path), min_free_bytes
        self.notices, self.can_drop_frames = sink.notices, sink.can_drop_frames
        self._is_live = False
        self._shortage = ""
        self._looked_at = 0.0

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._is_live, self._shortage = info.is_live, ""
        self.sink.open(info, model)
        try:
            self._look()
            if self._shortage:
                raise DiskFullError(f"{self._shortage}; nothing was recorded")
        except SinkWriteError:
            self.sink.discard()
            raise

    def write(self, item: DepthFrame) -> None:
        self.sink.write(item)
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        if not self._is_live:
            return
        self._looked_at = time.monotonic()
        with writing(self.path):
            free = shutil.disk_usage(self.path.parent).free
        needed = self.min_free_bytes + self.sink.bytes_to_finish
        if free < needed:
            self._shortage = (
                f"the disk of '{self.path}' has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} MB are to stay free; "
                "make room, record elsewhere, or lower --min-free-mb"
            )

    def on_stream_changed(self, info: StreamInfo) -> None:
        self.sink.on_stream_changed(info)

    def close(self) -> None:
        self.sink.close()
        shortage, self._shortage = self._shortage, ""
        if shortage:
            raise DiskFullError(f"{shortage}; what was recorded is complete")

    def discard(self) -> None:
        self._shortage = ""
        self.sink.discard()

    def on_idle(self) -> None:
        self.sink.on_idle()

    @property
    def bytes_to_finish(self) -> int:
        return self.sink.bytes_to_finish

    @property
    def wants_stop(self) -> bool:
        return bool(self._shortage) or self.sink.wants_stop
