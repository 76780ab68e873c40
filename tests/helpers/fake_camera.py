"""A camera for tests: what `cv2.VideoCapture` would do, without one."""

from __future__ import annotations

import threading
from typing import ClassVar

import cv2
import numpy as np


class FakeCapture:
    """Offers two sizes in MJPG and one in YUYV, at 30 frames per second; set the class attributes to misbehave."""

    present: ClassVar[set[int | str]] = {0}
    """What is plugged in. A camera that was taken out is gone; a new capture is needed once it is back."""
    hangs: ClassVar[threading.Event | None] = None
    """`read` waits for it."""
    fails_after: ClassVar[int | None] = None
    unplugged: ClassVar[bool] = False
    gray: ClassVar[bool] = False
    usual: ClassVar[tuple[int, int]] = (640, 480)
    """Its size where none is asked for."""
    alive: ClassVar[int] = 0

    def __init__(self, index: int | str, backend: int = 0) -> None:
        self._index, self._open = index, index in self.present
        self._size, self._fourcc, self._fps, self._reads = self.usual, "YUYV", 30.0, 0
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
