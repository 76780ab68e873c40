"""Fakes for tests of programs that use streamdepth, and for its own.

A scene with exact depth, a model without weights, a sink that remembers everything, and variants that fail on purpose.
They are configured by arguments; a callback such as `before_read` may wait for an event or raise an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import InferenceError, SinkOpenError, SinkWriteError, SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, Estimate, Frame, ModelInfo, StreamInfo

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


class ConstantEstimator(Estimator):
    """A model without weights: the same ramp for every frame, or the brightness of the picture.

    >>> model = ConstantEstimator(kind=DepthKind.METRIC, size=(2, 3))
    >>> source = SyntheticSource()
    >>> _ = source.open()
    >>> model.estimate([source.read()])[0].depth.tolist()
    [[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]]

    Args:
        kind: what the depth means.
        size: (rows, columns) of the depth.
        from_brightness: True for depth from the picture's brightness, 0.1 (black) to 1.1 (white).
        delay_seconds: how long each batch takes.
        focal_px: the focal length that the model claims to see.
        before_estimate: called with the frames of each batch before it is computed.
        before_warm_up: called with the (width, height) that the model is warmed up for.
    """

    def __init__(
        self,
        kind: DepthKind = DepthKind.RELATIVE,
        size: tuple[int, int] = (24, 32),
        *,
        from_brightness: bool = False,
        delay_seconds: float = 0.0,
        focal_px: float | None = None,
        before_estimate: Callable[[Sequence[Frame]], object] | None = None,
        before_warm_up: Callable[[tuple[int, int]], object] | None = None,
    ) -> None:
        self.kind, self.size, self.from_brightness, self.delay_seconds = kind, size, from_brightness, delay_seconds
        self.focal_px, self.before_estimate, self.before_warm_up = focal_px, before_estimate, before_warm_up
        self.batches: list[list[str]] = []
        """The stream names of the frames of each batch."""
        self.warmed_up: list[tuple[int, int]] = []
        """The sizes that `warm_up` was called with."""
        self.resets: list[str] = []
        """The streams that `reset` was called with."""
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("constant", self.kind, license="Apache-2.0")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if self.before_estimate is not None:
            self.before_estimate(frames)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.batches.append([frame.stream for frame in frames])
        return [Estimate(self._depth(frame), self.focal_px) for frame in frames]

    def _depth(self, frame: Frame) -> DepthMap:
        height, width = self.size
        if self.from_brightness:
            rows = np.linspace(0, frame.image.shape[0] - 1, height).astype(int)
            columns = np.linspace(0, frame.image.shape[1] - 1, width).astype(int)
            return np.asarray(frame.image[np.ix_(rows, columns)].mean(2) / 255 + 0.1, np.float32)
        return np.repeat(np.linspace(0.5, 2.0, height, dtype=np.float32)[:, None], width, axis=1)

    def warm_up(self, width: int, height: int) -> None:
        self.warmed_up.append((width, height))
        if self.before_warm_up is not None:
            self.before_warm_up((width, height))

    def reset(self, stream: str) -> None:
        self.resets.append(stream)

    def close(self) -> None:
        self.closed = True


class FailingEstimator(ConstantEstimator):
    """A model that fails with InferenceError at batch `fail_at`, counted from 0."""

    def __init__(self, fail_at: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.fail_at = fail_at

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if len(self.batches) >= self.fail_at:
            raise InferenceError("the model failed on purpose")
        return super().estimate(frames)


class RecordingSink(Sink):
    """A sink that keeps everything that it gets in memory.

    Args:
        can_drop_frames: True for a preview or server.
        needs_calling_thread: True for a window.
        delay_seconds: how long each `write` takes.
        stop_after: number of items after which the sink asks to stop the run.
        stop_after_idle: number of calls of `on_idle` after which the sink asks to stop the run.
        before_write: called with each item before it is kept.
        after_write: called with each item after it was kept.
        before_close: called before the sink is completed.
        after_close: called when the sink is complete.
        on_stall: called with the last item and the seconds since then, at each `on_stalled`.
    """

    def __init__(
        self,
        *,
        can_drop_frames: bool = False,
        needs_calling_thread: bool = False,
        delay_seconds: float = 0.0,
        stop_after: int | None = None,
        stop_after_idle: int | None = None,
        before_write: Callable[[DepthFrame], object] | None = None,
        after_write: Callable[[DepthFrame], object] | None = None,
        before_close: Callable[[], object] | None = None,
        after_close: Callable[[], object] | None = None,
        on_stall: Callable[[DepthFrame, float], object] | None = None,
    ) -> None:
        super().__init__()
        self.can_drop_frames, self.needs_calling_thread = can_drop_frames, needs_calling_thread
        self.delay_seconds, self.stop_after, self.stop_after_idle = delay_seconds, stop_after, stop_after_idle
        self.before_write, self.after_write, self.on_stall = before_write, after_write, on_stall
        self.before_close, self.after_close = before_close, after_close
        self.items: list[DepthFrame] = []
        self.info: StreamInfo | None = None
        """The stream's facts when the sink was opened."""
        self.model: ModelInfo | None = None
        self.changes: list[tuple[int, StreamInfo]] = []
        """The number of items before each `on_stream_changed`, and its facts."""
        self.idle_count = 0
        self.closed = self.discarded = False

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.info, self.model = info, model

    def on_write(self, item: DepthFrame) -> None:
        if self.before_write is not None:
            self.before_write(item)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.items.append(item)
        if self.after_write is not None:
            self.after_write(item)

    def on_close(self) -> None:
        if self.before_close is not None:
            self.before_close()
        self.closed = True
        if self.after_close is not None:
            self.after_close()

    def on_discard(self) -> None:
        self.discarded = True

    def on_stream_changed(self, info: StreamInfo) -> None:
        self.changes.append((len(self.items), info))

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        if self.on_stall is not None:
            self.on_stall(last, seconds)

    def on_idle(self) -> None:
        self.idle_count += 1

    @property
    def wants_stop(self) -> bool:
        has_enough_items = self.stop_after is not None and len(self.items) >= self.stop_after
        return has_enough_items or (self.stop_after_idle is not None and self.idle_count >= self.stop_after_idle)


class FailingSink(RecordingSink):
    """A sink that fails at item `fail_at`, counted from 0, or when it is opened or closed."""

    def __init__(self, fail_at: int | Literal["open", "close"] = 3, **options: Any) -> None:
        super().__init__(**options)
        self.fail_at = fail_at

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.fail_at == "open":
            raise SinkOpenError("the sink failed on purpose")
        super().on_open(info, model)

    def on_write(self, item: DepthFrame) -> None:
        if len(self.items) == self.fail_at:
            raise SinkWriteError("the sink failed on purpose")
        super().on_write(item)

    def on_close(self) -> None:
        if self.fail_at == "close":
            raise SinkWriteError("the sink failed on purpose")
        super().on_close()
