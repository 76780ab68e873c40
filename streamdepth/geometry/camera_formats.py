"""Camera formats of ROS, OpenCV, Kalibr, EuRoC, ORB-SLAM, camodocal, Basalt, KITTI, NeRF, COLMAP and Open3D.

Each function takes the values of a file and returns its cameras by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.lens_names import with_lens

Fields = Mapping[str, Any]


class FileCamera(NamedTuple):
    """A camera as a file describes it; `at_size` makes intrinsics of it."""

    fx: float
    fy: float
    cx: float
    cy: float
    size: tuple[int, int] | None
    """(width, height) of its pictures in px; None where the file does not say."""
    lens: str = ""
    """The file's name of the distortion model."""
    coefficients: tuple[float, ...] = ()
    view_radians: float | None = None
    """Horizontal field of view, where the file has no focal length."""

    def at_size(self, width: int, height: int) -> Intrinsics:
        """Returns the intrinsics for pictures of the file's own size, or of this one. Raises ValueError."""
        width, height = self.size or (width, height)
        if self.view_radians is not None:
            return Intrinsics.from_fov(math.degrees(self.view_radians), width, height)
        camera = Intrinsics(self.fx, self.fy, self.cx, self.cy, width, height)
        return with_lens(camera, self.lens, self.coefficients)


def cameras_in(fields: Fields) -> dict[str, FileCamera]:
    """Returns the cameras in the values of a file, by name, the usual one first; empty where no layout fits.

    Raises KeyError, ValueError, TypeError and IndexError for values that are missing or wrong.
    """
    return next((found for read in _LAYOUTS if (found := read(fields))), {})


def _nerf(fields: Fields) -> dict[str, FileCamera]:
    """NeRF's transforms.json (instant-ngp, nerfstudio). Its pixels' centers lie at halves, as COLMAP has it."""
    frames = fields.get("frames")
    first = frames[0] if isinstance(frames, list) and frames and isinstance(frames[0], dict) else {}
    values = {**first, **{key: value for key, value in fields.items() if key != "frames"}}
    if not ("fl_x" in values or "camera_angle_x" in values):
        return {}
    size = _size_of([values.get("w"), values.get("h")])
    if "fl_x" not in values:
        return {"camera": FileCamera(0, 0, 0, 0, size, view_radians=float(values["camera_angle_x"]))}
    width, height = size or (2 * float(values["cx"]), 2 * float(values["cy"]))
    fx = float(values["fl_x"])
    fy = float(values.get("fl_y") or fx)
    cx, cy = (float(values.get(name, side / 2)) - 0.5 for name, side in (("cx", width), ("cy", height)))
    model = str(values.get("camera_model", "")).upper()
    is_fisheye = bool(values.get("is_fisheye")) or "FISHEYE" in model
    if "EQUIRECT" in model or values.get("equirectangular"):
        raise ValueError(f"pictures of {model or 'an equirectangular camera'} have no focal length")
    names = ("k1", "k2", "k3", "k4") if is_fisheye else ("k1", "k2", "p1", "p2", "k3")
    numbers = tuple(float(values.get(name) or 0) for name in names)
    lens = "equidistant" if is_fisheye else "plumb_bob"
    return {"camera": FileCamera(fx, fy, cx, cy, size, lens, numbers)}


def _open3d(fields: Fields) -> dict[str, FileCamera]:
    """Open3D's PinholeCameraIntrinsic or PinholeCameraParameters; the matrix is stored column by column."""
    values = fields.get("intrinsic") if isinstance(fields.get("intrinsic"), dict) else fields
    if not isinstance(values, dict) or "intrinsic_matrix" not in values:
        return {}
    fx, _, _, _, fy, _, cx, cy, _ = (float(number) for number in values["intrinsic_matrix"])
    return {"camera": FileCamera(fx, fy, cx, cy, (int(values["width"]), int(values["height"])))}


def _kalibr(fields: Fields) -> dict[str, FileCamera]:
    """Kalibr's camchain, or the sensor.yaml of one camera of EuRoC."""
    chain = {name: value for name, value in fields.items() if isinstance(value, dict) and "intrinsics" in value}
    chain = chain or ({"camera": dict(fields)} if isinstance(fields.get("intrinsics"), list) else {})
    return {str(name): _kalibr_camera(value) for name, value in chain.items()}


