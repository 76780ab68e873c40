"""One picture of a stream, as an array or in the format of its decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap, GrayImage, Image, Mask
from streamdepth.core.deep_color import DeepPlanes
from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.resize import shrink


class YuvPlanes(NamedTuple):
    """A picture in YUV 4:2:0 (BT.709, limited range), the format that most video is decoded to and encoded from."""

    y: GrayImage
    """(H, W) luma, 16 (black) to 235 (white)."""
    u: GrayImage
    """(ceil(H/2), ceil(W/2)) blue-difference chroma (Cb), 16 to 240; 128 is neutral."""
    v: GrayImage
    """(ceil(H/2), ceil(W/2)) red-difference chroma (Cr), 16 to 240; 128 is neutral."""


class LazyImage(ABC):
    """A decoded picture whose pixels are converted only when they are asked for. Thread-safe."""

    size: tuple[int, int]
    """(width, height) in px."""

    @abstractmethod
    def rgb(self) -> Image:
        """Returns the whole picture, as `Frame.image`; converted once."""

    @abstractmethod
    def image_at_size(self, width: int, height: int) -> Image:
        """Returns the picture resized, as `Frame.image_at_size`."""

    @abstractmethod
    def yuv_planes(self) -> YuvPlanes | None:
        """Returns the picture's planes as `Frame.yuv_planes`, without a copy."""

    def deep_planes(self) -> DeepPlanes | None:
        """Returns the picture's planes as `Frame.deep_planes`, without a copy."""
        return None

    def device_picture(self) -> DevicePicture | None:
        """Returns the picture as `Frame.device_picture`, without a copy."""
        return None

    def luma(self) -> tuple[GrayImage, int] | None:
        """Returns the (H, W) brightness without a copy, and its value for black; None where that would cost work."""
        return None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Frame:
    """One picture of a stream.

    >>> import numpy as np
    >>> from fractions import Fraction
    >>> Frame(np.zeros((480, 640, 3), np.uint8), index=7, pts=7, time_base=Fraction(1, 25), captured_at=0.0)
    Frame(640x480, index=7, time=0.280, stream='')
    """

    pixels: Image | LazyImage
    """(H, W, 3) uint8 RGB, or a `LazyImage` that converts itself to that; read it through `image`.

    The frame has a read-only view of an array that it is given, and a copy where that is not C-contiguous; the array
    itself stays writable. Raises ValueError for another shape or type.
    """
    index: int
    """0-based number of the frame at the source; a gap is a dropped frame."""
    pts: int
    """The source's presentation timestamp, in ticks of `time_base`."""
    time_base: Fraction
    """Seconds per tick."""
    captured_at: float
    """`time.monotonic()` when it left the decoder; for latency only."""
    stream: str = ""
    """The name of the stream it belongs to; empty for a single picture."""
    sensor_depth: DepthMap | None = None
    """(h, w) meters along Z of a depth sensor in the view of the picture, at any size, NaN where unknown; None without
    a sensor, or where it gave nothing for this frame."""
    valid: Mask | None = None
    """(H, W), False for pixels that show nothing: black bars, and what is transparent. Their depth is NaN. None: all
    pixels are valid. Another shape or type raises ValueError."""
    stamp_ns: int | None = None
    """The stamp of a robot's recording in nanoseconds, exactly as it came, also where it does not increase."""
    logged_ns: int | None = None
    """The recorder's time of a robot's recording in nanoseconds."""
    file_name: str = ""
    """Name of the picture's own file; "" for frames of videos and cameras."""
    size: tuple[int, int] = field(init=False)
    """(width, height) in px."""
    time: float = field(init=False)
    """Seconds on the source's clock: `pts` times `time_base`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", float(self.pts * self.time_base))
        if isinstance(self.pixels, LazyImage):
            object.__setattr__(self, "size", self.pixels.size)
        else:
            self._check_array(self.pixels)
        if self.valid is not None and (self.valid.dtype != np.bool_ or self.valid.shape != self.size[::-1]):
            raise ValueError(
                f"`valid` of a frame of {self.size[0]}x{self.size[1]} px is {self.size[::-1]} bool, "
                f"not {self.valid.shape} {self.valid.dtype}"
            )

    def _check_array(self, pixels: Image) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"a frame is (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
        image = np.ascontiguousarray(pixels).view()
        image.setflags(write=False)
        object.__setattr__(self, "pixels", image)
        object.__setattr__(self, "size", (image.shape[1], image.shape[0]))

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 RGB, C-contiguous, read-only. `size`, `image_at_size` and `yuv_planes` cost less."""
        return self.pixels.rgb() if isinstance(self.pixels, LazyImage) else self.pixels

    def image_at_size(self, width: int, height: int) -> Image:
        """Returns the picture resized, (height, width, 3) uint8 RGB; each pixel is a mean of many when shrunk."""
        if isinstance(self.pixels, LazyImage):
            return self.pixels.image_at_size(width, height)
        return shrink(self.pixels, width, height)

    @property
    def yuv_planes(self) -> YuvPlanes | None:
        """The picture in the format that video is encoded from, read-only; None where it was not decoded to that."""
        return self.pixels.yuv_planes() if isinstance(self.pixels, LazyImage) else None

    @property
    def deep_planes(self) -> DeepPlanes | None:
        """The picture with 10 bits per channel, read-only and not tone-mapped; None if the source has 8 bits."""
        return self.pixels.deep_planes() if isinstance(self.pixels, LazyImage) else None

    @property
    def device_picture(self) -> DevicePicture | None:
        """The picture in the memory of the GPU that decoded it; None where it lies on the CPU."""
        return self.pixels.device_picture() if isinstance(self.pixels, LazyImage) else None

    def __repr__(self) -> str:
        w, h = self.size
        return f"Frame({w}x{h}, index={self.index}, time={self.time:.3f}, stream={self.stream!r})"
