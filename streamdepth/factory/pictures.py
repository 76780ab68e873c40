"""Estimates the depth of single pictures; loaded models are shared by all callers."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.config.sections import ModelSettings
from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, Frame
from streamdepth.factory.metric_references import make_camera_spec, make_metric_reference
from streamdepth.sources.arrays import ColorOrder, to_rgb_image
from streamdepth.stabilizers import MetricConverter, MetricReference

_LOADED_MODELS = 4
"""Models that stay loaded, those used last."""
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
    """Lets go of all models that `shared_estimator` has loaded."""
    _load.cache_clear()


def read_photo(image: Any, settings: Settings, color: ColorOrder = "rgb") -> tuple[Image, Intrinsics | None]:
    """Returns a picture as (H, W, 3) uint8 RGB, undistorted where the settings ask for it, and its intrinsics.

    The intrinsics are those of the settings, else of the picture's EXIF, else None.

    Args:
        image: a path, an http(s) address, a PIL image, or an array (H, W, 3) or (H, W) uint8.
        color: order of the channels of an array.

    Raises:
        SourceError: the picture cannot be read.
        ConfigError: it is nothing of that kind.
    """
    from streamdepth.geometry.camera import Undistorter
    from streamdepth.sources.picture_file import read_picture_and_intrinsics

    camera: Intrinsics | None = None
    if isinstance(image, np.ndarray):
        pixels = to_rgb_image(image, color)
    else:
        pixels, camera = read_picture_and_intrinsics(image, max_side_px=settings.max_side)
    camera = make_camera_spec(settings).intrinsics(pixels.shape[1], pixels.shape[0]) or camera
    if settings.camera.undistort and camera is not None and camera.distortion:
        return Undistorter(camera)(pixels), camera.pinhole
    return pixels, camera


def estimate_depth_frame(
    pixels: Image, estimator: Estimator, settings: Settings, camera: Intrinsics | None = None
) -> DepthFrame:
    """Returns a picture with its depth at the network's size, in meters where the settings hold a metric reference.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        camera: its intrinsics; None takes the model's own, where it estimates them.

    Raises:
        InferenceError: the model failed.
        ConfigError: the metric reference cannot be seen in the picture; code "no-reference".
    """
    frame = Frame(pixels, 0, 0, Fraction(1), time.monotonic(), "picture")
    result = estimator.estimate([frame])[0]
    if camera is None and result.focal_px:
        camera = Intrinsics.from_focal(result.focal_px, pixels.shape[1], pixels.shape[0])
    item = DepthFrame(frame, result.depth, estimator.info.kind, intrinsics=camera)
    reference = make_metric_reference(settings)
    return _in_meters(item, reference) if reference else item


def _in_meters(item: DepthFrame, reference: MetricReference) -> DepthFrame:
    (item,) = MetricConverter(reference).push(item)
    if item.metric_fit is None:
        raise ConfigError(
            f"{reference.name} cannot be seen in the picture, so there are no meters; leave it out",
            code="no-reference",
        )
    return item
