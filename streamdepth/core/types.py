"""The values that flow through streamdepth: frames, depth, and what is known of streams, cameras and models.

Importing this module loads NumPy and the standard library only.
"""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, GrayImage, Image, Mask
from streamdepth.core.box_depth import box_depth
from streamdepth.core.deep_color import DeepColor, DeepPlanes
from streamdepth.core.device_map import DeviceMap, StoredMap, fetch_depth_on_read, stored_depth
from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.live_sound import LiveSound
from streamdepth.core.masks import hide_depth
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.rendering import render_depth
from streamdepth.core.resize import resize_depth, sample_depth, shrink
from streamdepth.core.track_feed import TrackFeed


class DepthKind(enum.StrEnum):
    """The meaning of a depth map's numbers. It comes from the model and is never guessed from the values.

    >>> sd.DepthKind.METRIC.unit, sd.DepthKind("relative").unit
    ('m', None)
    """

    METRIC = "metric"
    """Meters along the optical axis (Z); far is large."""
    RELATIVE = "relative"
    """Inverse depth without unit; near is large; scale and shift unknown."""

    @property
    def unit(self) -> str | None:
        """`"m"` for metric depth, None for relative depth."""
        return "m" if self is DepthKind.METRIC else None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The facts of an open stream.

    >>> info = sd.StreamInfo("room", 640, 360, fps=Fraction(24))
    >>> info.is_live, info.frame_count
    (False, None)
    """

    name: str
    """Identity of the stream, safe to log: credentials were removed before it was stored."""
    width: int
    """Width of the frames in px, after rotation is applied."""
    height: int
    """Height of the frames in px, after rotation is applied."""
    fps: Fraction | None = None
    """Frames per second as the source claims, None when unknown or absurd."""
    frame_count: int | None = None
    """Number of frames as the container claims, None when it makes no claim."""
    is_live: bool = False
    """True if the source cannot wait, such as a camera: frames that are not read in time are lost."""
    time_base: Fraction = Fraction(1, 90000)
    """Seconds per tick of the frames' `pts`."""
    clip_start: Fraction = Fraction(0)
    """Seconds on the file's own clock at time 0 of the frames; more than 0 where only a later part of it is read."""
    clip_end: Fraction | None = None
    """Seconds on the clock of the frames at which they end before the file does, as asked; None: with the file."""
    is_constant_rate: bool = False
    """True if the frames are `1 / fps` apart, whatever those of the file are."""
    file_path: Path | None = None
    """The local file that the stream is read from, whose audio and subtitles can be copied."""
    track_feed: TrackFeed | None = field(default=None, repr=False, compare=False)
    """Audio and subtitles of a stream that can be read only once, such as a pipe, for one output to copy."""
    deep_color: DeepColor | None = None
    """The colors of a source of 10 bits whose frames have `deep_planes`; None for 8 bits."""
    live_sound: LiveSound | None = field(default=None, repr=False, compare=False)
    """Sound of a stream from the network, for outputs to copy."""
    intrinsics: Intrinsics | None = None
    """The camera, where the source knows it."""
    epoch_ns: int | None = None
    """Nanoseconds since 1970 at time 0 of the frames' clock, where the source knows it, as a robot's recording does."""
    frame_id: str | None = None
    """The camera's coordinate frame by its ROS name, where the source has one."""
    device: str | None = None
    """The GPU in whose memory the frames lie, such as `cuda:0`; None: on the CPU."""
    is_realtime: bool = False
    """True if frames of a recording are delivered no sooner than their times; unlike in a live stream, none is lost."""

    def __post_init__(self) -> None:
        # Bytes of a file's name that are no UTF-8 would make every container and message refuse it at the very end.
        object.__setattr__(self, "name", self.name.encode("utf-8", "backslashreplace").decode())
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
    """(H, W, 3) uint8 RGB, or what converts itself to that; read it through `image`.

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
    pixels are valid. Raises ValueError for another shape or type."""
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
        """The picture in 10 bits, read-only, not tone-mapped; None where the source does not have it so."""
        return self.pixels.deep_planes() if isinstance(self.pixels, LazyImage) else None

    @property
    def device_picture(self) -> DevicePicture | None:
        """The picture in the memory of the GPU that decoded it; None where it lies on the CPU."""
        return self.pixels.device_picture() if isinstance(self.pixels, LazyImage) else None

    def __repr__(self) -> str:
        w, h = self.size
        return f"Frame({w}x{h}, index={self.index}, time={self.time:.3f}, stream={self.stream!r})"


