"""Makes depth of the two kinds that the pipeline knows, and the focal length, of the outputs of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamdepth.core.arrays import DepthMap, Mask
from streamdepth.core.errors import InferenceError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthKind, Estimate
from streamdepth.estimators.engines import FloatArray
from streamdepth.estimators.foreign.description import Description, Scale
from streamdepth.estimators.foreign.point_maps import depth_of_points
from streamdepth.geometry.projection import ASSUMED_FOV

_MAX_STRETCH, _SMALL_MAP = 1.25, 8
"""Greatest factor between the aspects of a map and of the picture; below 8 px, rounding alone exceeds it."""


def make_estimate(
    outputs: Mapping[str, FloatArray],
    description: Description,
    frame_size: tuple[int, int],
    input_size: tuple[int, int],
) -> Estimate:
    """Returns the estimate of one picture.

    Meters that depend on the focal length are those of a camera with a field of view of ASSUMED_FOV, which
    `Estimate.assumed_focal_px` says; whoever knows the camera scales them. The confidence may lie outside of 0 to 1, if
    the description is not right for the file.

    Args:
        outputs: by name, (h, w), (h, w, 3) for points, or a value.
        description: of the file.
        frame_size: (width, height) of the picture in px.
        input_size: (width, height) in px of what the network got.

    Raises:
        InferenceError: "bad-output" for shapes that do not go together.
    """
    _check_shapes(outputs, description)
    _check_aspect(description.output, outputs[description.output].shape, input_size)
    values = outputs[description.output]
    confidence = _confidence(outputs, description, values.shape[:2])
    valid, focal_px = _valid(confidence, description, values.shape[:2]), None
    if values.ndim == 3:
        values, focal_px = depth_of_points(values, valid, frame_size)
    factor, assumed_focal_px = _scale_factor(outputs, description.scale, frame_size, input_size)
    depth = _to_depth(values, description.kind, np.float32(factor))
    depth[~valid | ~np.isfinite(depth)] = np.nan
    if description.sky:
        is_sky = outputs[description.sky.output] >= description.sky.value
        depth[is_sky] = np.inf if description.depth_kind is DepthKind.METRIC else 0.0
    if confidence is not None:
        confidence = np.where(np.isnan(depth), np.float32(0), confidence)
    return Estimate(depth, focal_px, assumed_focal_px, confidence)


def _check_shapes(outputs: Mapping[str, FloatArray], description: Description) -> None:
    shape = outputs[description.output].shape
    if len(shape) < 2:
        raise _bad_output(description.output, "one number for a picture, and a map of depth is needed")
    for given in (description.confidence, description.sky):
        found = outputs[given.output].shape if given else ()
        if given and found not in ((), shape[:2]):
            raise _bad_output(given.output, f"the shape {found}, and the depth has {shape[:2]}")
    if description.scale.output and (found := outputs[description.scale.output].shape) != ():
        raise _bad_output(description.scale.output, f"the shape {found}, and a scale is one number for a picture")


def _check_aspect(name: str, shape: tuple[int, ...], input_size: tuple[int, int]) -> None:
    """Raises InferenceError for a map whose sides are not as those of the picture: one that lies on its side."""
    (height, width), (wide, high) = shape[:2], input_size
    ratio = width * high / (height * wide)
    if min(height, width) > _SMALL_MAP and not 1 / _MAX_STRETCH < ratio < _MAX_STRETCH:
        raise _bad_output(
            name, f"{width}x{height} px for an input of {wide}x{high} px; height and width may be swapped"
        )


def _bad_output(name: str, why: str) -> InferenceError:
    return InferenceError(
        f"the output {name!r} has {why}; name another one in the description, or leave it out", code="bad-output"
    )


def _confidence(
    outputs: Mapping[str, FloatArray], description: Description, shape: tuple[int, ...]
) -> FloatArray | None:
    """Returns the confidence of each pixel, normalized as the description says; None where it names none."""
    if description.confidence is None:
        return None
    return np.broadcast_to(description.confidence.normalize(outputs[description.confidence.output]), shape)


def _valid(confidence: FloatArray | None, description: Description, shape: tuple[int, ...]) -> Mask:
    """Returns where the confidence reaches the threshold of the description, if that has one."""
    if confidence is None or description.confidence is None or description.confidence.threshold is None:
        return np.ones(shape, np.bool_)
    return confidence >= np.float32(description.confidence.threshold)


def _scale_factor(
    outputs: Mapping[str, FloatArray], scale: Scale, frame_size: tuple[int, int], input_size: tuple[int, int]
) -> tuple[float, float | None]:
    """Returns the factor to meters, and the focal length in px of the picture for which it holds, if on any."""
    factor = scale.number * (float(outputs[scale.output]) if scale.output else 1.0)
    if not scale.focal_power:
        return factor, None
    assumed_focal_px = Intrinsics.from_fov(ASSUMED_FOV, *frame_size).fx
    return factor * (assumed_focal_px * _resize_factor(frame_size, input_size)) ** scale.focal_power, assumed_focal_px


def _resize_factor(frame_size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """Returns the factor by which resizing changes a focal length in px: the mean of both directions."""
    return (input_size[0] / frame_size[0] + input_size[1] / frame_size[1]) / 2


def _to_depth(values: FloatArray, kind: str, factor: np.float32) -> DepthMap:
    """Returns inverse depth, or meters; what cannot be depth is NaN."""
    if kind == "inverse":
        return values.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth = np.exp(values) if kind == "log-metric" else np.where(values > 0, values, np.float32(np.nan))
        return np.asarray(1 / depth if kind == "relative" else depth * factor, np.float32)
