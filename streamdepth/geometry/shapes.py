"""Point clouds and meshes made of a frame and its depth, in the camera's axes (x right, y down, z forward)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Points
from streamdepth.geometry.flying_pixels import flying_pixels
from streamdepth.geometry.projection import back_project, camera_or_default, rays
from streamdepth.geometry.surfaces import is_grazing, normals

RELATIVE_DEPTH_RATIO = 4.0
"""Ratio of farthest to nearest distance when relative depth is drawn in 3D."""


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """Colored points with normals."""

    points: Points
    """(N, 3)."""
    normals: Points
    """(N, 3) of length 1, towards the camera."""
    colors: npt.NDArray[np.uint8]
    """(N, 3) RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A colored triangle mesh with normals and texture coordinates."""

    vertices: Points
    """(N, 3)."""
    normals: Points
    """(N, 3) of length 1, towards the camera."""
    faces: npt.NDArray[np.int64]
    """(M, 3) indices of vertices, counter-clockwise as the camera sees them."""
    colors: npt.NDArray[np.uint8]
    """(N, 3) RGB."""
    uv: npt.NDArray[np.float32]
    """(N, 2) position of each vertex in the picture: (0, 0) is its lower left corner, (1, 1) its upper right one."""


def build_point_cloud(item: DepthFrame) -> PointCloud:
    """Returns one point per known pixel of the depth map, with the picture's colors."""
    depth = depth_for_shapes(item)
    points = back_project(depth, camera_or_default(item))
    known = np.isfinite(points[..., 2])
    return PointCloud(points[known], _all_normals(depth, item)[known], _colors(item.frame.image, depth)[known])


def build_mesh(item: DepthFrame) -> Mesh:
    """Returns two triangles for any four known neighbors of the depth map, and none across jumps of depth."""
    depth = depth_for_shapes(item)
    points = back_project(depth, camera_or_default(item))
    known = np.isfinite(points[..., 2])
    vertex = np.full(known.shape, -1, np.int64)
    vertex[known] = np.arange(known.sum())
    a, b, c, d = vertex[:-1, :-1], vertex[:-1, 1:], vertex[1:, :-1], vertex[1:, 1:]
    faces = np.concatenate([np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, c, b), (b, c, d))])
    height, width = depth.shape
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height)
    uv = np.stack([u, v], axis=-1).astype(np.float32)
    colors, faces = _colors(item.frame.image, depth), faces[(faces >= 0).all(axis=1)]
    return Mesh(points[known], _all_normals(depth, item)[known], faces, colors[known], uv[known])


def depth_for_shapes(item: DepthFrame) -> DepthMap:
    """Returns (h, w) depth to build a shape of, NaN for flying pixels and surfaces seen under less than 5 degrees.

    Metric depth stays in meters. Relative depth has unknown scale and shift, so that its shape is for display only:
    the 98th percentile of its inverse depth is drawn at distance 1, the 2nd at RELATIVE_DEPTH_RATIO.
    """
    depth = item.depth
    if item.kind is DepthKind.RELATIVE:
        far, near = robust_range(depth, max_pixels=None) or (0.0, 1.0)
        nearness = np.clip((depth - far) / max(near - far, 1e-12), 0, 1.5)
        depth = (1 / (1 / RELATIVE_DEPTH_RATIO + nearness * (1 - 1 / RELATIVE_DEPTH_RATIO))).astype(np.float32)
    is_flying = flying_pixels(depth, DepthKind.METRIC)
    is_unknown = is_flying | is_grazing(depth, camera_or_default(item)) | ~np.isfinite(depth)
    return np.where(is_unknown, np.float32(np.nan), depth)


def _all_normals(depth: DepthMap, item: DepthFrame) -> Points:
    """Returns (h, w, 3) normals of length 1; where a pixel has no known neighbors, straight to the camera."""
    height, width = depth.shape
    ray = rays(camera_or_default(item), width, height)
    to_camera = -np.concatenate([ray, np.ones((height, width, 1))], axis=-1)
    to_camera /= np.linalg.norm(to_camera, axis=-1, keepdims=True)
    if min(height, width) < 2:
        return to_camera.astype(np.float32)
    known = normals(depth, camera_or_default(item))
    return np.where(np.isfinite(known), known, to_camera.astype(np.float32))


def _colors(image: Image, depth: DepthMap) -> Image:
    """Returns the picture at the size of the depth map."""
    height, width = depth.shape
    return cast(Image, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
