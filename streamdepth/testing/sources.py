"""Sources of a rendered scene whose depth is known exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo

_FPS = 30


class SyntheticSource(Source):
    """A bright box moving in front of a wall, with exact depth: `depth_at(index)` in meters.

    >>> source = SyntheticSource(count=2)
    >>> source.open().fps, source.read().time, source.read().time, source.read()
    (Fraction(30, 1), 0.0, 0.03333333333333333, None)

    Args:
        count: number of frames.
        width: width of the frames in px.
        height: height of the frames in px.
        name: the stream's name.
        is_live: True for a stream that cannot wait.
        drops_unread_frames: True for a stream that begins with the frame that comes when the model is ready.
        delay_seconds: how long each `read` takes.
        shot_frames: number of frames after which the colors change, which is a cut; None: no cuts.
        sizes: index -> (width, height) of the frames from there on; `take_changed_info` tells it.
        before_open: called by `open` and `wait_until_open` first.
        before_read: called by `read` first, with the index of the frame to be read; when the source was interrupted
            meanwhile, there are no more frames.
    """

    def __init__(
        self,
        count: int = 30,
        width: int = 64,
        height: int = 48,
        *,
        name: str = "synthetic",
        is_live: bool = False,
        drops_unread_frames: bool = False,
        delay_seconds: float = 0.0,
        shot_frames: int | None = None,
        sizes: Mapping[int, tuple[int, int]] | None = None,
        before_open: Callable[[], object] | None = None,
        before_read: Callable[[int], object] | None = None,
    ) -> None:
        super().__init__()
        self.count, self.width, self.height = count, width, height
        self.name, self.is_live, self.delay_seconds, self.shot_frames = name, is_live, delay_seconds, shot_frames
        self.sizes, self.before_open, self.before_read = dict(sizes or {}), before_open, before_read
        self.index = 0
        """The index of the frame that is read next."""
        self.is_open = False
        self._drops_unread_frames = drops_unread_frames
        self._has_changed = False

    @property
    def drops_unread_frames(self) -> bool:
        return self._drops_unread_frames

    @property
    def info(self) -> StreamInfo:
        """The stream's facts at its current size."""
        return StreamInfo(
            self.name,
            self.width,
            self.height,
            fps=Fraction(_FPS),
            frame_count=None if self.is_live else self.count,
            is_live=self.is_live,
            time_base=Fraction(1, _FPS),
        )

    def open(self) -> StreamInfo:
        if self.before_open is not None:
            self.before_open()
        self.index, self.is_open = 0, True
        return self.info

    def wait_until_open(self) -> StreamInfo | None:
        info = self.open()
        if self.interrupted.is_set():
            self.is_open = False
            return None
        return info

    def read(self) -> Frame | None:
        if self.before_read is not None:
            self.before_read(self.index)
            if self.interrupted.is_set():
                return None
        if not self.is_open or self.index >= self.count:
            return None
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        index = self.index
        self.index += 1
        if size := self.sizes.get(index):
            (self.width, self.height), self._has_changed = size, True
        return Frame(self.image_at(index), index, index, Fraction(1, _FPS), time.monotonic(), self.name)

    def take_changed_info(self) -> StreamInfo | None:
        has_changed, self._has_changed = self._has_changed, False
        return self.info if has_changed else None

    def close(self) -> None:
        self.is_open = False
        super().close()

    def _box(self, index: int) -> tuple[slice, slice]:
        size = self.height // 3
        left = index % max(1, self.width - size)
        return slice(size, 2 * size), slice(left, left + size)

    def image_at(self, index: int) -> Image:
        """Returns the picture of a frame, (H, W, 3) uint8 RGB: a textured wall and a bright box."""
        shot = index // self.shot_frames if self.shot_frames else 0
        rng = np.random.default_rng(shot)
        base = rng.integers(0, 120, 3) + (100 if shot % 2 else 0)
        noise = rng.integers(0, 20, (self.height, self.width, 1))
        image = np.clip(base + noise, 0, 255).astype(np.uint8)
        image[self._box(index)] = rng.integers(200, 255, 3)
        return np.ascontiguousarray(image)

    def depth_at(self, index: int) -> DepthMap:
        """Returns the exact depth of a frame, (H, W) float32 in meters.

        The wall is 4 m away at the top and 3 m at the bottom, the box 1.5 m.
        """
        depth = np.repeat(np.linspace(4.0, 3.0, self.height, dtype=np.float32)[:, None], self.width, axis=1)
        depth[self._box(index)] = 1.5
        return depth


class FailingSource(SyntheticSource):
    """A synthetic source that is lost (SourceLostError) at frame `fail_at`, or cannot be opened (SourceOpenError)."""

    def __init__(self, fail_at: int | Literal["open"] = 5, **options: Any) -> None:
        super().__init__(**options)
        self.fail_at = fail_at

    def open(self) -> StreamInfo:
        if self.fail_at == "open":
            raise SourceOpenError(f"{self.name} is not there", code="not-found")
        return super().open()

    def read(self) -> Frame | None:
        if self.index == self.fail_at:
            raise SourceLostError(f"{self.name} ended after {self.fail_at} of {self.count} frames")
        return super().read()