def _kalibr_camera(values: Fields) -> FileCamera:
    model = str(values.get("camera_model", "pinhole")).lower()
    *own, fx, fy, cx, cy = (float(number) for number in values["intrinsics"])
    lens = str(values.get("distortion_model", "none"))
    numbers = _numbers(values.get("distortion_coeffs", values.get("distortion_coefficients", ())))
    if model not in ("pinhole", "") and lens.lower() not in ("none", "") and model != "omni" and any(numbers):
        raise ValueError(f"the camera model '{model}' with the distortion '{lens}' is unknown")
    if model == "omni":
        if lens.lower() not in ("none", "radtan", "radial-tangential"):
            raise ValueError(f"the camera model 'omni' with the distortion '{lens}' is unknown")
        lens, numbers = "omnidirectional", (*own, *(numbers if any(numbers) else ()))
    elif model not in ("pinhole", ""):
        lens, numbers = model, tuple(own)
    return FileCamera(fx, fy, cx, cy, _size_of(values.get("resolution")), lens, numbers)


def _camodocal(fields: Fields) -> dict[str, FileCamera]:
    """Camodocal's file, which VINS uses too: PINHOLE, KANNALA_BRANDT or MEI."""
    if "model_type" not in fields:
        return {}
    model, projection = str(fields["model_type"]).upper(), fields["projection_parameters"]
    size = int(fields["image_width"]), int(fields["image_height"])
    if model == "KANNALA_BRANDT":
        fx, fy, cx, cy = (float(projection[name]) for name in ("mu", "mv", "u0", "v0"))
        numbers = tuple(float(projection[name]) for name in ("k2", "k3", "k4", "k5"))
        return {"camera": FileCamera(fx, fy, cx, cy, size, "equidistant", numbers)}
    brown = tuple(float(fields.get("distortion_parameters", {}).get(name) or 0) for name in ("k1", "k2", "p1", "p2"))
    if model == "MEI":
        fx, fy, cx, cy = (float(projection[name]) for name in ("gamma1", "gamma2", "u0", "v0"))
        numbers = (float(fields["mirror_parameters"]["xi"]), *brown)
        return {"camera": FileCamera(fx, fy, cx, cy, size, "omnidirectional", numbers)}
    if model != "PINHOLE":
        raise ValueError(f"the model_type '{model}' is unknown; known are PINHOLE, KANNALA_BRANDT and MEI")
    fx, fy, cx, cy = (float(projection[name]) for name in ("fx", "fy", "cx", "cy"))
    return {"camera": FileCamera(fx, fy, cx, cy, size, "plumb_bob", brown)}


def _basalt(fields: Fields) -> dict[str, FileCamera]:
    """Basalt's calibration: value0 with a list of cameras, pinhole, ds, eucm or kb4."""
    values = fields.get("value0")
    if not isinstance(values, dict) or "intrinsics" not in values:
        return {}
    extra = {"ds": ("xi", "alpha"), "eucm": ("alpha", "beta"), "kb4": ("k1", "k2", "k3", "k4"), "pinhole": ()}
    found = {}
    for index, camera in enumerate(values["intrinsics"]):
        kind, numbers = str(camera["camera_type"]), camera["intrinsics"]
        if kind not in extra:
            raise ValueError(f"the camera_type '{kind}' is unknown; known are {', '.join(extra)}")
        fx, fy, cx, cy = (float(numbers[name]) for name in ("fx", "fy", "cx", "cy"))
        lens = tuple(float(numbers[name]) for name in extra[kind])
        found[f"cam{index}"] = FileCamera(fx, fy, cx, cy, _size_of(values["resolution"][index]), kind, lens)
    return found


