"""Disparity from depth: the distance in px between the places of a point in the pictures of two eyes."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import RenderOptions, StereoOptions
from streamdepth.core.resize import fill_edges
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.render.colors import display_range
from streamdepth.render.upsampling import upsample

Disparity = npt.NDArray[np.float32]
"""(H, W) px by which a pixel of the left picture lies farther left in the right one: 0 is on the screen, positive is
before it, negative is behind it."""

MAX_STRENGTH, MAX_IPD_M = 0.2, 1.0
"""Largest values of `StereoOptions`: beyond them nobody can fuse the pictures."""
_JUMP_PX = 1.0
"""Disparity that rises by more than this within a soft edge is a step between two surfaces."""
_SOFT_EDGE_PX = 1.5
"""Half the width of the soft edges of a depth map in px of its own."""
_NEARER_SHARE = 0.3
"""Share of a soft edge's rise from which on a pixel belongs to the nearer surface."""
_NEAREST_M = 0.001
"""Smaller metric depth is treated as this."""


def check_stereo_options(options: StereoOptions) -> None:
    """Raises ConfigError ("bad-stereo") for values out of range."""
    if not 0 <= options.depth_strength <= MAX_STRENGTH:
        raise ConfigError(
            f"depth_strength is a share of the picture's width, from 0 to {MAX_STRENGTH}, not "
            f"{options.depth_strength:g}; 0.02 is comfortable",
            code="bad-stereo",
        )
    if not 0 <= options.convergence <= 1:
        raise ConfigError(
            f"convergence lies between 0 (all before the screen) and 1 (all behind it), not {options.convergence:g}",
            code="bad-stereo",
        )
    if options.ipd_m is not None and not 0 < options.ipd_m <= MAX_IPD_M:
        raise ConfigError(
            f"the distance of the eyes (ipd) is above 0 and up to {MAX_IPD_M} m, not {options.ipd_m:g} m; that of "
            "people is about 63mm",
            code="bad-stereo",
        )


def disparity_of(item: DepthFrame, options: RenderOptions) -> Disparity:
    """Returns the disparity of each pixel of a frame, with sharp steps at the edges of surfaces.

    Disparity is linear in inverse depth. Unknown depth lies on the screen.

    Raises:
        ConfigError: `ipd_m` is given, but the depth is not metric ("not-metric") or the camera is not known
            ("no-intrinsics").
    """
    width, height = item.frame.size
    radius = max(1, round(_SOFT_EDGE_PX * width / item.depth.shape[1]))
    values = _soft_disparity(upsample(item, options.edges), options.stereo)
    result = sharpen_steps(cast(Disparity, cv2.resize(values, (width, height))), radius)
    if item.frame.valid is not None:
        result[~item.frame.valid] = 0
    return result


def _soft_disparity(item: DepthFrame, options: StereoOptions) -> Disparity:
    """Returns the disparity in px of the frame, at the size of the depth map."""
    inverse = _inverse(item.depth, item.kind)
    far, near = sorted(_inverse(np.array(item.range or display_range(item.depth), np.float32), item.kind).tolist())
    if options.ipd_m is None:
        inverse = np.clip(inverse, far, near)
        gain = options.depth_strength * item.frame.size[0] / max(near - far, 1e-12)
    else:
        gain = _focal_px(item) * options.ipd_m
    on_screen = far + options.convergence * (near - far)
    result = cast(Disparity, (inverse - np.float32(on_screen)) * np.float32(gain))
    known = np.isfinite(result)
    return result if known.all() else fill_edges(result, known)


def _inverse(depth: DepthMap, kind: DepthKind) -> DepthMap:
    return np.reciprocal(np.maximum(depth, np.float32(_NEAREST_M))) if kind is DepthKind.METRIC else depth


def _focal_px(item: DepthFrame) -> float:
    """Returns the focal length in px of the frame."""
    if item.kind is not DepthKind.METRIC:
        raise ConfigError(
            "a distance of the eyes (ipd) needs metric depth, and this is relative depth; give depth_strength instead, "
            "or a reference for the scale such as camera_height",
            code="not-metric",
        )
    if item.intrinsics is None:
        raise ConfigError(
            "a distance of the eyes (ipd) needs the camera's intrinsics, which are unknown; give fov, fx or "
            "camera_info, or depth_strength instead of ipd",
            code="no-intrinsics",
        )
    return item.intrinsics.fx * item.frame.size[0] / item.intrinsics.width


def sharpen_steps(disparity: Disparity, radius: int) -> Disparity:
    """Makes soft edges between near and far hard, and shifts them outwards by a pixel.

    Pixels at the border of a near surface have mixed colors. They are moved with the near surface, since otherwise they
    would be left behind as a halo.

    Args:
        disparity: (H, W) px.
        radius: half the width of soft edges in px.
    """
    window = np.ones((2 * radius + 1,) * 2, np.uint8)
    near, far = cv2.dilate(disparity, window), cv2.erode(disparity, window)
    is_step = (cv2.subtract(near, far) > _JUMP_PX).view(np.uint8)
    is_near = cv2.compare(disparity, cv2.addWeighted(near, _NEARER_SHARE, far, 1 - _NEARER_SHARE, 0), cv2.CMP_GT)
    hard = cv2.copyTo(near, is_near, far)
    result = cv2.copyTo(hard, is_step, disparity.copy())
    return cast(Disparity, cv2.dilate(result, np.ones((1, 3), np.uint8)))
