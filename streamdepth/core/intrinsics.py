"""Camera intrinsics: focal lengths, principal point and distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamdepth.core.lens_base import LensModel
from streamdepth.core.lens_models import LENS_MODELS, lens_model

MAX_RAY_DEGREES = 88.0
"""Largest angle from the optical axis at which depth along z locates a point; beyond it, points are unknown (NaN)."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera with lens distortion, for pictures of `width` x `height` px.

    Pixel centers lie at whole numbers, as in OpenCV and ROS. Raises ValueError for values that no camera can have.

    >>> camera = sd.Intrinsics.from_fov(90, 640, 360)
    >>> round(camera.fx), camera.resized(320, 180).cx
    (320, 159.5)
    """

    fx: float
    """Focal length along x in px."""
    fy: float
    """Focal length along y in px."""
    cx: float
    """Principal point, x in px."""
    cy: float
    """Principal point, y in px."""
    width: int
    height: int
    distortion: tuple[float, ...] = ()
    """Distortion coefficients in OpenCV's order, without unit; empty for a lens that keeps straight lines straight."""
    distortion_model: str = "plumb_bob"
    """Model of `distortion`, by ROS's name where it has one: plumb_bob, rational_polynomial, equidistant (fisheye);
    else fov, omnidirectional, double_sphere or extended_unified (`core.lens_models`)."""

    def __post_init__(self) -> None:
        if not (self.fx > 0 and self.fy > 0 and self.width > 0 and self.height > 0):
            raise ValueError(f"focal lengths and size must be positive: {self}")
        if not math.isfinite(self.fx + self.fy + self.cx + self.cy + sum(self.distortion)):
            raise ValueError(f"not all numbers of the camera are finite: {self}")
        if self.distortion_model not in LENS_MODELS:
            raise ValueError(
                f"the distortion model '{self.distortion_model}' is unknown; known are {', '.join(LENS_MODELS)}"
            )
        if self.distortion and len(self.distortion) not in (counts := LENS_MODELS[self.distortion_model][1]):
            allowed = " or ".join(map(str, counts))
            raise ValueError(f"{self.distortion_model} has {allowed} coefficients, not {len(self.distortion)}")

    @classmethod
    def from_focal(cls, focal_px: float, width: int, height: int) -> Intrinsics:
        """Builds a camera with square pixels and its principal point in the middle of the picture."""
        return cls(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)

    @classmethod
    def from_fov(cls, degrees: float, width: int, height: int) -> Intrinsics:
        """Builds a camera from its horizontal field of view. Raises ValueError unless that is between 0 and 180."""
        if not 0 < degrees < 180:
            raise ValueError(f"a field of view lies between 0 and 180 degrees, not {degrees}")
        return cls.from_focal(width / 2 / math.tan(math.radians(degrees) / 2), width, height)

    def resized(self, width: int, height: int) -> Intrinsics:
        """Returns the intrinsics for the camera's pictures resized to `width` x `height` px."""
        x, y = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * x - 0.5, (self.cy + 0.5) * y - 0.5
        return replace(self, fx=self.fx * x, fy=self.fy * y, cx=cx, cy=cy, width=width, height=height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """Returns the intrinsics for the part of `width` x `height` px whose upper left corner is (left, top)."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    @property
    def pinhole(self) -> Intrinsics:
        """The same camera without lens distortion, with the focal length that the lens has on its axis."""
        near_axis = self.lens.center_magnification
        return replace(
            self, fx=self.fx * near_axis, fy=self.fy * near_axis, distortion=(), distortion_model="plumb_bob"
        )

    @property
    def lens(self) -> LensModel:
        """The lens, which maps directions to places of the normalized picture and back."""
        return lens_model(self.distortion_model, self.distortion)

    @property
    def is_fisheye(self) -> bool:
        """True if the lens follows OpenCV's fisheye model (Kannala & Brandt, TPAMI 2006)."""
        return self.distortion_model == "equidistant"

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The (3, 3) matrix K of focal lengths and principal point in px."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def rays(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns (..., 2): x / z and y / z of the directions that (..., 2) pixels see.

        They are exact to 1e-9 px, and NaN where the lens sees nothing or more than MAX_RAY_DEGREES from its axis.
        """
        places = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        if not self.distortion:
            return np.asarray(places, np.float64)
        directions = self.lens.unproject(places)
        is_ahead = directions[..., 2:] > math.cos(math.radians(MAX_RAY_DEGREES))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(is_ahead, directions[..., :2] / directions[..., 2:], np.nan)

    def ray(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """Returns the direction that the pixel (x, y) sees, (3,) in camera axes (x right, y down, z ahead), z = 1.

        It is NaN where the lens sees nothing or more than MAX_RAY_DEGREES from its axis.
        """
        return np.append(self.rays(np.array([x, y], np.float64)), 1.0)
