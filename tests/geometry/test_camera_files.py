"""Cameras in the files that robots' and researchers' programs write."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera import CameraSpec
from streamdepth.geometry.camera_files import read_camera_file

KALIBR = """%YAML:1.0 # need to specify the file type at the top!
cam0:
  T_cam_imu:
    - [1.0, 0.0, 0.0, 0.0]
    - [0.0, 1.0, 0.0, 0.0]
    - [0.0, 0.0, 1.0, 0.0]
    - [0.0, 0.0, 0.0, 1.0]
  camera_model: MODEL
  distortion_coeffs: NUMBERS
  distortion_model: LENS
  intrinsics: INTRINSICS
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  camera_model: pinhole
  distortion_coeffs: [0.1, 0.2, 0.0, 0.0]
  distortion_model: equidistant
  intrinsics: [401.0, 402.0, 320.0, 240.0]
  resolution: [640, 480]
"""


def kalibr(model: str, lens: str, numbers: list[float], intrinsics: list[float]) -> str:
    text = KALIBR.replace("MODEL", model).replace("LENS", lens)
    return text.replace("NUMBERS", str(numbers)).replace("INTRINSICS", str(intrinsics))


PINHOLE = [500.0, 510.0, 322.0, 241.0]
BROWN = (-0.3, 0.1, 0.001, -0.002)


def camera(lens: str = "plumb_bob", numbers: tuple[float, ...] = ()) -> Intrinsics:
    return Intrinsics(500.0, 510.0, 322.0, 241.0, 640, 480, numbers, lens)


ORB_SLAM = """%YAML:1.0
#---------------------------------------------
Camera.type: "PinHole"
Camera.fx: 500.0
Camera.fy: 510.0
Camera.cx: 322.0
Camera.cy: 241.0
Camera.k1: -0.3
Camera.k2: 0.1
Camera.p1: 0.001
Camera.p2: -0.002
Camera.fps: 30.0
ORBextractor.nFeatures: 1000
"""
CAMODOCAL = """%YAML:1.0
---
model_type: MEI
camera_name: camera
image_width: 640
image_height: 480
mirror_parameters:
   xi: 1.5
distortion_parameters: {k1: -0.3, k2: 0.1, p1: 0.001, p2: -0.002}
projection_parameters: {gamma1: 500.0, gamma2: 510.0, u0: 322.0, v0: 241.0}
"""
BASALT = {
    "value0": {
        "T_imu_cam": [],
        "intrinsics": [
            {
                "camera_type": "ds",
                "intrinsics": {"fx": 500, "fy": 510, "cx": 322, "cy": 241, "xi": -0.2, "alpha": 0.57},
            }
        ],
        "resolution": [[640, 480]],
    }
}
EUROC = """sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)
T_BS:
  cols: 4
  rows: 4
  data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
