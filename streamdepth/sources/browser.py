"""A browser's camera as a stream: pictures are handed in, and read as from any other camera."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

from streamdepth.stages import Source
from streamdepth.states import StreamState
from streamdepth.types import Frame, Image, StreamInfo

_TICKS = 1000
"""A second, in ticks of the stream's clock."""


class BrowserSource(Source):
    """Frames that a web page sends by `put`; the newest only, those overtaken are counted as `overtaken`.

    Opens at once, as `size` px until the first picture says otherwise, and `read` waits for a picture for as long as
    none is sent: until `interrupt` or `close`.
    """

    def __init__(self, name: str = "browser camera", size: tuple[int, int] = (640, 480)) -> None:
        super().__init__()
        self.name, self.size = name, size
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._renewed: StreamInfo | None = None
        self._is_open = False
        self._index = 0
        self._began = 0.0

    def open(self) -> StreamInfo:
        with self._changed:
            self._is_open, self._waiting, self._index, self._began = True, None, 0, time.monotonic()
        return self._info(self.size)

    def _info(self, size: tuple[int, int]) -> StreamInfo:
        return StreamInfo(self.name, *size, is_live=True, time_base=Fraction(1, _TICKS))

    def put(self, image: Image) -> None:
        """image: (H, W, 3) uint8 RGB, of any size. Ignored while the source is not open. Thread-safe."""
        now = time.monotonic()
        with self._changed:
            if not self._is_open:
                return
            if self._waiting is not None:
                self.lost["overtaken"] += 1
            ticks = round((now - self._began) * _TICKS)
            self._waiting = Frame(image, self._index, ticks, Fraction(1, _TICKS), now, self.name)
            self._index += 1
            self._changed.notify_all()

    def leave(self) -> None:
        """The browser has gone; another may come."""
        self.states.enter(StreamState.RECONNECTING, "the browser has gone; waiting for one")

    def read(self) -> Frame | None:
        with self._changed:
            while self._is_open and self._waiting is None:
                self._changed.wait()
            frame, self._waiting = self._waiting, None
        if frame is not None and frame.image.shape[1::-1] != self.size:
            self.size = frame.image.shape[1], frame.image.shape[0]
            self._renewed = self._info(self.size)
        return frame

    def renewed(self) -> StreamInfo | None:
        info, self._renewed = self._renewed, None
        return info

    def interrupt(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def close(self) -> None:
        self.interrupt()
        self._waiting = None
