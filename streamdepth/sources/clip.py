"""A part of a recording: from one time to another, at a constant rate, or of a rectangle of the picture."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource


class ClipSource(WrappedSource):
    """The frames of a recording whose times lie within [start, end); their numbers and times begin at 0.

    `open` reads up to the first of them, whose exact time stands in `StreamInfo.clip_start`, so that outputs cut the
    sound alike. It raises SourceOpenError ("empty") where the recording ends before the start, and ConfigError
    ("not-a-file") for live streams.

    Args:
        source: the recording.
        start_seconds: time of its clock, which begins at 0.
        end_seconds: time of its clock; None: to its end.
    """

    def __init__(self, source: Source, start_seconds: float = 0.0, end_seconds: float | None = None) -> None:
        super().__init__(source)
        self._start, self._end = Fraction(start_seconds), None if end_seconds is None else Fraction(end_seconds)
        self._first: Frame | None = None
        self._offset = 0, 0
        """Number and pts of the first frame."""

    def on_open(self, info: StreamInfo) -> StreamInfo:
        if info.is_live:
            raise ConfigError(
                f"start and end cut recordings, and {info.name} is live; --max-seconds ends a live stream",
                code="not-a-file",
            )
        self._first = self._read_to_start()
        if self._first is None:
            limit = "" if self._end is None else f" and before {float(self._end):g} s"
            raise SourceOpenError(
                f"{info.name} has no frame from {float(self._start):g} s on{limit}; its clock begins at 0", code="empty"
            )
        self._offset = self._first.index, self._first.pts
        start = self._first.pts * self._first.time_base
        end = None if self._end is None else self._end - start
        return replace(info, frame_count=self._count(info), clip_start=start, clip_end=end)

    def _read_to_start(self) -> Frame | None:
        while not self.interrupted.is_set() and (frame := self._source.read()) is not None:
            if _exact_time(frame) >= self._start - frame.time_base / 2:
                return frame if self._is_before_end(frame) else None
        return None

    def _is_before_end(self, frame: Frame) -> bool:
        return self._end is None or _exact_time(frame) < self._end - frame.time_base / 2

    def _count(self, info: StreamInfo) -> int | None:
        """Returns the expected number of frames; None where the stream states no rate or no end is known."""
        if not info.fps:
            return None
        whole = None if info.frame_count is None else info.frame_count / info.fps
        ends = [end for end in (self._end, whole) if end is not None]
        return max(1, math.ceil((min(ends) - self._start) * info.fps)) if ends else None

    def read(self) -> Frame | None:
        frame, self._first = self._first or self._source.read(), None
        if frame is None or not self._is_before_end(frame):
            return None
        index, pts = self._offset
        return replace(frame, index=frame.index - index, pts=frame.pts - pts)


class ConstantRateSource(WrappedSource):
    """Another source at a constant rate: for each time k / fps the frame that is nearest to it.

    Frames are left out where there are more, and repeated where there are fewer.
    """

    def __init__(self, source: Source, fps: Fraction) -> None:
        super().__init__(source)
        self.fps = fps
        self._reset()

    def _reset(self) -> None:
        self._current: Frame | None = None
        self._next: Frame | None = None
        self._slot = 0
        self._interval = 1 / self.fps
        """Seconds from the frame before to the current one; the last frame is taken to last as long."""

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._reset()
        self._interval = 1 / info.fps if info.fps else 1 / self.fps
        count = info.frame_count
        if count is not None:
            count = round(count * self.fps / info.fps) if info.fps else None
        return replace(info, fps=self.fps, time_base=1 / self.fps, frame_count=count, is_constant_rate=True)

    def read(self) -> Frame | None:
        if self._current is None and (frame := self._source.read()) is not None:
            self._slot = math.ceil(_exact_time(frame) * self.fps - Fraction(1, 2))
            self._current, self._next = frame, self._source.read()
        if self._current is None:
            return None
        time = self._slot / self.fps
        while self._next is not None and abs(_exact_time(self._next) - time) < abs(_exact_time(self._current) - time):
            self._interval = _exact_time(self._next) - _exact_time(self._current)
            self._current, self._next = self._next, self._source.read()
        if self._next is None and time >= _exact_time(self._current) + self._interval:
            self._current = None
            return None
        index, self._slot = self._slot, self._slot + 1
        return replace(self._current, index=index, pts=index, time_base=1 / self.fps)


class CropSource(WrappedSource):
    """A rectangle of the frames of another source; the camera is moved accordingly.

    `open` raises ConfigError ("bad-crop") where it does not lie within the picture.

    Args:
        source: the whole pictures.
        rectangle: left, top, width and height in px.
    """

    def __init__(self, source: Source, rectangle: tuple[int, int, int, int]) -> None:
        super().__init__(source)
        self.rectangle = rectangle

    def on_open(self, info: StreamInfo) -> StreamInfo:
        left, top, width, height = self.rectangle
        if left + width > info.width or top + height > info.height:
            raise ConfigError(
                f"the crop of {width}x{height} px at {left},{top} does not lie within the {info.width}x{info.height} "
                f"px of {info.name}",
                code="bad-crop",
            )
        camera = info.intrinsics
        if camera is not None:
            camera = replace(camera, cx=camera.cx - left, cy=camera.cy - top, width=width, height=height)
        return replace(info, width=width, height=height, intrinsics=camera, deep_color=None)

    def take_changed_info(self) -> StreamInfo | None:
        info = self._source.take_changed_info()
        return info and self.on_open(info)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None:
            return None
        left, top, width, height = self.rectangle
        rows, columns = slice(top, top + height), slice(left, left + width)
        sensor = frame.sensor_depth
        if sensor is not None:
            y, x = sensor.shape[0] / frame.size[1], sensor.shape[1] / frame.size[0]
            sensor = sensor[round(top * y) : round((top + height) * y), round(left * x) : round((left + width) * x)]
        valid = None if frame.valid is None else frame.valid[rows, columns]
        return replace(frame, pixels=frame.image[rows, columns], valid=valid, sensor_depth=sensor)


def _exact_time(frame: Frame) -> Fraction:
    """Returns the time of a frame in seconds, without rounding."""
    return frame.pts * frame.time_base