rate_hz: 20
resolution: [640, 480]
camera_model: pinhole
intrinsics: [500.0, 510.0, 322.0, 241.0] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [-0.3, 0.1, 0.001, -0.002]
"""
P = " ".join(map(str, [500.0, 0, 322.0, -40.0, 0, 510.0, 241.0, 0, 0, 0, 1, 0]))
NERF = {
    "fl_x": 500.0,
    "fl_y": 510.0,
    "cx": 322.5,
    "cy": 241.5,
    "w": 640,
    "h": 480,
    "k1": -0.3,
    "k2": 0.1,
    "p1": 0.001,
    "p2": -0.002,
    "frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}] * 3000,
}
OPEN3D = {"width": 640, "height": 480, "intrinsic_matrix": [500.0, 0, 0, 0, 510.0, 0, 322.0, 241.0, 1]}

FILES = {
    "kalibr pinhole": ("a.yaml", kalibr("pinhole", "radtan", [*BROWN], PINHOLE), camera(numbers=BROWN)),
    "kalibr equi": (
        "a.yaml",
        kalibr("pinhole", "equidistant", [0.1, 0.0, 0.0, 0.0], PINHOLE),
        camera("equidistant", (0.1, 0.0, 0.0, 0.0)),
    ),
    "kalibr omni": (
        "a.yaml",
        kalibr("omni", "radtan", [*BROWN], [1.5, *PINHOLE]),
        camera("omnidirectional", (1.5, *BROWN)),
    ),
    "kalibr ds": ("a.yaml", kalibr("ds", "none", [], [-0.2, 0.57, *PINHOLE]), camera("double_sphere", (-0.2, 0.57))),
    "kalibr eucm": (
        "a.yaml",
        kalibr("eucm", "none", [], [0.6, 1.1, *PINHOLE]),
        camera("extended_unified", (0.6, 1.1)),
    ),
    "kalibr fov": ("a.yaml", kalibr("pinhole", "fov", [0.9], PINHOLE), camera("fov", (0.9,))),
    "euroc": ("sensor.yaml", EUROC, camera(numbers=BROWN)),
    "orb-slam": ("a.yaml", ORB_SLAM, camera(numbers=(*BROWN, 0.0))),
    "orb-slam 3": (
        "a.yaml",
        ORB_SLAM.replace("Camera.f", "Camera1.f").replace("Camera.c", "Camera1.c").replace("Camera.k", "Camera1.k"),
        camera(numbers=(-0.3, 0.1, 0.0, 0.0, 0.0)),
    ),
    "camodocal": ("a.yaml", CAMODOCAL, camera("omnidirectional", (1.5, *BROWN))),
    "basalt": ("a.json", json.dumps(BASALT), camera("double_sphere", (-0.2, 0.57))),
    "kitti": ("calib.txt", f"P0: {P.replace('500', '1')}\nP2: {P}\nTr: 1 0 0 0 0 1 0 0 0 0 1 0\n", camera()),
    "kitti raw": (
        "calib.txt",
        f"calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 6.4e+02 4.8e+02\nP_rect_02: {P}\n",
        camera(),
    ),
    "nerf": ("transforms.json", json.dumps(NERF), camera(numbers=(*BROWN, 0.0))),
    "open3d": ("camera.json", json.dumps(OPEN3D), camera()),
    "open3d parameters": ("view.json", json.dumps({"intrinsic": OPEN3D, "extrinsic": [0] * 16}), camera()),
    "colmap": (
        "cameras.txt",
        "# Camera list\n1 OPENCV 640 480 500 510 322.5 241.5 -0.3 0.1 0.001 -0.002\n",
        camera(numbers=BROWN),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_camera_is_read_in_each_layout(name: str, tmp_path: Path) -> None:
    file, text, wanted = FILES[name]
    (tmp_path / file).write_text(text)
    assert read_camera_file(tmp_path / file, (640, 480)) == wanted


@pytest.mark.parametrize("suffix", [".yml", ".xml"])
@pytest.mark.parametrize("names", [("camera_matrix", "distortion_coefficients"), ("cameraMatrix", "distCoeffs")])
def test_what_opencv_writes_is_read(suffix: str, names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "Sat 28 Nov 2026")
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write(names[0], camera().matrix)
    storage.write(names[1], np.array([[*BROWN, 0.02]]))
    storage.release()
    assert read_camera_file(path) == camera(numbers=(*BROWN, 0.02))


def test_the_size_comes_from_the_pictures_where_the_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "calib.txt"
    path.write_text(f"P0: {P}\nP2: {P.replace('500', '700')}\n")
    assert CameraSpec(path).size is None
    found = CameraSpec(path).intrinsics(1241, 376)
    assert found is not None
    assert (found.fx, found.width, found.height) == (700, 1241, 376)
    assert read_camera_file(Path(f"{path}#P0"), (1241, 376)).fx == 500
    with raises_code(ConfigError, "no-size"):
        read_camera_file(path)


def test_a_camera_of_several_is_chosen_by_its_name(tmp_path: Path, caplog) -> None:
    (tmp_path / "chain.yaml").write_text(kalibr("pinhole", "radtan", [*BROWN], PINHOLE))
    assert read_camera_file(tmp_path / "chain.yaml").fx == 500
    assert "cam1" in caplog.text
    assert read_camera_file(tmp_path / "chain.yaml#cam1").fx == 401
    with raises_code(ConfigError, "no-such-camera", naming="cam0, cam1"):
        read_camera_file(tmp_path / "chain.yaml#cam2")


def test_a_nerf_with_its_angle_alone(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps({"camera_angle_x": math.pi / 2, "frames": []}))
    assert read_camera_file(tmp_path / "transforms.json", (640, 480)) == Intrinsics.from_fov(90, 640, 480)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE a [<!ENTITY b 'c'>]><opencv_storage/>",
        "<opencv_storage><a>",
        "{" * 5000,
        '{"fl_x": "many", "w": 1, "h": 1}',
        "P2: 1 2 3\n",
        "1 OPENCV 640 480 500\n",
        kalibr("pinhole", "radtan", [0.1], PINHOLE),
        kalibr("pinhole", "radtan", [*BROWN], [500.0]),
        "model_type: ODD\nprojection_parameters: {}\nimage_width: 1\nimage_height: 1",
    ],
)
def test_what_is_no_camera_has_its_code(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with raises_code(ConfigError, "bad-camera"):
        read_camera_file(tmp_path / "a.yaml", (640, 480))
