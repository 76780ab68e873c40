"""From settings to what is known of the camera and of distances: the part of `build` that tells metres."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.geometry.camera import CameraSpec
from streamdepth.stabilizers import MetricReference
from streamdepth.utils.numbering import has_number_field, has_numbered_file, insert_number


def make_camera(settings: Settings) -> CameraSpec:
    """What the settings say of the camera. Raises ConfigError when they say it twice."""
    camera = settings.camera
    return CameraSpec(camera.info, camera.fov, camera.fx, camera.fy, camera.cx, camera.cy)


def make_reference(settings: Settings) -> MetricReference | None:
    """What tells metres, where the settings name it. Raises ConfigError, also when they name two."""
    makers: dict[str, tuple[object, Callable[[], MetricReference]]] = {
        "--anchor": (settings.metric.anchor, lambda: _anchors(settings.metric.anchor)),
        "--camera-height": (settings.metric.camera_height, lambda: _floor(settings)),
        "--board": (settings.metric.board, lambda: _board(settings.metric.board or "")),
        "--sparse": (settings.metric.sparse, lambda: _sparse(settings)),
    }
    given = {name: make for name, (value, make) in makers.items() if value}
    if len(given) > 1:
        raise ConfigError(
            f"metres come from one of {', '.join(makers)}, not from {' and '.join(given)}", code="conflict"
        )
    if settings.metric.camera_pitch is not None and "--camera-height" not in given:
        raise ConfigError("--camera-pitch goes with --camera-height, the height over the floor", code="conflict")
    return next(iter(given.values()))() if given else None


def _anchors(texts: Sequence[str]) -> MetricReference:
    from streamdepth.geometry.lengths import parse_length_m
    from streamdepth.stabilizers.metric import AnchorReference

    known = []
    for text in texts:
        match = re.fullmatch(r"\s*([\d.]+)\s*,\s*([\d.]+)\s*=(.*)", text)
        try:
            known.append([float(match[1]), float(match[2]), parse_length_m(match[3])] if match else [])
        except ValueError:
            known.append([])
        if not known[-1]:
            raise ConfigError(
                f"'{text}' is no anchor; write x,y=1.35m with px of the picture, such as 320,200=1.35m",
                code="bad-anchor",
            )
    return AnchorReference(np.array(known))


def _floor(settings: Settings) -> MetricReference:
    from streamdepth.geometry.lengths import parse_length_m
    from streamdepth.stabilizers.metric import FloorReference

    return FloorReference(parse_length_m(settings.metric.camera_height or ""), settings.metric.camera_pitch)


def _board(text: str) -> MetricReference:
    from streamdepth.geometry.boards import Board
    from streamdepth.stabilizers.metric import BoardReference

    return BoardReference(Board.parse(text))


def _sparse(settings: Settings) -> MetricReference:
    from streamdepth.sources.picture_file import read_depth_png
    from streamdepth.stabilizers.metric import AnchorReference, SparseDepthReference, anchors_from_depth

    pattern, scale = str(settings.metric.sparse), settings.metric.sparse_scale
    if has_number_field(pattern):
        if not has_numbered_file(pattern):
            raise ConfigError(
                f"there is no sparse depth '{pattern}'; %06d stands for 000000, 000001 and so on, %04d for 0000",
                code="not-found",
            )
        return SparseDepthReference(lambda index: read_depth_png(Path(insert_number(pattern, index)), scale))
    depth = read_depth_png(Path(pattern), scale)
    if depth is None:
        raise ConfigError(
            f"there is no sparse depth '{pattern}'; give a 16-bit PNG, of a video %06d.png", code="not-found"
        )
    return AnchorReference(anchors_from_depth(depth, depth.shape), f"'{pattern}'", size=depth.shape[::-1])