@fetch_depth_on_read
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Estimate:
    """An estimator's result for one frame.

    >>> sd.Estimate(np.zeros((4, 6), np.float32), focal_px=500.0)
    Estimate(6x4, focal_px=500.0)
    """

    depth: DepthMap
    """(h, w) float32 at the network's size, NaN = unknown; an estimator on a GPU may give a `DeviceMap`."""
    focal_px: float | None = None
    """Focal length in px of the full frame, None unless the model estimates it."""
    assumed_focal_px: float | None = None
    """Focal length in px of the full frame for which the meters hold; where the camera is known to have another one,
    they grow with it. None where they do not depend on it."""

    def for_camera(self, camera: Intrinsics | None) -> Estimate:
        """Returns the estimate for a camera that is known: meters that were calculated for another are scaled."""
        if camera is None or self.assumed_focal_px is None:
            return self
        factor = np.float32((camera.fx + camera.fy) / 2 / self.assumed_focal_px)
        return Estimate(self.depth * factor, self.focal_px)

    @property
    def stored_depth(self) -> StoredMap:
        """The depth where it lies: an array, or a `DeviceMap`, which reading `depth` would copy to the CPU."""
        return stored_depth(self)

    def __repr__(self) -> str:
        height, width = self.stored_depth.shape
        return f"Estimate({width}x{height}, focal_px={self.focal_px})"


