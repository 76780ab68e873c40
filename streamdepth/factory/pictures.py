"""Estimates the depth of single pictures; loaded models are shared by all callers."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.config.sections import ModelSettings
from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.model_view import model_view
from streamdepth.core.notices import unknown_camera_notice
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.estimators.hub import takes_prompt
from streamdepth.factory.metric_references import make_camera_spec, make_metric_reference
from streamdepth.factory.sensor_depth import read_filled_depth, read_picture_depth
from streamdepth.sources.arrays import ColorOrder, to_rgb_image
from streamdepth.stabilizers import MetricConverter, MetricReference, SkyMarker

if TYPE_CHECKING:
    from streamdepth.sources.picture_file import LoadedPicture

_LOADED_MODELS = 4
"""Models that stay loaded, those used last."""
_log = logging.getLogger(__name__)
_loading = threading.Lock()


def shared_estimator(model: ModelSettings) -> Estimator:
    """Returns the estimator of these settings, loaded once for all threads; the last few stay loaded.

    Raises ModelLoadError, ConfigError and MissingDependencyError as `make_estimator` does.
    """
    with _loading:
        return _load(model)


@lru_cache(maxsize=_LOADED_MODELS)
def _load(model: ModelSettings) -> Estimator:
    return factory.make_estimator(Settings(model=model))


def forget_shared_estimators() -> None:
    """Releases all models that `shared_estimator` has loaded."""
    _load.cache_clear()


def read_photo(image: Any, settings: Settings, color: ColorOrder = "rgb") -> LoadedPicture:
    """Returns a picture as RGB, undistorted where the settings ask for it, with its valid pixels and its intrinsics.

    Transparent pixels are not valid, nor are black bars, unless `find_bars` is off. The intrinsics are those of the
    settings, else those of the picture's EXIF, else guessed if the settings ask for that, else None.

    Args:
        image: a path, an http(s) address, a PIL image, or an array (H, W, 3) or (H, W) uint8.
        color: order of the channels of an array.

    Raises:
        SourceError: the picture cannot be read.
        ConfigError: `image` is none of these.
    """
    from streamdepth.geometry.camera import Undistorter
    from streamdepth.sources.black_bars import valid_pixels
    from streamdepth.sources.picture_file import LoadedPicture, load_picture

    if isinstance(image, np.ndarray):
        picture = LoadedPicture(to_rgb_image(image, color), None, None)
    else:
        picture = load_picture(image, max_side_px=settings.max_side)
    if picture.valid is None and settings.find_bars and (between := valid_pixels(picture.pixels)) is not None:
        picture = picture._replace(valid=between, has_bars=True)
    pixels, valid, camera = picture[:3]
    camera = make_camera_spec(settings).intrinsics(pixels.shape[1], pixels.shape[0]) or camera
    if camera is None and settings.camera.fov == "auto":
        camera = _guess_camera(pixels)
    if not (settings.camera.undistort and camera is not None and camera.distortion):
        return picture._replace(valid=valid, intrinsics=camera)
    undistorter = Undistorter(camera)
    valid = None if valid is None else undistorter.apply_to_mask(valid)
    return picture._replace(pixels=undistorter(pixels), valid=valid, intrinsics=camera.pinhole)


def _guess_camera(pixels: Image) -> Intrinsics:
    """Returns the camera that a picture suggests, and logs what was guessed."""
    from streamdepth.geometry.field_of_view import guess_field_of_view

    found = guess_field_of_view([pixels])
    _log.warning("%s", found.notice("the picture"))
    return Intrinsics.from_fov(found.degrees, pixels.shape[1], pixels.shape[0])


def estimate_depth_frame(picture: LoadedPicture, estimator: Estimator, settings: Settings) -> DepthFrame:
    """Returns a picture with its depth at the network's size, in meters if the settings have a metric reference.

    Args:
        picture: as `read_photo` returns it; without intrinsics it gets the model's, where that estimates them.
        estimator: the model.
        settings: the metric reference.

    Raises:
        InferenceError: the model failed.
        ConfigError: the metric reference is not visible in the picture (code "no-reference"), or gives the scale with
            too large an error ("uncertain-scale").
    """
    pixels, valid, camera = picture[:3]
    frame = Frame(pixels, 0, 0, Fraction(1), time.monotonic(), valid=valid)
    if settings.metric.depth_from:
        make_metric_reference(settings)  # refuses what does not go with it
        frame = replace(frame, valid=None)  # a sensor's depth is valid where the picture is black
        return DepthFrame(frame, read_filled_depth(settings), DepthKind.METRIC, intrinsics=camera)
    reference = make_metric_reference(settings)
    if settings.metric.sparse and takes_prompt(settings.model.name):
        frame = replace(frame, sensor_depth=read_picture_depth(settings.metric.sparse, settings.metric))
    result = estimator.estimate([model_view(frame)])[0]
    if camera is None and result.assumed_focal_px:
        _log.warning("%s", unknown_camera_notice(result.assumed_focal_px, frame.size[0]))
    result = result.for_camera(camera)
    if camera is None and result.focal_px:
        camera = Intrinsics.from_focal(result.focal_px, pixels.shape[1], pixels.shape[0])
    result = result.hidden_where_invalid(valid)
    item = DepthFrame(frame, result.depth, estimator.info.kind, intrinsics=camera, confidence=result.confidence)
    if reference:
        item = _in_meters(item, reference, settings.metric.max_scale_error)
    (item,) = SkyMarker().push(item)
    return item


def _in_meters(item: DepthFrame, reference: MetricReference, max_scale_error: float) -> DepthFrame:
    (item,) = MetricConverter(reference, max_scale_error).push(item)
    if not item.is_withheld:
        return item
    if item.metric_residual is None:
        reason = reference.refusal or f"{reference.name} cannot be seen in the picture; leave it out"
        raise ConfigError(f"there are no meters: {reason}", code="no-reference")
    raise ConfigError(
        f"{reference.name} tells the scale of this picture to {item.scale_sigma:.0%} only, and --max-scale-error is "
        f"{max_scale_error:.0%}; know more distances, or allow a greater error",
        code="uncertain-scale",
    )
