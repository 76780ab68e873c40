"""Camera intrinsics: focal lengths, principal point and distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera with lens distortion, for pictures of `width` x `height` px.

    Pixel centers lie at whole numbers, as in OpenCV and ROS. Raises ValueError for numbers that no camera has.

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
    """ROS's name for the model of `distortion`: plumb_bob, rational_polynomial, or equidistant (fisheye)."""

    def __post_init__(self) -> None:
        if not (self.fx > 0 and self.fy > 0 and self.width > 0 and self.height > 0):
            raise ValueError(f"focal lengths and size must be positive: {self}")
        if not math.isfinite(self.fx + self.fy + self.cx + self.cy + sum(self.distortion)):
            raise ValueError(f"not all numbers of the camera are finite: {self}")

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
        """The same camera without lens distortion."""
        return replace(self, distortion=(), distortion_model="plumb_bob")

    @property
    def is_fisheye(self) -> bool:
        """True if the lens follows OpenCV's fisheye model (Kannala & Brandt, TPAMI 2006)."""
        return self.distortion_model == "equidistant"

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The (3, 3) matrix K of focal lengths and principal point in px."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def ray(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """Returns the direction that the pixel (x, y) sees, (3,) in camera axes (x right, y down, z ahead), z = 1."""
        if not self.distortion:
            return np.array([(x - self.cx) / self.fx, (y - self.cy) / self.fy, 1.0])
        import cv2

        undistort = cv2.fisheye.undistortPoints if self.is_fisheye else cv2.undistortPoints
        seen = undistort(np.array([[[x, y]]], np.float64), self.matrix, np.array(self.distortion))
        return np.append(seen.ravel(), 1.0)
