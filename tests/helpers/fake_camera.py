"""A fake camera for tests, in place of `cv2.VideoCapture`."""

from __future__ import annotations

import threading
from typing import ClassVar

import cv2
import numpy as np


class FakeCapture:
    """A camera with two sizes in MJPG and one in YUYV, at 30 frames per second; class attributes make it misbehave."""

    present: ClassVar[set[int | str]] = {0}
    """Indices and paths of plugged-in cameras. After one was unplugged, its capture stays closed for good."""
    hangs: ClassVar[threading.Event | None] = None
    """Event that `read` waits for; None: `read` does not hang."""
    fails_after: ClassVar[int | None] = None
    """Number of reads after which all others fail."""
    unplugged: ClassVar[bool] = False
    """True: a camera whose reads fail is also closed."""
    gray: ClassVar[bool] = False
    default_size: ClassVar[tuple[int, int]] = (640, 480)
    """(width, height) in px where none is asked for."""
    alive: ClassVar[int] = 0
    """Number of captures that were made and not released."""

    def __init__(self, index: int | str, backend: int = 0) -> None:
        self._index, self._open = index, index in self.present
        self._size, self._fourcc, self._fps, self._reads = self.default_size, "YUYV", 30.0, 0
        FakeCapture.alive += 1

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        self._open = self._open and self._index in self.present
        return self._open and not (self.unplugged and self._failing())

    def _failing(self) -> bool:
        return self.fails_after is not None and self._reads >= self.fails_after

    def _offered(self) -> list[tuple[int, int]]:
        return [(640, 480), (1280, 720)] if self._fourcc == "MJPG" else [(640, 480)]

    def set(self, what: int, value: float) -> bool:
        if what == cv2.CAP_PROP_FOURCC:
            name = int(value).to_bytes(4, "little").decode()
            self._fourcc = name if name in ("MJPG", "YUYV") else self._fourcc
        elif what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
            axis = int(what == cv2.CAP_PROP_FRAME_HEIGHT)
            self._size = min(self._offered(), key=lambda size: abs(size[axis] - value))
        return True

    def get(self, what: int) -> float:
        return {
            cv2.CAP_PROP_FRAME_WIDTH: self._size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self._size[1],
            cv2.CAP_PROP_FPS: self._fps,
            cv2.CAP_PROP_FOURCC: int.from_bytes(self._fourcc.encode(), "little"),
        }.get(what, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.hangs is not None:
            self.hangs.wait(60)
        if self._failing() or not self.isOpened():
            return False, None
        self._reads += 1
        width, height = self._size
        if self.gray:
            return True, np.full((height, width), 90, np.uint8)
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 0] = 200  # blue, as OpenCV orders them
        return True, picture

    def release(self) -> None:
        self._open = False
        FakeCapture.alive -= 1
