"""A depth sensor's maps beside the frames of another source, as `Frame.sensor_depth`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.sources.images import find_pictures
from streamdepth.sources.picture_file import read_depth_png
from streamdepth.utils.numbering import has_number_field, has_numbered_file, insert_number


class DepthReader(ABC):
    """Reads the depth maps of a sensor that belong to the frames of one stream, in the view of its pictures."""

    @abstractmethod
    def open(self, info: StreamInfo) -> None:
        """Begins from the start, for the stream with these facts. Raises SourceOpenError."""

    @abstractmethod
    def read(self, frame: Frame) -> DepthMap | None:
        """Returns the depth of the next frame, (h, w) meters, NaN where unknown; None where there is none."""

    def summary(self) -> str:
        """Returns a sentence for users on how the depth fits the frames read so far; empty where there is no more."""
        return ""

    def close(self) -> None:
        """Releases everything. Idempotent."""


class SensorDepthSource(WrappedSource):
    """Another source whose frames carry a sensor's depth, `Frame.sensor_depth`.

    What the reader has to say at the end becomes a notice.
    """

    def __init__(self, source: Source, reader: DepthReader) -> None:
        super().__init__(source)
        self._reader = reader

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._reader.open(info)
        return info

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None:
            self._announce_summary()
            return None
        return replace(frame, sensor_depth=self._reader.read(frame))

    def _announce_summary(self) -> None:
        text = self._reader.summary()
        if text and text not in self.notices:
            self.notices.append(text)  # for the report; nothing went wrong that had to be logged

    def close(self) -> None:
        self._announce_summary()
        self._reader.close()
        super().close()


class DepthPictures(DepthReader):
    """Depth as gray PNG of 16 bits, 0 where unknown, in the view of the pictures.

    Args:
        pattern: a name with %06d, which stands for the frame's index; or a folder, a pattern or one file, whose
            pictures belong to the frames in natural order.
        values_per_meter: the value of one meter.
        find: returns the paths of a folder or pattern in natural order.
    """

    def __init__(
        self, pattern: str, values_per_meter: float = 1000.0, *, find: Callable[[str], list[str]] = find_pictures
    ) -> None:
        self.pattern, self.values_per_meter = pattern, values_per_meter
        self._find = find
        self._paths: list[str] | None = None
        self._frames = self._missing = 0

    def open(self, info: StreamInfo) -> None:
        self._frames = self._missing = 0
        if has_number_field(self.pattern):
            self._paths = None
            if not has_numbered_file(self.pattern):
                raise SourceOpenError(
                    f"there is no depth '{self.pattern}'; %06d stands for 000000, 000001 and so on, %04d for 0000",
                    code="not-found",
                )
            return
        self._paths = self._find(self.pattern)

    def read(self, frame: Frame) -> DepthMap | None:
        if self._paths is None:
            path = Path(insert_number(self.pattern, frame.index))
        else:
            path = Path(self._paths[self._frames]) if self._frames < len(self._paths) else Path()
        self._frames += 1
        depth = read_depth_png(path, self.values_per_meter)
        self._missing += depth is None
        return depth

    def summary(self) -> str:
        if not self._missing:
            return ""
        return f"{self._missing} of {self._frames} frames have no depth in '{self.pattern}'"
