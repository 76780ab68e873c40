"""Fakes for tests, ours and our users': a scene with exact depth, a model without weights, memory, failures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import InferenceError, SinkWriteError, SourceLostError
from streamdepth.core.interfaces import Estimator, Sink, Source
from streamdepth.core.types import DepthFrame, DepthKind, Estimate, Frame, ModelInfo, StreamInfo


class SyntheticSource(Source):
    """A box moving in front of a wall, with exact depth: `depth_at(index)` in metres.

    Each shot of `shot_frames` frames has its own colours, so that a cut is a cut. `delay_seconds` slows `read` down to
    a camera's pace.
    """

    def __init__(
        self,
        count: int = 30,
        width: int = 64,
        height: int = 48,
        *,
        name: str = "synthetic",
        is_live: bool = False,
        delay_seconds: float = 0.0,
        shot_frames: int | None = None,
    ) -> None:
        super().__init__()
        self.count, self.width, self.height = count, width, height
        self.name, self.is_live, self.delay_seconds, self.shot_frames = name, is_live, delay_seconds, shot_frames
        self.index = 0
        self.is_open = False

    def open(self) -> StreamInfo:
        self.index, self.is_open = 0, True
        return StreamInfo(
            self.name,
            self.width,
            self.height,
            fps=Fraction(30),
            frame_count=None if self.is_live else self.count,
            is_live=self.is_live,
            time_base=Fraction(1, 30),
        )

    def read(self) -> Frame | None:
        if not self.is_open or self.index >= self.count:
            return None
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        index = self.index
        self.index += 1
        return Frame(self.image_at(index), index, index, Fraction(1, 30), time.monotonic(), self.name)

    def close(self) -> None:
        self.is_open = False
        super().close()

    def _box(self, index: int) -> tuple[slice, slice]:
        size = self.height // 3
        left = index % max(1, self.width - size)
        return slice(size, 2 * size), slice(left, left + size)

    def image_at(self, index: int) -> Image:
        """(H, W, 3) uint8: a textured wall and a bright box."""
        shot = index // self.shot_frames if self.shot_frames else 0
        rng = np.random.default_rng(shot)
        base = rng.integers(0, 120, 3) + (100 if shot % 2 else 0)
        noise = rng.integers(0, 20, (self.height, self.width, 1))
        image = np.clip(base + noise, 0, 255).astype(np.uint8)
        image[self._box(index)] = rng.integers(200, 255, 3)
        return np.ascontiguousarray(image)

    def depth_at(self, index: int) -> DepthMap:
        """(H, W) float32, metres: a wall at 4 m, leaning to 3 m at the bottom, the box at 1.5 m."""
        depth = np.repeat(np.linspace(4.0, 3.0, self.height, dtype=np.float32)[:, None], self.width, axis=1)
        depth[self._box(index)] = 1.5
        return depth


class ConstantEstimator(Estimator):
    """The same ramp for every frame, or the brightness of the picture where `from_brightness` is set."""

    def __init__(
        self,
        kind: DepthKind = DepthKind.RELATIVE,
        size: tuple[int, int] = (24, 32),
        *,
        from_brightness: bool = False,
        delay_seconds: float = 0.0,
    ) -> None:
        self.kind, self.size, self.from_brightness, self.delay_seconds = kind, size, from_brightness, delay_seconds
        self.batches: list[list[str]] = []
        self.resets: list[str] = []
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("constant", self.kind, license="Apache-2.0")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.batches.append([f.stream for f in frames])
        return [Estimate(self._depth(f)) for f in frames]

    def _depth(self, frame: Frame) -> DepthMap:
        height, width = self.size
        if self.from_brightness:
            rows = np.linspace(0, frame.image.shape[0] - 1, height).astype(int)
            columns = np.linspace(0, frame.image.shape[1] - 1, width).astype(int)
            return np.asarray(frame.image[np.ix_(rows, columns)].mean(2) / 255 + 0.1, np.float32)
        return np.repeat(np.linspace(0.5, 2.0, height, dtype=np.float32)[:, None], width, axis=1)

    def reset(self, stream: str) -> None:
        self.resets.append(stream)

    def close(self) -> None:
        self.closed = True


class RecordingSink(Sink):
    """Remembers what happened to it."""

    def __init__(
        self, *, can_drop_frames: bool = False, delay_seconds: float = 0.0, stop_after: int | None = None
    ) -> None:
        super().__init__()
        self.can_drop_frames = can_drop_frames
        self.delay_seconds, self.stop_after = delay_seconds, stop_after
        self.items: list[DepthFrame] = []
        self.info: StreamInfo | None = None
        self.model: ModelInfo | None = None
        self.closed = self.discarded = False

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.info, self.model = info, model

    def on_write(self, item: DepthFrame) -> None:
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.items.append(item)

    def on_close(self) -> None:
        self.closed = True

    def on_discard(self) -> None:
        self.discarded = True

    @property
    def wants_stop(self) -> bool:
        return self.stop_after is not None and len(self.items) >= self.stop_after


class FailingSource(SyntheticSource):
    """Fails with SourceLostError after `after` frames."""

    def __init__(self, after: int = 5, **options: int) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.after = after

    def read(self) -> Frame | None:
        if self.index >= self.after:
            raise SourceLostError(f"{self.name} ended after {self.after} of {self.count} frames")
        return super().read()


class FailingEstimator(ConstantEstimator):
    """Fails with InferenceError after `after` calls."""

    def __init__(self, after: int = 2) -> None:
        super().__init__()
        self.after = after

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if len(self.batches) >= self.after:
            raise InferenceError("the model failed on purpose")
        return super().estimate(frames)


class FailingSink(RecordingSink):
    """Fails with SinkWriteError after `after` frames."""

    def __init__(self, after: int = 3) -> None:
        super().__init__()
        self.after = after

    def on_write(self, item: DepthFrame) -> None:
        if len(self.items) >= self.after:
            raise SinkWriteError("the sink failed on purpose")
        super().on_write(item)
