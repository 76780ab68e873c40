"""A browser's camera as a stream: pictures are handed in, and read as from any other camera."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

from streamdepth.core.arrays import Image
from streamdepth.core.interfaces import Source
from streamdepth.core.states import StreamState
from streamdepth.core.types import Frame, StreamInfo

_TICK = Fraction(1, 90000)
"""Seconds."""


class BrowserSource(Source):
    """Frames that a web page sends by `put_image`; the newest only, those overtaken are counted as `overtaken`.

    Opens at once, as `size` px until the first picture says otherwise, and `read` waits for a picture for as long as
    none is sent: until `interrupt` or `close`.
    """

    def __init__(self, size: tuple[int, int] = (640, 480)) -> None:
        super().__init__()
        self.name, self.size = "browser camera", size
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._renewed: StreamInfo | None = None
        self._is_open = False
        self._index, self._pts, self._began = 0, -1, 0.0

    @property
    def drops_unread_frames(self) -> bool:
        return True

    def open(self) -> StreamInfo:
        with self._changed:
            self._is_open, self._waiting, self._renewed = True, None, None
            self._index, self._pts = 0, -1
            self._began = time.monotonic()
        return self._info(self.size)

    def _info(self, size: tuple[int, int]) -> StreamInfo:
        return StreamInfo(self.name, *size, is_live=True, time_base=_TICK)

    @property
    def _is_waiting(self) -> bool:
        return self._is_open and not self.interrupted.is_set()

    def put_image(self, image: Image) -> None:
        """image: (H, W, 3) uint8 RGB, of any size. Ignored while the source is not open. Thread-safe."""
        now = time.monotonic()
        with self._changed:
            if not self._is_waiting:
                return
            if self._waiting is not None:
                self.undelivered["overtaken"] += 1
            self._pts = max(round((now - self._began) / _TICK), self._pts + 1)
            self._waiting = Frame(image, self._index, self._pts, _TICK, now, self.name)
            self._index += 1
            self._changed.notify_all()

    def on_disconnected(self) -> None:
        """The browser has gone; another may come, unless the stream is over."""
        if self._is_waiting and not self.state.is_over:
            self.states.enter(StreamState.RECONNECTING, "the browser has gone; waiting for one")

    def read(self) -> Frame | None:
        with self._changed:
            while self._is_waiting and self._waiting is None:
                self._changed.wait()
            frame, self._waiting = self._waiting, None
        if frame is not None and frame.image.shape[1::-1] != self.size:
            self.size = frame.image.shape[1], frame.image.shape[0]
            self._renewed = self._info(self.size)
        return frame

    def take_changed_info(self) -> StreamInfo | None:
        info, self._renewed = self._renewed, None
        return info

    def interrupt(self) -> None:
        super().interrupt()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_open, self._waiting = False, None
            self._changed.notify_all()
        super().close()
