"""From depth to the world: points, normals, planes and meshes, in the camera's axes.

x points right, y down, z forward, as in OpenCV and ROS's optical frames; metres where the depth is metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, Image, Intrinsics
from streamdepth.geometry.camera import camera_matrix, is_fisheye
from streamdepth.geometry.flying_pixels import flying_pixels

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
"""(..., 3) x, y, z; NaN = unknown."""
Mask = npt.NDArray[np.bool_]

ASSUMED_FOV = 60.0
"""Degrees, for pictures of an unknown camera: that of a common phone or webcam."""
_GRAZING = 0.087
"""The sine of 5 degrees."""
LOOKING_RATIO = 4.0
"""How many times as far as its nearest the farthest part of relative depth is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    points: Points
    """(N, 3)."""
    normals: Points
    """(N, 3) of length 1, towards the camera."""
    colors: npt.NDArray[np.uint8]
    """(N, 3) RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    vertices: Points
    """(N, 3)."""
    normals: Points
    """(N, 3) of length 1, towards the camera."""
    faces: npt.NDArray[np.int64]
    """(M, 3) indices of vertices, counter-clockwise as the camera sees them."""
    colors: npt.NDArray[np.uint8]
    """(N, 3) RGB."""
    uv: npt.NDArray[np.float32]
    """(N, 2) where a vertex lies in the picture, 0 to 1 from its lower left corner, as glTF's tools count."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """All points with normal . point + offset = 0; `normal` has length 1 and points to the camera's side."""

    normal: Floats
    offset: float
    """The camera's distance from the plane, metres."""
    rms_m: float
    """Of the distances of the points it was fitted to."""
    share: float
    """Of all points, those it was fitted to."""

    def heights(self, points: Points) -> Points:
        """(..., ) distances from the plane, positive on the camera's side."""
        return np.asarray(points @ self.normal + self.offset, np.float32)


@lru_cache(maxsize=4)
def rays(camera: Intrinsics, width: int, height: int) -> Floats:
    """(height, width, 2) float64, read-only: x / z and y / z of what each pixel sees, at this size of the picture."""
    found = _rays(camera.resized(width, height), width, height)
    found.setflags(write=False)
    return found


def _rays(camera: Intrinsics, width: int, height: int) -> Floats:
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    if not camera.distortion:
        return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], axis=-1)
    undo = cv2.fisheye.undistortPoints if is_fisheye(camera) else cv2.undistortPoints
    pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    return cast(Floats, undo(pixels, camera_matrix(camera), np.array(camera.distortion)).reshape(height, width, 2))


def back_project(depth_m: DepthMap, camera: Intrinsics) -> Points:
    """(h, w) metres along Z, of the whole picture at any size -> (h, w, 3) points; NaN where not finite or behind."""
    height, width = depth_m.shape
    z = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(np.nan)).astype(np.float64)
    xy = rays(camera, width, height) * z[..., None]
    return np.concatenate([xy, z[..., None]], axis=-1).astype(np.float32)


def project(points: Points, camera: Intrinsics) -> Floats:
    """(..., 3) points -> (..., 2) px: the inverse of `back_project`."""
    flat, zero = np.asarray(points, np.float64).reshape(-1, 1, 3), np.zeros(3)
    see = cv2.fisheye.projectPoints if is_fisheye(camera) and camera.distortion else cv2.projectPoints
    seen = see(flat, zero, zero, camera_matrix(camera), np.array(camera.distortion or (0.0,) * 4))[0]
    return cast(Floats, seen.reshape(*points.shape[:-1], 2))


def surface(depth_m: DepthMap, camera: Intrinsics) -> Floats:
    """(h, w, 3) float64: the local plane at each pixel, as the vector `a` with a . point = 1 on it; NaN = unknown.

    On a plane 1 / z is linear in the picture (its slope is exact there). Of the pixels before and behind, those are
    taken that continue the plane best, so that edges stay sharp.
    """
    height, width = depth_m.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.nan).astype(np.float64)
    at = rays(camera, width, height)
    across = _slope(inverse) / np.gradient(at[..., 0], axis=1)
    down = _slope(inverse.T).T / np.gradient(at[..., 1], axis=0)
    return np.stack([across, down, inverse - across * at[..., 0] - down * at[..., 1]], axis=-1)


def _slope(values: Floats) -> Floats:
    """Along the last axis, from the side on which three values are most nearly in a line."""
    padded = np.pad(values, ((0, 0), (2, 2)), constant_values=np.nan)
    before, after = padded[:, 1:-3], padded[:, 3:-1]
    bend_before = np.abs(padded[:, :-4] - 2 * before + values)
    bend_after = np.abs(padded[:, 4:] - 2 * after + values)
    left, right = values - before, after - values
    bend_before, bend_after = (np.nan_to_num(bend, nan=np.inf) for bend in (bend_before, bend_after))
    chosen = np.where(bend_before <= bend_after, left, right)
    return np.where(np.isfinite(chosen), chosen, np.where(np.isfinite(left), left, right))


def normals(depth_m: DepthMap, camera: Intrinsics) -> Points:
    """(h, w, 3) float32 of length 1, towards the camera; NaN = unknown."""
    a = surface(depth_m, camera)
    return np.asarray(-a / np.linalg.norm(a, axis=-1, keepdims=True), np.float32)


