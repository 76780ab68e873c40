"""Where a camera's focal length and distortion come from: ROS camera_info files, EXIF, tags of a video, flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import yaml

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Image, Intrinsics

COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
"""Distortion model by ROS's name -> how many coefficients it may have."""
_FILM_DIAGONAL_MM = math.hypot(36, 24)
_EXIF_IFD, _EXIF_35MM = 0x8769, 0xA405
_VIDEO_35MM = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


@dataclass(frozen=True, slots=True)
class CameraChoice:
    """What the user says of the camera, to become intrinsics once the size of the pictures is known.

    Either a file or a field of view in degrees or focal lengths in px. Without any of them nothing is known.
    """

    file: Path | None = None
    """A ROS camera_info YAML."""
    fov: float | None = None
    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("file", "fov", "fx") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError("the camera is given twice; use one of --camera-info, --fov and --fx")
        if self.fx is None and not (self.fy is self.cx is self.cy is None):
            raise ConfigError("--fy, --cx and --cy go with --fx, the focal length in px")

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.file, self.fov, self.fx))

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in px of the pictures that the file is for; None without one. Raises ConfigError."""
        camera = read_camera_info(self.file) if self.file is not None else None
        return (camera.width, camera.height) if camera else None

    def intrinsics(self, width: int, height: int) -> Intrinsics | None:
        """For pictures of this size; None when nothing was given. Raises ConfigError for what cannot be."""
        try:
            if self.file is not None:
                return _fitted(read_camera_info(self.file), width, height, self.file)
            if self.fov is not None:
                return Intrinsics.from_fov(self.fov, width, height)
            if self.fx is None:
                return None
            middle = Intrinsics.from_focal(self.fx, width, height)
            cx, cy = (b if a is None else a for a, b in ((self.cx, middle.cx), (self.cy, middle.cy)))
            return Intrinsics(self.fx, self.fy or self.fx, cx, cy, width, height)
        except ValueError as error:
            raise ConfigError(f"this cannot be a camera: {error}") from error


def _fitted(camera: Intrinsics, width: int, height: int, path: Path) -> Intrinsics:
    if abs(camera.width / camera.height * height / width - 1) > 0.01:
        raise ConfigError(
            f"'{path}' is of {camera.width}x{camera.height} px, the pictures have {width}x{height} px and another "
            "shape; give the camera as it was set for these pictures"
        )
    return camera if (camera.width, camera.height) == (width, height) else camera.resized(width, height)


def read_camera_info(path: Path) -> Intrinsics:
    """The camera of a ROS camera_info YAML: `camera_calibration`'s layout or that of `ros2 topic echo`.

    Flat keys `width, height, fx, fy, cx, cy` (YAML or JSON) are taken too. Raises ConfigError with what is missing.
    """
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8").split("\n---")[0])
    except OSError as error:
        raise ConfigError(f"cannot read the camera '{path}': {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(facts, dict):
        raise ConfigError(f"'{path}' holds no camera; a ROS camera_info file has image_width, camera_matrix...")
    try:
        return camera_from_facts(facts)
    except (KeyError, ValueError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"'{path}' is no camera_info file ({reason}); needed are image_width, image_height, camera_matrix, "
            "distortion_model and distortion_coefficients, as streamdepth calibrate writes them"
        ) from error


def camera_from_facts(facts: Mapping[str, Any]) -> Intrinsics:
    """From what a camera_info has, by any of its spellings. Raises KeyError, ValueError and TypeError."""
    width, height = (int(facts[f"image_{k}"] if f"image_{k}" in facts else facts[k]) for k in ("width", "height"))
    if "fx" in facts:
        fx, fy, cx, cy = (float(facts[k]) for k in ("fx", "fy", "cx", "cy"))
        return Intrinsics(fx, fy, cx, cy, width, height)
    k = _numbers(facts, "camera_matrix", "k", "K")
    if len(k) != 9:
        raise ValueError(f"a camera matrix has 9 numbers, not {len(k)}")
    model = str(facts.get("distortion_model") or "plumb_bob").replace("fisheye", "equidistant")
    distortion = _numbers(facts, "distortion_coefficients", "d", "D")
    if model not in COEFFICIENTS:
        raise ValueError(f"the distortion model '{model}' is unknown; known are {', '.join(COEFFICIENTS)}")
    if not distortion or (not any(distortion) and model != "equidistant"):  # zeros there are an ideal fisheye lens
        distortion = ()
    elif len(distortion) not in COEFFICIENTS[model]:
        allowed = " or ".join(map(str, COEFFICIENTS[model]))
        raise ValueError(f"{model} has {allowed} coefficients, not {len(distortion)}")
    return Intrinsics(k[0], k[4], k[2], k[5], width, height, distortion, model)


def _numbers(facts: Mapping[str, Any], *names: str) -> tuple[float, ...]:
    value = next((facts[name] for name in names if name in facts), None)
    if value is None:
        raise KeyError(names[0])
    return tuple(float(v) for v in (value["data"] if isinstance(value, dict) else value))


def camera_info_text(camera: Intrinsics, name: str = "camera") -> str:
    """`camera` as ROS's camera_info YAML, the layout of `camera_calibration`."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    distortion = list(camera.distortion) or [0.0] * 5
    facts = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": name,
        "camera_matrix": {"rows": 3, "cols": 3, "data": k},
        "distortion_model": camera.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(distortion), "data": distortion},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]},
    }
    return yaml.safe_dump(facts, sort_keys=False, default_flow_style=None)


