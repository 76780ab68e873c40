"""Focal length and distortion of a camera, from files, EXIF, metadata of a video, or flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from streamdepth.core.arrays import Image, Mask
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera_files import read_camera_file

_FILM_DIAGONAL_MM = math.hypot(36, 24)
_EXIF_IFD, _EXIF_35MM = 0x8769, 0xA405
_VIDEO_35MM = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A user's description of the camera; it becomes intrinsics once the size of the pictures is known.

    It is a file, a field of view, focal lengths, or empty. Raises ConfigError, code "conflict", for two of them.
    """

    file: Path | None = None
    """Path of a file with a camera, in a layout of `camera_formats`; `file#name` chooses one of several cameras."""
    fov: float | None = None
    """Horizontal field of view, degrees."""
    fx: float | None = None
    """Focal length in px, as are fy and the principal point cx, cy; they have defaults."""
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("file", "fov", "fx") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError("the camera is given twice; use one of --camera-info, --fov and --fx", code="conflict")
        if self.fx is None and not (self.fy is self.cx is self.cy is None):
            raise ConfigError("--fy, --cx and --cy go with --fx, the focal length in px", code="conflict")

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.file, self.fov, self.fx))

    @property
    def size(self) -> tuple[int, int] | None:
        """The (width, height) in px of the file's pictures; None where it is not known. Raises ConfigError."""
        if self.file is None:
            return None
        try:
            camera = read_camera_file(self.file)
        except ConfigError as error:
            if error.code == "no-size":
                return None
            raise
        return camera.width, camera.height

    def intrinsics(self, width: int, height: int) -> Intrinsics | None:
        """Returns the camera of pictures of this size; None when nothing was given.

        Raises ConfigError: "bad-camera" for impossible values, "wrong-shape" for a file of pictures of another shape.
        """
        try:
            if self.file is not None:
                return _at_size(read_camera_file(self.file, (width, height)), width, height, self.file)
            if self.fov is not None:
                return Intrinsics.from_fov(self.fov, width, height)
            if self.fx is None:
                return None
            centered = Intrinsics.from_focal(self.fx, width, height)
            cx, cy = (b if a is None else a for a, b in ((self.cx, centered.cx), (self.cy, centered.cy)))
            return Intrinsics(self.fx, self.fy or self.fx, cx, cy, width, height)
        except ValueError as error:
            raise ConfigError(f"this cannot be a camera: {error}", code="bad-camera") from error


def _at_size(camera: Intrinsics, width: int, height: int, path: Path) -> Intrinsics:
    if abs(camera.width / camera.height * height / width - 1) > 0.01:
        raise ConfigError(
            f"'{path}' is of {camera.width}x{camera.height} px, the pictures have {width}x{height} px and another "
            "shape; give the camera as it was set for these pictures",
            code="wrong-shape",
        )
    return camera if (camera.width, camera.height) == (width, height) else camera.resized(width, height)


def camera_info_yaml(camera: Intrinsics, name: str = "camera") -> str:
    """Returns `camera` as ROS's camera_info YAML, in the layout of `camera_calibration`."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    distortion = list(camera.distortion) or [0.0] * 5
    fields = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": name,
        "camera_matrix": {"rows": 3, "cols": 3, "data": k},
        "distortion_model": camera.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(distortion), "data": distortion},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]},
    }
    return yaml.safe_dump(fields, sort_keys=False, default_flow_style=None)


def intrinsics_from_35mm(focal_mm: float, width: int, height: int) -> Intrinsics | None:
    """Returns the camera of a 35 mm equivalent focal length in mm: the same angle along the diagonal (CIPA DCG-001)."""
    if not (math.isfinite(focal_mm) and focal_mm > 0):
        return None
    return Intrinsics.from_focal(focal_mm / _FILM_DIAGONAL_MM * math.hypot(width, height), width, height)


def intrinsics_from_exif(exif: Any, width: int, height: int) -> Intrinsics | None:
    """Returns the camera of a picture's EXIF (PIL.Image.Exif); None unless FocalLengthIn35mmFilm is above 0."""
    try:
        return intrinsics_from_35mm(float(exif.get_ifd(_EXIF_IFD).get(_EXIF_35MM) or 0), width, height)
    except (TypeError, ValueError, KeyError, OSError, SyntaxError, ZeroDivisionError):  # EXIF can hold anything
        return None


def intrinsics_from_metadata(metadata: Mapping[str, str], width: int, height: int) -> Intrinsics | None:
    """Returns the camera of a video's metadata; None where no phone wrote its 35 mm equivalent focal length there."""
    try:
        return intrinsics_from_35mm(float(metadata.get(_VIDEO_35MM) or 0), width, height)
    except ValueError:
        return None


class Undistorter:
    """Removes lens distortion from pictures; size and focal length stay the same.

    Pixels outside the lens's view become black.
    """

    def __init__(self, camera: Intrinsics) -> None:
        import cv2

        straight = camera.pinhole
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        rays = straight.rays(np.stack([u, v], axis=-1).astype(np.float64))
        seen = camera.lens.project(np.concatenate([rays, np.ones((*rays.shape[:2], 1))], axis=-1))
        places = np.nan_to_num(seen * (camera.fx, camera.fy) + (camera.cx, camera.cy), nan=-100.0)
        x, y = np.moveaxis(places.astype(np.float32), -1, 0)
        self._maps = cv2.convertMaps(x, y, cv2.CV_16SC2)

    def __call__(self, image: Image) -> Image:
        """Returns the undistorted (H, W, 3) picture."""
        import cv2

        return cast(Image, cv2.remap(image, self._maps[0], self._maps[1], cv2.INTER_LINEAR))

    def apply_to_mask(self, mask: Mask) -> Mask:
        """Returns the undistorted (H, W) mask."""
        import cv2

        return cv2.remap(mask.view(np.uint8), self._maps[0], self._maps[1], cv2.INTER_NEAREST) > 0