def fit_plane(points: npt.ArrayLike, tolerance_m: float = 0.02, rounds: int = 300) -> Plane | None:
    """The plane with the most points within `tolerance_m` (RANSAC, then least squares); None for too few points.

    Args:
        points: (N, 3); those not finite do not count.
    """
    known = np.asarray(points, np.float64).reshape(-1, 3)
    known = known[np.isfinite(known).all(axis=1)]
    if len(known) < 3:
        return None
    rng = np.random.default_rng(0)
    some = known[rng.choice(len(known), min(len(known), 4000), replace=False)]
    a, b, c = (some[rng.integers(0, len(some), rounds)] for _ in range(3))
    across = np.cross(b - a, c - a)
    length = np.linalg.norm(across, axis=1)
    a, across = a[length > 1e-12], across[length > 1e-12] / length[length > 1e-12, None]
    near = np.abs(some @ across.T - (a * across).sum(axis=1)) < tolerance_m
    most = int(near.sum(axis=0).argmax()) if len(a) else 0
    if not len(a) or near[:, most].sum() < 3:
        return None
    return _least_squares(known, some[near[:, most]], tolerance_m)


def _least_squares(points: Floats, start: Floats, tolerance_m: float) -> Plane:
    chosen = start
    for _ in range(3):
        centre = chosen.mean(axis=0)
        normal = np.linalg.eigh(np.cov((chosen - centre).T))[1][:, 0]
        near = np.abs((points - centre) @ normal) < tolerance_m
        if near.sum() < 3:
            break
        chosen = points[near]
    offset = -float(centre @ normal)
    if offset < 0:
        normal, offset = -normal, -offset
    rms = float(np.sqrt((((chosen - centre) @ normal) ** 2).mean()))
    return Plane(normal, offset, rms, len(chosen) / len(points))


def ground_plane(depth_m: DepthMap, camera: Intrinsics, tolerance_m: float = 0.02) -> Plane | None:
    """The plane most of what faces upwards lies in, to 75 degrees from the picture's own up; None without any."""
    upwards = normals(depth_m, camera)[..., 1] < -0.25
    return fit_plane(back_project(depth_m, camera)[upwards], tolerance_m) if upwards.sum() >= 3 else None


def shape_of(item: DepthFrame) -> DepthMap:
    """Depth to build a shape from: metres, or for relative depth a shape for looking only.

    Unknown are flying pixels, and those whose surface is seen under less than 5 degrees: slopes drawn over a jump.

    Relative depth tells neither scale nor shift. It is drawn as if its farthest (2nd percentile of inverse depth) were
    LOOKING_RATIO times as far as its nearest (98th), at 1: these are not metres.
    """
    depth = item.depth
    if item.kind is DepthKind.RELATIVE:
        known = depth[np.isfinite(depth)]
        far, near = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
        share = np.clip((depth - far) / max(near - far, 1e-12), 0, 1.5)
        depth = (1 / (1 / LOOKING_RATIO + share * (1 - 1 / LOOKING_RATIO))).astype(np.float32)
    flying = flying_pixels(depth, DepthKind.METRIC)
    return np.where(flying | is_grazing(depth, camera_of(item)) | ~np.isfinite(depth), np.float32(np.nan), depth)


def is_grazing(depth_m: DepthMap, camera: Intrinsics) -> Mask:
    """Where the line of sight and the surface nearly agree."""
    height, width = depth_m.shape
    if min(height, width) < 2:
        return np.zeros(depth_m.shape, np.bool_)
    a, ray = surface(depth_m, camera), rays(camera, width, height)
    length = np.linalg.norm(a, axis=-1) * np.sqrt((ray**2).sum(axis=-1) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 / depth_m < _GRAZING * length, np.bool_)


def camera_of(item: DepthFrame) -> Intrinsics:
    """The item's camera, or one with a field of view of ASSUMED_FOV."""
    width, height = item.frame.size
    return item.intrinsics or Intrinsics.from_fov(ASSUMED_FOV, width, height)


def point_cloud(item: DepthFrame) -> PointCloud:
    """One point per known pixel of the depth map, with the picture's colours."""
    depth = shape_of(item)
    points = back_project(depth, camera_of(item))
    known = np.isfinite(points[..., 2])
    return PointCloud(points[known], _normals(depth, item)[known], _colors(item.frame.image, depth)[known])


def mesh(item: DepthFrame) -> Mesh:
    """Two triangles between any four neighbours of the depth map that are known; cut at jumps between near and far."""
    depth = shape_of(item)
    points = back_project(depth, camera_of(item))
    known = np.isfinite(points[..., 2])
    number = np.full(known.shape, -1, np.int64)
    number[known] = np.arange(known.sum())
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    faces = np.concatenate([np.stack(three, axis=-1).reshape(-1, 3) for three in ((a, c, b), (b, c, d))])
    height, width = depth.shape
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height)
    uv = np.stack([u, v], axis=-1).astype(np.float32)
    colors, faces = _colors(item.frame.image, depth), faces[(faces >= 0).all(axis=1)]
    return Mesh(points[known], _normals(depth, item)[known], faces, colors[known], uv[known])


def _normals(depth: DepthMap, item: DepthFrame) -> Points:
    """(h, w, 3) of length 1; straight to the camera where no neighbours tell more."""
    height, width = depth.shape
    ray = rays(camera_of(item), width, height)
    straight = -np.concatenate([ray, np.ones((height, width, 1))], axis=-1)
    straight /= np.linalg.norm(straight, axis=-1, keepdims=True)
    if min(height, width) < 2:
        return straight.astype(np.float32)
    found = normals(depth, camera_of(item))
    return np.where(np.isfinite(found), found, straight.astype(np.float32))


def _colors(image: Image, depth: DepthMap) -> Image:
    """The picture at the size of the depth map."""
    height, width = depth.shape
    return cast(Image, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
