"""Depth: the result of an estimator for one frame, and a frame with its depth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image, Mask
from streamdepth.core.box_depth import box_depth
from streamdepth.core.device_map import DeviceMap, StoredMap, fetch_depth_on_read, stored_depth
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.masks import hide_depth
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.rendering import render_depth
from streamdepth.core.resize import resize_depth, sample_depth
from streamdepth.core.types.frame import Frame
from streamdepth.core.types.model import DepthKind


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
    """Focal length in px of the full frame that the model assumed for its meters, which are proportional to the true
    one. None if they do not depend on it."""
    confidence: DepthMap | None = None
    """(h, w) float32 of 0 to 1, the shape of `depth`, 0 where it is unknown; None unless the model estimates it."""

    def for_camera(self, camera: Intrinsics | None) -> Estimate:
        """Returns the estimate for a known camera: meters are scaled by its focal length over the assumed one."""
        if camera is None or self.assumed_focal_px is None:
            return self
        factor = np.float32((camera.fx + camera.fy) / 2 / self.assumed_focal_px)
        return replace(self, depth=self.depth * factor, assumed_focal_px=None)

    def hidden_where_invalid(self, valid: Mask | None) -> Estimate:
        """Returns the estimate with unknown depth wherever no pixel of the frame is valid; None hides nothing.

        valid: (H, W) of the frame, True where it shows something.
        """
        if valid is None:
            return self
        depth, confidence = hide_depth(self.depth, valid), self.confidence
        if confidence is not None:
            confidence = np.where(np.isnan(depth), np.float32(0), confidence)
        return replace(self, depth=depth, confidence=confidence)

    @property
    def stored_depth(self) -> StoredMap:
        """The depth without a copy: an array, or a `DeviceMap`, which reading `depth` would copy to the CPU."""
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
    """(h, w) float32 of 0 to 1, the shape of `depth`, 0 where it is unknown; None where nothing tells it.

    Where a reference made the depth metric, it is the probability that a distance is right to 10 %. Elsewhere it is the
    model's own, of the few models that give one, in the model's sense; frames between keyframes have none then.
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
        """The depth without a copy: an array, or a `DeviceMap`, which reading `depth` would copy to the CPU.

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
