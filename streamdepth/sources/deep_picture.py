"""Pictures with 10 bits per channel that keep their samples beside the 8 bits that networks and most outputs use."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cached_property
from threading import Lock

import av
import numpy as np
from av.video.reformatter import ColorRange

from streamdepth.core.arrays import Image
from streamdepth.core.deep_color import DeepColor, DeepPlanes, Plane16
from streamdepth.core.resize import shrink
from streamdepth.core.types import LazyImage, YuvPlanes
from streamdepth.sources.side_data import read_side_data

DEEP_FORMAT = "yuv420p10le"
_UNSPECIFIED = 2


class DeepImage(LazyImage):
    """A decoded frame with 10 bits per channel; `convert` makes its 8-bit RGB when that is first used."""

    def __init__(self, frame: av.VideoFrame, convert: Callable[[], Image]) -> None:
        self.size = (frame.width, frame.height)
        self._frame, self._convert, self._lock = frame, convert, Lock()

    @cached_property
    def _rgb(self) -> Image:
        image = self._convert()
        image.setflags(write=False)
        return image

    def rgb(self) -> Image:
        with self._lock:
            return self._rgb

    def image_at_size(self, width: int, height: int) -> Image:
        return shrink(self.rgb(), width, height)

    def yuv_planes(self) -> YuvPlanes | None:
        return None

    def deep_planes(self) -> DeepPlanes:
        return DeepPlanes(*(_plane16(self._frame, i) for i in range(3)))


def is_deep(frame: av.VideoFrame) -> bool:
    """True for a frame whose samples can be written unchanged by outputs of 10 bits."""
    is_even = frame.width % 2 == frame.height % 2 == 0
    return frame.format.name == DEEP_FORMAT and is_even and frame.color_range != ColorRange.JPEG


def deep_color(frame: av.VideoFrame, matrix: int) -> DeepColor | None:
    """Returns the colors of a frame's video; None unless `is_deep`. `matrix` is H.273's, for a frame without one."""
    if not is_deep(frame):
        return None
    return DeepColor(
        int(frame.color_primaries),
        int(frame.color_trc),
        matrix if frame.colorspace == _UNSPECIFIED else int(frame.colorspace),
        _mastering_display(read_side_data(frame, "MASTERING_DISPLAY_METADATA")),
        _light_level(read_side_data(frame, "CONTENT_LIGHT_LEVEL")),
    )


def _mastering_display(data: bytes | None) -> str:
    """Returns libav's AVMasteringDisplayMetadata as x265 writes it: in 1/50000 and 1/10000 cd/m2; "" without one."""
    if data is None or len(data) < 88:
        return ""
    *numbers, has_primaries, has_luminance = struct.unpack_from("<22i", data)
    if not (has_primaries and has_luminance) or 0 in numbers[1::2]:
        return ""
    values = [n / d for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
    points = [f"({round(x * 50000)},{round(y * 50000)})" for x, y in zip(values[:8:2], values[1:8:2], strict=True)]
    darkest, brightest = (round(value * 10000) for value in values[8:])
    return "G{1}B{2}R{0}WP{3}L({4},{5})".format(*points, brightest, darkest)


def _light_level(data: bytes | None) -> str:
    return "" if data is None or len(data) < 8 else "{},{}".format(*struct.unpack_from("<2I", data))


def _plane16(frame: av.VideoFrame, index: int) -> Plane16:
    """(h, w) of a planar frame of 16-bit words, without a copy."""
    plane = frame.planes[index]
    rows = np.asarray(memoryview(plane)).view(np.uint16).reshape(plane.height, -1)
    rows.setflags(write=False)
    return rows[:, : plane.width]
