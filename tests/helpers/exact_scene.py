"""A box on a floor, seen by a camera that looks down on it, with depth that is exact to the last bit of a float."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.floor import find_floor
from streamdepth.geometry.planes import Plane

Floats = npt.NDArray[np.float64]
CAMERA = Intrinsics(700.0, 690.0, 322.5, 236.0, 640, 480)
HEIGHT_M, PITCH = 1.2, 40.0
BOX_M = (0.40, 0.25, 0.30)
"""Right, up, away."""


def pose(pitch: float = PITCH, height_m: float = HEIGHT_M, turn: float = 0.0, away_m: float = 1.4) -> Floats:
    """Returns the (4, 4) pose, camera to world; angles in degrees. In the world y is up and the box in the middle."""
    p, t = np.radians([pitch, turn])
    look = np.array([np.sin(t) * np.cos(p), -np.sin(p), -np.cos(t) * np.cos(p)])
    right = np.array([np.cos(t), 0, np.sin(t)])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(look, right), look], axis=1)
    matrix[:3, 3] = away_m * np.array([-np.sin(t), 0, np.cos(t)]) + [0, height_m, 0]
    return matrix


def depth_of(
    pose: Floats, camera: Intrinsics = CAMERA, *, floor: bool = True, box_m: tuple[float, ...] = BOX_M
) -> DepthMap:
    """Returns (H, W) meters along z, inf where there is nothing. Without a floor the box floats around the origin."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    direction, origin = ray @ pose[:3, :3].T, pose[:3, 3]
    size = np.array(box_m)
    low = np.array([-size[0] / 2, 0.0 if floor else -size[1] / 2, -size[2] / 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort(np.stack([(low - origin) / direction, (low + size - origin) / direction]), axis=0)
        near, far = ends[0].max(axis=-1), ends[1].min(axis=-1)
        ground = np.where(direction[..., 1] < 0, -origin[1] / direction[..., 1], np.inf)
    box = np.where((near <= far) & (near > 0), near, np.inf)
    return np.minimum(box, ground if floor else np.inf).astype(np.float32)


def on_box(pose: Floats, camera: Intrinsics = CAMERA) -> npt.NDArray[np.bool_]:
    """Returns (H, W): True where the box is visible."""
    return depth_of(pose, camera) < depth_of(pose, camera, box_m=(0.0, 0.0, 0.0)) - 1e-6


def picture_of(pose: Floats, camera: Intrinsics = CAMERA) -> Image:
    """Returns (H, W, 3) RGB: the box red, the floor gray."""
    image = np.full((camera.height, camera.width, 3), 120, np.uint8)
    image[on_box(pose, camera)] = (200, 30, 20)
    return image


def frame_of(depth: DepthMap, image: Image | None = None, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    """Returns a frame of CAMERA with this depth; without an image it is black."""
    if image is None:
        image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    return DepthFrame(Frame(image, 0, 0, Fraction(1), 0.0), depth, kind, intrinsics=CAMERA)


def ground_of(depth: DepthMap) -> Plane | None:
    """Returns the ground as the command `volume` finds it."""
    return find_floor(frame_of(depth), max_tilt_degrees=75, refine=True)