def _orb_slam(fields: Fields) -> dict[str, FileCamera]:
    """ORB-SLAM's settings: Camera.fx, or Camera1.fx and Camera2.fx of version 3."""
    found = {}
    for name in ("Camera", "Camera1", "Camera2"):
        if f"{name}.fx" not in fields:
            continue
        fx, fy, cx, cy = (float(fields[f"{name}.{key}"]) for key in ("fx", "fy", "cx", "cy"))
        sides = [fields.get(f"Camera.{side}") for side in ("width", "height")]
        is_fisheye = str(fields.get("Camera.type", "")).lower().startswith("kannala")
        keys = ("k1", "k2", "k3", "k4") if is_fisheye else ("k1", "k2", "p1", "p2", "k3")
        numbers = tuple(float(fields.get(f"{name}.{key}") or 0) for key in keys)
        lens = "equidistant" if is_fisheye else "plumb_bob"
        found[name] = FileCamera(fx, fy, cx, cy, _size_of(sides), lens, numbers)
    return found


_MATRICES = {
    "camera_matrix": "distortion_coefficients dist_coeffs distortion_coeffs dist_coeff distortion",
    "cameraMatrix": "distCoeffs distortionCoefficients",
    "Camera_Matrix": "Distortion_Coefficients",
    "CameraMatrix": "DistCoeffs DistCoeff",
    "intrinsic_matrix": "distortion_coefficients",
    "K": "D distortion_coefficients distCoeffs",
    "M1": "D1",
    "M2": "D2",
    "K1": "D1",
    "K2": "D2",
    "cameraMatrix1": "distCoeffs1",
    "cameraMatrix2": "distCoeffs2",
}
"""Name of a camera's matrix in files of OpenCV's users -> names of its distortion."""
_SIDES = (("image_width", "image_height"), ("image_Width", "image_Height"), ("width", "height"), ("cols", "rows"))
_SIZES = ("image_size", "imageSize", "img_size", "resolution", "size")


def _opencv(fields: Fields) -> dict[str, FileCamera]:
    """OpenCV's FileStorage as its programs write it, with or without the size of the pictures."""
    size = next((_size_of([fields[w], fields[h]]) for w, h in _SIDES if w in fields and h in fields), None)
    size = size or next((_size_of(fields[name]) for name in _SIZES if name in fields), None)
    is_fisheye = _is_true(fields.get("fisheye_model")) or _is_true(fields.get("fisheye"))
    model = str(fields.get("distortion_model") or fields.get("camera_model") or "")
    found = {}
    for name, distortion_names in _MATRICES.items():
        if name not in fields:
            continue
        k = _numbers(fields[name])
        if len(k) != 9:
            raise ValueError(f"a camera matrix has 9 numbers, not {len(k)}")
        numbers = next((_numbers(fields[d]) for d in distortion_names.split() if d in fields), ())
        lens = "equidistant" if is_fisheye else model
        found[name] = FileCamera(k[0], k[4], k[2], k[5], size, lens, numbers)
    return found


def _flat(fields: Fields) -> dict[str, FileCamera]:
    """Plain fx, fy, cx, cy, width and height."""
    if "fx" not in fields:
        return {}
    fx, fy, cx, cy = (float(fields[name]) for name in ("fx", "fy", "cx", "cy"))
    return {"camera": FileCamera(fx, fy, cx, cy, (int(fields["width"]), int(fields["height"])))}


def _ros(fields: Fields) -> dict[str, FileCamera]:
    """ROS's camera_info, as `camera_calibration` writes it or `ros2 topic echo` prints it."""
    k = next((fields[name] for name in ("camera_matrix", "k", "K") if name in fields), None)
    is_ros = "distortion_model" in fields or ("image_width" not in fields and "k" in fields)
    if k is None or not is_ros:
        return {}
    width, height = (int(fields[f"image_{side}"] if f"image_{side}" in fields else fields[side]) for side in _SIDES[2])
    numbers = _numbers(k)
    if len(numbers) != 9:
        raise ValueError(f"a camera matrix has 9 numbers, not {len(numbers)}")
    name = next((name for name in ("distortion_coefficients", "d", "D") if name in fields), None)
    if name is None:
        raise KeyError("distortion_coefficients")
    lens = str(fields.get("distortion_model") or "")
    size = width, height
    return {"camera": FileCamera(numbers[0], numbers[4], numbers[2], numbers[5], size, lens, _numbers(fields[name]))}


