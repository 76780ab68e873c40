"""The camera of a web browser as a live source, which gets its pictures from a page."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

from streamdepth.core.arrays import Image
from streamdepth.core.interfaces import Source
from streamdepth.core.states import StreamState
from streamdepth.core.types import Frame, StreamInfo

_TIME_BASE = Fraction(1, 90000)
"""Seconds per tick."""


class BrowserSource(Source):
    """A source of pictures that a web page sends through `put_image`.

    Only the newest picture is kept; one that is replaced before it is read counts as `overtaken`. `open` returns at
    once, with `size` (width, height) in px until the first picture has another one. `read` waits for a picture until
    `interrupt` or `close`.
    """

    def __init__(self, size: tuple[int, int] = (640, 480)) -> None:
        super().__init__()
        self.name, self.size = "browser camera", size
        self._condition = threading.Condition()
        self._newest: Frame | None = None
        self._changed_info: StreamInfo | None = None
        self._is_open = self._has_browser_gone = False
        self._next_index, self._last_pts, self._opened_at = 0, -1, 0.0

    @property
    def drops_unread_frames(self) -> bool:
        return True

    def open(self) -> StreamInfo:
        with self._condition:
            self._is_open, self._newest, self._changed_info = True, None, None
            self._has_browser_gone = False
            self._next_index, self._last_pts = 0, -1
            self._opened_at = time.monotonic()
        return self._info(self.size)

    def _info(self, size: tuple[int, int]) -> StreamInfo:
        return StreamInfo(self.name, *size, is_live=True, time_base=_TIME_BASE)

    @property
    def _accepts_images(self) -> bool:
        return self._is_open and not self.interrupted.is_set()

    def put_image(self, image: Image) -> None:
        """Hands over a picture, (H, W, 3) uint8 RGB of any size. Ignored while the source is closed. Thread-safe."""
        now = time.monotonic()
        with self._condition:
            if not self._accepts_images:
                return
            if self._newest is not None:
                self.undelivered["overtaken"] += 1
            self._last_pts = max(round((now - self._opened_at) / _TIME_BASE), self._last_pts + 1)
            self._newest = Frame(image, self._next_index, self._last_pts, _TIME_BASE, now, self.name)
            self._next_index += 1
            self._has_browser_gone = False
            self._condition.notify_all()

    def on_disconnected(self) -> None:
        """Called when the browser has gone: `read` says so after the last picture, and waits for another browser."""
        with self._condition:
            self._has_browser_gone = True
            self._condition.notify_all()

    def read(self) -> Frame | None:
        # The reader itself enters the state: the caller of `read` enters LIVE with each picture, which would hide a
        # RECONNECTING that another thread had entered just before.
        with self._condition:
            self._condition.wait_for(lambda: self._has_browser_gone or not self._must_wait())
            is_deserted = self._must_wait()
        if is_deserted and not self.state.is_over:
            self.states.enter(StreamState.RECONNECTING, "the browser has gone; waiting for one")
        with self._condition:
            self._condition.wait_for(lambda: not self._must_wait())
            frame, self._newest = self._newest, None
        if frame is not None and frame.size != self.size:
            self.size = frame.size
            self._changed_info = self._info(self.size)
        return frame

    def take_changed_info(self) -> StreamInfo | None:
        info, self._changed_info = self._changed_info, None
        return info

    def _must_wait(self) -> bool:
        return self._accepts_images and self._newest is None

    def interrupt(self) -> None:
        super().interrupt()
        with self._condition:
            self._condition.notify_all()

    def close(self) -> None:
        with self._condition:
            self._is_open, self._newest = False, None
            self._condition.notify_all()
        super().close()
