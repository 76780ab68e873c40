"""Makes cameras and metric references, which turn relative depth into meters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamdepth.config import Settings
from streamdepth.config.sections import MetricSettings
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.hub import takes_prompt
from streamdepth.factory.sensor_depth import VALUES_PER_METER, is_depth_of_frames
from streamdepth.geometry.camera import CameraSpec
from streamdepth.stabilizers import MetricReference
from streamdepth.stabilizers.fused_reference import FusedReference
from streamdepth.utils.numbering import has_number_field, has_numbered_file


def make_camera_spec(settings: Settings) -> CameraSpec:
    """Returns the camera of the settings. Raises ConfigError when they describe it twice."""
    camera = settings.camera
    fov = None if camera.fov == "auto" else camera.fov
    return CameraSpec(camera.info, fov, camera.fx, camera.fy, camera.cx, camera.cy)


def make_metric_reference(settings: Settings) -> MetricReference | None:
    """Returns all metric references of the settings fused into one; None if they name none.

    Sparse depth is no reference where the model takes it as its prompt.

    Raises:
        ConfigError: if they name one that cannot be used ("bad-anchor", "bad-size", "not-found"), one beside
            --depth-from ("conflict"), or no sparse depth for a model that needs it ("no-prompt").
    """
    metric = settings.metric
    makers: dict[str, tuple[object, Callable[[MetricSettings], MetricReference]]] = {
        "--anchor": (metric.anchor, _make_anchors),
        "--known-size": (metric.known_size, _make_known_size),
        "--camera-height": (metric.camera_height, _make_floor),
        "--board": (metric.board, _make_board),
        "--sparse": (metric.sparse, _make_sparse_depth),
    }
    given = {flag: make for flag, (value, make) in makers.items() if value}
    if metric.depth_from and given:
        raise ConfigError(
            f"meters come from --depth-from, which is the depth itself, so leave {' and '.join(given)} out",
            code="conflict",
        )
    if metric.camera_pitch is not None and "--camera-height" not in given:
        raise ConfigError("--camera-pitch goes with --camera-height, the height over the floor", code="conflict")
    references = {flag: make(metric) for flag, make in given.items()}
    if not metric.depth_from and takes_prompt(settings.model.name):
        _check_prompt(settings)
        del references["--sparse"]
    return FusedReference([*references.values()]) if len(references) > 1 else next(iter(references.values()), None)


def _check_prompt(settings: Settings) -> None:
    if not settings.metric.sparse:
        raise ConfigError(
            f"the model {settings.model.name} needs a sensor's depth beside the pictures; give it with --sparse: a "
            "16-bit PNG, for a video %06d.png or a folder, a topic of a bag, or sensor for a depth camera",
            code="no-prompt",
        )


def _make_anchors(metric: MetricSettings) -> MetricReference:
    from streamdepth.stabilizers.anchor_reference import AnchorReference

    return AnchorReference(np.array(_parse_anchors(metric.anchor)))


def _parse_anchors(texts: Sequence[str]) -> list[list[float]]:
    """Returns [x, y, meters] for each text such as "320,200=1.35m". Raises ConfigError for others."""
    from streamdepth.geometry.lengths import parse_length_m

    anchors = []
    for text in texts:
        match = re.fullmatch(r"\s*([\d.]+)\s*,\s*([\d.]+)\s*=(.*)", text)
        try:
            if match is None:
                raise ValueError
            anchors.append([float(match[1]), float(match[2]), parse_length_m(match[3])])
        except ValueError as error:
            raise ConfigError(
                f"'{text}' is no anchor; write x,y=1.35m with px of the picture, such as 320,200=1.35m",
                code="bad-anchor",
            ) from error
    return anchors


def _make_known_size(metric: MetricSettings) -> MetricReference:
    from streamdepth.stabilizers.anchor_reference import KnownSizeReference

    return KnownSizeReference(np.array([_parse_known_size(text) for text in metric.known_size]))


def _parse_known_size(text: str) -> list[float]:
    """Returns [x, y, width, height, meters] of a text such as "300,120,80x200=1.8m". Raises ConfigError for others."""
    from streamdepth.geometry.lengths import parse_length_m

    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*([1-9]\d*)\s*x\s*([1-9]\d*)\s*=(.*)", text)
    if match is None:
        raise ConfigError(
            f"'{text}' is no object of known size; write x,y,WIDTHxHEIGHT=1.8m with the box's upper left corner and "
            "size in px of the first picture, and the length of its longer side, such as 300,120,80x200=1.8m",
            code="bad-size",
        )
    return [*(float(number) for number in match.groups()[:4]), parse_length_m(match[5])]


def _make_floor(metric: MetricSettings) -> MetricReference:
    from streamdepth.geometry.lengths import parse_length_m
    from streamdepth.stabilizers.floor_reference import FloorReference

    return FloorReference(parse_length_m(metric.camera_height or ""), metric.camera_pitch)


def _make_board(metric: MetricSettings) -> MetricReference:
    from streamdepth.geometry.boards import Board
    from streamdepth.stabilizers.point_references import BoardReference

    return BoardReference(Board.parse(metric.board or ""))


def _make_sparse_depth(metric: MetricSettings) -> MetricReference:
    from streamdepth.sources.picture_file import read_depth_png
    from streamdepth.stabilizers.anchor_reference import AnchorReference
    from streamdepth.stabilizers.point_references import SparseDepthReference, anchors_from_depth

    pattern, scale = str(metric.sparse), metric.sparse_scale or VALUES_PER_METER
    if has_number_field(pattern) and not has_numbered_file(pattern):
        raise ConfigError(
            f"there is no sparse depth '{pattern}'; %06d stands for 000000, 000001 and so on, %04d for 0000",
            code="not-found",
        )
    if is_depth_of_frames(pattern):
        return SparseDepthReference(lambda frame: frame.sensor_depth)
    depth = read_depth_png(Path(pattern), scale)
    if depth is None:
        raise ConfigError(
            f"there is no sparse depth '{pattern}'; give a 16-bit PNG, of a video %06d.png or a folder, or a topic of "
            "a bag",
            code="not-found",
        )
    return AnchorReference(anchors_from_depth(depth, depth.shape), f"'{pattern}'", size=depth.shape[::-1])