def from_35mm(focal_mm: float, width: int, height: int) -> Intrinsics | None:
    """From a focal length in mm that is equivalent on 35 mm film: the same angle along the diagonal (CIPA DCG-001)."""
    if not (math.isfinite(focal_mm) and focal_mm > 0):
        return None
    return Intrinsics.from_focal(focal_mm / _FILM_DIAGONAL_MM * math.hypot(width, height), width, height)


def from_exif(exif: Any, width: int, height: int) -> Intrinsics | None:
    """From a picture's EXIF (PIL.Image.Exif), where it has FocalLengthIn35mmFilm. 0 there means unknown."""
    try:
        return from_35mm(float(exif.get_ifd(_EXIF_IFD).get(_EXIF_35MM) or 0), width, height)
    except (TypeError, ValueError, KeyError, OSError, SyntaxError, ZeroDivisionError):  # EXIF can hold anything
        return None


def from_tags(tags: Mapping[str, str], width: int, height: int) -> Intrinsics | None:
    """From a video's metadata, where it has a phone's 35 mm equivalent focal length."""
    try:
        return from_35mm(float(tags.get(_VIDEO_35MM) or 0), width, height)
    except ValueError:
        return None


def camera_matrix(camera: Intrinsics) -> npt.NDArray[np.float64]:
    """(3, 3) float64."""
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


class Undistorter:
    """Pictures as a lens without distortion would give them, of the same size and focal length; black where unseen."""

    def __init__(self, camera: Intrinsics) -> None:
        import cv2

        matrix, size = camera_matrix(camera), (camera.width, camera.height)
        d = np.array(camera.distortion or (0.0,) * 4)
        make = cv2.fisheye.initUndistortRectifyMap if is_fisheye(camera) else cv2.initUndistortRectifyMap
        self._maps = make(matrix, d, np.eye(3), matrix, size, cv2.CV_16SC2)

    def __call__(self, image: Image) -> Image:
        import cv2

        return cast(Image, cv2.remap(image, *self._maps, cv2.INTER_LINEAR))


def is_fisheye(camera: Intrinsics) -> bool:
    """Whether the lens follows OpenCV's fisheye model (Kannala & Brandt, TPAMI 2006)."""
    return camera.distortion_model == "equidistant"