@fetch_depth_on_read
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DepthFrame:
    """One frame with its depth.

    >>> (item,) = sd.stream("samples/room.mp4", max_frames=1)
    >>> item.at_frame_size().shape, item.render().shape, item.kind.value
    ((360, 640), (360, 640, 3), 'relative')
    """

    frame: Frame
    depth: DepthMap
    """(h, w) float32 at the network's size, NaN = unknown; meaning and unit as `kind` says."""
    kind: DepthKind
    cut: bool = False
    """True for the first frame of a new shot."""
    range: tuple[float, float] | None = None
    """Steady (low, high) for display, in the unit of `depth`; None before a stabilizer has set it."""
    intrinsics: Intrinsics | None = None
    """The camera of the full frame, when known."""
    alignment: tuple[float, float] | None = None
    """(scale, shift): before smoothing, `depth` was scale * the network's + shift. None: as the network gave it."""
    metric_fit: tuple[float, float] | None = None
    """(scale, shift) that made the depth metric; None: as the network gave it.

    1 / depth = scale * x + shift, where x is relative depth, or 1 / the metric depth of the network.
    """
    depth_age_seconds: float = 0.0
    """Time from the keyframe that the model saw to this frame, to which its depth was warped; 0: it saw this frame."""
    confidence: DepthMap | None = None
    """(h, w) float32, the shape of `depth`: the probability that a distance is right to 10 %, 0 where it is unknown.

    None where it is not known: for relative depth, and for a metric model without a reference.
    """
    scale_sigma: float | None = None
    """One standard deviation of the meters' common scale, as a share: 0.1 is 10 %. inf: nothing is known of the scale
    yet. None: no reference made this depth metric."""
    metric_residual: float | None = None
    """Median error of the depth at the newest known distances, as a share; None where there were none yet."""
    evidence_age_seconds: float | None = None
    """Time since distances were last known to this frame, 0: they are known in it; None where there were none yet."""

    def __post_init__(self) -> None:
        depth = self.stored_depth
        if depth.dtype != np.float32 or depth.ndim != 2:
            raise ValueError(f"depth is (h, w) float32, not {depth.shape} {depth.dtype}")
        if self.confidence is not None and self.confidence.shape != depth.shape:
            raise ValueError(f"confidence has the depth's shape {depth.shape}, not {self.confidence.shape}")

    @property
    def stored_depth(self) -> StoredMap:
        """The depth where it lies: an array, or a `DeviceMap`, which reading `depth` would copy to the CPU.

        `replace(item, depth=item.stored_depth, ...)` changes other fields and leaves the depth where it is.
        """
        return stored_depth(self)

    @property
    def device_depth(self) -> DeviceMap | None:
        """The depth in the memory of a GPU; None where it is an array."""
        depth = self.stored_depth
        return depth if isinstance(depth, DeviceMap) else None

    @property
    def is_withheld(self) -> bool:
        """True if the depth would be metric, but its scale is not known well enough: all of it is NaN."""
        return self.scale_sigma is not None and self.metric_fit is None

    def at_frame_size(self) -> DepthMap:
        """Returns the depth at the frame's own size, (H, W) float32; unknown depth is NaN."""
        return hide_depth(resize_depth(self.depth, *self.frame.size), self.frame.valid)

    def depth_at(self, x: int, y: int) -> float:
        """Returns the depth at a pixel of the frame: meters for metric depth, NaN where unknown.

        The value is that of `at_frame_size()[y, x]`, without resizing the whole map. Raises IndexError outside the
        frame.
        """
        width, height = self.frame.size
        if not (0 <= x < width and 0 <= y < height):
            raise IndexError(f"pixel ({x}, {y}) lies outside of the frame of {width}x{height} px")
        if self.frame.valid is not None and not self.frame.valid[y, x]:
            return math.nan
        return sample_depth(self.depth, width, height, x, y)

    def depth_in(self, box: tuple[float, float, float, float]) -> float:
        """Returns the depth of the object in a detector's box: meters for metric depth, inverse depth for relative.

        The background in the box does not count, and neither do specks before the object. A smoothed histogram of
        inverse depth in the box is divided into modes at its valleys; the result is the median of the nearest mode that
        has 15 % of the box's known pixels, or of all of them where none has. It is inf for metric depth of a box of
        sky, and NaN where all depth in the box is unknown, and outside of the frame.

        >>> (item,) = sd.stream("samples/room.mp4", max_frames=1)
        >>> boxes = {"near": (0, 180, 640, 360), "far": (240, 60, 400, 160)}  # as a detector gives them
        >>> depths = {name: item.depth_in(box) for name, box in boxes.items()}
        >>> depths["near"] > depths["far"]  # relative depth: near is large
        True

        Args:
            box: left, top, right and bottom in px of the frame, as detectors give them (xyxy); parts outside of the
                frame are left out.

        Raises:
            ValueError: if right is not beyond left, or bottom not beyond top.
        """
        return box_depth(self, box)

    def point_at(self, x: int, y: int) -> npt.NDArray[np.float64]:
        """Returns the point seen at a pixel of the frame: (3,) meters in camera axes (x right, y down, z ahead).

        NaN where the depth is unknown. Raises IndexError outside the frame, and ConfigError for relative depth (code
        `not-metric`) and for an unknown camera (code `no-intrinsics`).
        """
        if self.kind is not DepthKind.METRIC:
            raise ConfigError(
                "a point in meters needs metric depth, and this is relative depth; use a metric model, or give a "
                "reference for the scale such as camera_height",
                code="not-metric",
            )
        if self.intrinsics is None:
            raise ConfigError(
                "a point in meters needs the camera's intrinsics, which are unknown; give fov, fx or camera_info",
                code="no-intrinsics",
            )
        depth_m = self.depth_at(x, y)
        return self.intrinsics.ray(x, y) * (depth_m if 0 < depth_m < math.inf else math.nan)

    def render(self, options: RenderOptions = RenderOptions()) -> Image:
        """Draws the frame with its depth for people: (H, W, 3) uint8 RGB, (H, 2W, 3) for side-by-side.

        Raises ConfigError for options that cannot be drawn, for example an unknown color map.
        """
        return render_depth(self, options)

    def __repr__(self) -> str:
        h, w = self.stored_depth.shape
        return f"DepthFrame({self.frame!r}, depth={w}x{h}, kind={self.kind.value}, cut={self.cut}, range={self.range})"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The facts of a loaded model, as they stand in reports and files.

    >>> info = sd.load_model("nano", size=96, engine="torch", device="cpu").info
    >>> info.name, info.license, info.engine, info.precision
    ('nano', 'Apache-2.0', 'torch', 'float32')
    """

    name: str
    kind: DepthKind
    license: str = "unknown"
    engine: str = "torch"
    device: str = "cpu"
    precision: str = "float32"
    parameters: int | None = None
    """Number of learned parameters, None when unknown."""
    reason: str = ""
    """A sentence for people: why this engine runs the model, and how far reduced precision is from float32."""
