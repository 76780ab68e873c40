"""What flows through streamdepth: frames in, depth out. Nothing here but numpy and the standard library."""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""
GrayImage = npt.NDArray[np.uint8]
"""(h, w): one channel of 8 bits, such as a plane of a YUV picture."""
DepthMap = npt.NDArray[np.float32]
"""(h, w), NaN = unknown."""
Style = Literal["overlay", "depth", "side-by-side"]
"""What a picture of depth shows."""
Edges = Literal["plain", "guided"]
"""How depth at full size follows the picture."""


class DepthKind(enum.StrEnum):
    """What a depth map's numbers mean. Never guessed from values."""

    METRIC = "metric"
    """Metres along the optical axis (Z); far is large."""
    RELATIVE = "relative"
    """Inverse depth without unit; near is large; scale and shift unknown."""

    @property
    def unit(self) -> str | None:
        """`"m"` for metric depth, None for relative depth."""
        return "m" if self is DepthKind.METRIC else None


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A camera: focal lengths and principal point in px of a picture of `width` x `height` px, and its lens.

    Pixel centres lie at whole numbers, as in OpenCV and ROS.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()
    """Coefficients in OpenCV's order; empty for a lens that keeps straight lines straight. No unit."""
    distortion_model: str = "plumb_bob"
    """What they mean, by ROS's names: plumb_bob, rational_polynomial, or equidistant (fisheye)."""

    def __post_init__(self) -> None:
        if not (self.fx > 0 and self.fy > 0 and self.width > 0 and self.height > 0):
            raise ValueError(f"focal lengths and size must be positive: {self}")
        if not math.isfinite(self.fx + self.fy + self.cx + self.cy + sum(self.distortion)):
            raise ValueError(f"not all numbers of the camera are finite: {self}")

    @classmethod
    def from_focal(cls, focal_px: float, width: int, height: int) -> Intrinsics:
        """Square pixels, principal point in the middle."""
        return cls(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)

    @classmethod
    def from_fov(cls, degrees: float, width: int, height: int) -> Intrinsics:
        """`degrees`: horizontal field of view, between 0 and 180."""
        if not 0 < degrees < 180:
            raise ValueError(f"a field of view lies between 0 and 180 degrees, not {degrees}")
        return cls.from_focal(width / 2 / math.tan(math.radians(degrees) / 2), width, height)

    def resized(self, width: int, height: int) -> Intrinsics:
        """The same camera after its picture was resized."""
        x, y = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * x - 0.5, (self.cy + 0.5) * y - 0.5
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=cx, cy=cy, width=width, height=height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """The same camera after all but `width` x `height` px from (left, top) on were cut away."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    @property
    def pinhole(self) -> Intrinsics:
        """The same camera with a lens that does not distort."""
        return replace(self, distortion=(), distortion_model="plumb_bob")


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream once it is open."""

    name: str
    """Safe to log: credentials were removed before it was stored. Also the stream's identity in a pipeline."""
    width: int
    """px, after rotation."""
    height: int
    """px, after rotation."""
    fps: Fraction | None = None
    """Frames per second as the source claims, None when unknown or absurd."""
    frame_count: int | None = None
    """The container's claim, None when it makes none."""
    is_live: bool = False
    """A live source cannot wait: when it is not read in time, frames are lost."""
    time_base: Fraction = Fraction(1, 90000)
    """Seconds per tick of the frames' `pts`."""
    origin: Path | None = None
    """The local file behind the stream, whose audio and subtitles can be copied."""
    intrinsics: Intrinsics | None = None
    epoch_ns: int | None = None
    """Nanoseconds since 1970 at time 0 of the frames' clock, where the source knows it, as a robot's recording does."""
    frame_id: str | None = None
    """The camera's coordinate frame by its ROS name, where the source has one."""
    is_paced: bool = False
    """Frames come no sooner than their times say, though none is lost when it is taken late."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture has at least 1x1 px, not {self.width}x{self.height}")


class YuvPlanes(NamedTuple):
    """A picture in YUV 4:2:0 (BT.709, limited range), the format that most video is decoded to and encoded from."""

    y: GrayImage
    """(H, W) luma, 16 (black) to 235 (white)."""
    u: GrayImage
    """(ceil(H/2), ceil(W/2)) blue-difference chroma (Cb), 16 to 240; 128 is neutral."""
    v: GrayImage
    """(ceil(H/2), ceil(W/2)) red-difference chroma (Cr), 16 to 240; 128 is neutral."""


class LazyImage(ABC):
    """A decoded picture that becomes pixels when somebody looks at it, in the form he asks for. Thread-safe."""

    size: tuple[int, int]
    """(width, height) in px."""

    @abstractmethod
    def rgb(self) -> Image:
        """As `Frame.image`; made once."""

    @abstractmethod
    def shrunk(self, width: int, height: int) -> Image:
        """As `Frame.shrunk`."""

    @abstractmethod
    def planes(self) -> YuvPlanes | None:
        """As `Frame.planes`, without a copy."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Frame:
    """One picture of a stream."""

    pixels: Image | LazyImage
    """(H, W, 3) uint8 RGB, C-contiguous, read-only from here on; or what makes it. `image` is the way to it."""
    index: int
    """0-based at the source; a gap is a dropped frame."""
    pts: int
    """The source's timestamp, in ticks of `time_base`."""
    time_base: Fraction
    """Seconds per tick."""
    captured_at: float
    """`time.monotonic()` when it left the decoder; for latency only."""
    stream: str = ""
    """The name of the stream it belongs to."""

    def __post_init__(self) -> None:
        if isinstance(self.pixels, LazyImage):
            return
        image = self.pixels
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.flags.c_contiguous:
            raise ValueError(f"a frame is (H, W, 3) uint8 and C-contiguous, not {image.shape} {image.dtype}")
        image.setflags(write=False)

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 RGB, C-contiguous, read-only. Who needs less asks for `size`, `shrunk` or `planes`."""
        return self.pixels.rgb() if isinstance(self.pixels, LazyImage) else self.pixels

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        if isinstance(self.pixels, LazyImage):
            return self.pixels.size
        return self.pixels.shape[1], self.pixels.shape[0]

    def shrunk(self, width: int, height: int) -> Image:
        """(height, width, 3) uint8 RGB, for people and networks that look at it small; each pixel a mean of many."""
        if isinstance(self.pixels, LazyImage):
            return self.pixels.shrunk(width, height)
        from streamdepth.core.resize import shrink

        return shrink(self.pixels, width, height)

    @property
    def planes(self) -> YuvPlanes | None:
        """The picture as video is encoded from, where it was decoded to that; else None."""
        return self.pixels.planes() if isinstance(self.pixels, LazyImage) else None

    @property
    def time(self) -> float:
        """Seconds on the source's clock."""
        return float(self.pts * self.time_base)

    def __repr__(self) -> str:
        w, h = self.size
        return f"Frame({w}x{h}, index={self.index}, time={self.time:.3f}, stream={self.stream!r})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Estimate:
    """What an estimator says of one frame."""

    depth: DepthMap
    """(h, w) float32 at the network's size, NaN = unknown."""
    focal_px: float | None = None
    """Focal length in px of the full frame, when the model estimates it."""

    def __repr__(self) -> str:
        return f"Estimate({self.depth.shape[1]}x{self.depth.shape[0]}, focal_px={self.focal_px})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DepthFrame:
    """One frame with its depth."""

    frame: Frame
    depth: DepthMap
    """(h, w) float32 at the network's size, NaN = unknown; meaning and unit as `kind` says."""
    kind: DepthKind
    cut: bool = False
    """The first frame of a new shot."""
    range: tuple[float, float] | None = None
    """Steady (low, high) for display, in the unit of `depth`; None before a stabilizer has set it."""
    intrinsics: Intrinsics | None = None
    """The camera of the full frame, when known."""
    alignment: tuple[float, float] | None = None
    """(scale, shift): before smoothing, `depth` was scale * the network's + shift. None: as the network gave it."""

    metric_fit: tuple[float, float] | None = None
    """(scale, shift) that made it metric: 1 / depth = scale * x + shift, where x is relative depth, or 1 / the metric
    depth of the network. None: as the network gave it."""

    age: float = 0.0
    """Seconds from the frame that the model saw to this one, to which its depth was carried; 0: it saw this one."""

    def __post_init__(self) -> None:
        if self.depth.dtype != np.float32 or self.depth.ndim != 2:
            raise ValueError(f"depth is (h, w) float32, not {self.depth.shape} {self.depth.dtype}")

    def at_frame_size(self) -> DepthMap:
        """The depth at the frame's own size, (H, W) float32; unknown stays unknown."""
        from streamdepth.core.resize import resize_depth

        return resize_depth(self.depth, *self.frame.size)

    def __repr__(self) -> str:
        h, w = self.depth.shape
        return f"DepthFrame({self.frame!r}, depth={w}x{h}, kind={self.kind.value}, cut={self.cut}, range={self.range})"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model once it is loaded; goes into reports and files."""

    name: str
    kind: DepthKind
    license: str = "unknown"
    engine: str = "torch"
    device: str = "cpu"
    precision: str = "float32"
    parameters: int | None = None
    """How many numbers were learnt, None when unknown."""
    reason: str = ""
    """Why this engine runs it, and how far reduced precision is from float32; for people."""