_LAYOUTS: tuple[Callable[[Fields], dict[str, FileCamera]], ...] = (
    *(_nerf, _open3d, _basalt, _camodocal, _kalibr, _orb_slam, _flat, _ros, _opencv),
)


def cameras_in_text(text: str) -> dict[str, FileCamera]:
    """Returns the cameras of KITTI's calib.txt (P0 to P3), of its raw data (P_rect_00...), or of COLMAP's cameras.txt.

    The left color camera, P2, comes first. Raises ValueError for lines that are damaged.
    """
    found = dict(_kitti_lines(text)) or dict(_colmap_lines(text))
    usual = next((name for name in ("P2", "02") if name in found), None)
    return {usual: found[usual], **found} if usual else found


def _kitti_lines(text: str) -> Iterator[tuple[str, FileCamera]]:
    lines = dict(re.findall(r"^(\w+):[ \t]*(.*)$", text, re.MULTILINE))
    for name, values in lines.items():
        match = re.fullmatch(r"P(\d)|P_rect_(\d\d)", name)
        if not match:
            continue
        p = [float(word) for word in values.split()]
        if len(p) != 12:
            raise ValueError(f"{name} has 12 numbers, not {len(p)}")
        size = lines.get(f"S_rect_{match[2]}")
        yield (
            match[2] or name,
            FileCamera(p[0], p[5], p[2], p[6], _size_of([float(word) for word in size.split()]) if size else None),
        )


_COLMAP = {
    "SIMPLE_PINHOLE": ("f cx cy", ""),
    "PINHOLE": ("fx fy cx cy", ""),
    "SIMPLE_RADIAL": ("f cx cy k1", "plumb_bob"),
    "RADIAL": ("f cx cy k1 k2", "plumb_bob"),
    "OPENCV": ("fx fy cx cy k1 k2 p1 p2", "plumb_bob"),
    "FULL_OPENCV": ("fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6", "rational_polynomial"),
    "OPENCV_FISHEYE": ("fx fy cx cy k1 k2 k3 k4", "equidistant"),
}
"""COLMAP's name of a camera model -> its parameters in order, and the lens."""


def _colmap_lines(text: str) -> Iterator[tuple[str, FileCamera]]:
    for number, model, width, height, rest in re.findall(
        r"^[ \t]*(\d+)[ \t]+([A-Z_]+)[ \t]+(\d+)[ \t]+(\d+)[ \t]+(.+)$", text, re.MULTILINE
    ):
        if model not in _COLMAP:
            raise ValueError(f"COLMAP's model {model} is unknown; known are {', '.join(_COLMAP)}")
        names, lens = _COLMAP[model]
        values = dict(zip(names.split(), (float(word) for word in rest.split()), strict=True))
        fx, fy = (values.get(name, values.get("f", 0.0)) for name in ("fx", "fy"))
        keys = {"equidistant": "k1 k2 k3 k4", "rational_polynomial": "k1 k2 p1 p2 k3 k4 k5 k6"}.get(lens, "k1 k2 p1 p2")
        numbers = tuple(values.get(key, 0.0) for key in keys.split())
        cx, cy = values["cx"] - 0.5, values["cy"] - 0.5  # pixels' centers lie at halves there
        yield number, FileCamera(fx, fy, cx, cy, (int(width), int(height)), lens, numbers)


def _numbers(value: Any) -> tuple[float, ...]:
    """Returns the numbers of a list, of rows of lists, or of a matrix with `data`."""
    if isinstance(value, dict):
        value = value["data"]
    if isinstance(value, str):
        value = value.split()
    parts = (part if isinstance(part, list) else [part] for part in value or ())
    return tuple(float(number) for part in parts for number in part)


def _size_of(value: Any) -> tuple[int, int] | None:
    """Returns (width, height); None where one of them is missing."""
    numbers = value.split() if isinstance(value, str) else value.get("data") if isinstance(value, dict) else value
    if not numbers or any(number is None for number in numbers):
        return None
    width, height = (round(float(number)) for number in numbers)
    return width, height


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("1", "1.0", "true")
