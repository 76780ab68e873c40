"""Makes the source that adds a sensor's depth to the frames, and the estimator that returns it instead of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.config.sections import MetricSettings
from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.estimators.hub import takes_prompt
from streamdepth.utils.numbering import has_number_field
from streamdepth.utils.redact import redact

if TYPE_CHECKING:
    from streamdepth.sources.sensor_depth import DepthReader

VALUES_PER_METER = 1000.0
"""Number that stands for one meter in integer depth, unless something else is known."""
DEPTH_CAMERA_PREFIXES = ("realsense:", "oak:")
"""Schemes of the addresses of live depth cameras."""
_CAMERA_SENSOR = "sensor"
"""The word in settings for the depth that a live depth camera gives with each frame."""


def is_sensor_stream(text: str) -> bool:
    """True if a setting names depth that comes with the frames: a topic, BAG#TOPIC or `sensor`; False for PNG."""
    return text == _CAMERA_SENSOR or _bag_and_topic(text) is not None or _is_topic(text)


def is_depth_of_frames(text: str) -> bool:
    """True if a setting names depth for each frame: a numbered PNG, a folder, or depth that comes with the frames."""
    return is_sensor_stream(text) or has_number_field(text) or Path(text).is_dir()


def topic_of(text: str, bag: Path) -> str | None:
    """Returns the topic of a bag that a setting names; None for depth from elsewhere."""
    found = _bag_and_topic(text)
    if found is not None:
        return found[1] if found[0] == bag else None
    return text if _is_topic(text) else None


def with_sensor_depth(source: Source, address: str, settings: Settings) -> Source:
    """Returns a source whose frames carry the sensor's depth of the settings; `source` itself where they name none.

    Raises:
        ConfigError: if the setting does not fit the source ("not-a-bag", "no-sensor", "conflict").
    """
    metric = settings.metric
    depth_from, sparse = (str(path) if path else "" for path in (metric.depth_from, metric.sparse))
    is_for_frames = is_depth_of_frames(sparse) or takes_prompt(settings.model.name)
    text = depth_from or (sparse if is_for_frames else "")
    if not text:
        return source
    if text == _CAMERA_SENSOR:
        if not address.startswith(DEPTH_CAMERA_PREFIXES):
            raise ConfigError(
                f"{redact(address)} has no depth sensor of its own; realsense: and oak: have one, and for a bag name "
                "the topic",
                code="no-sensor",
            )
        if settings.camera.undistort:
            raise ConfigError(
                "the depth of a live sensor belongs to its pictures as they are; leave --undistort out", code="conflict"
            )
        return source
    from streamdepth.sources.sensor_depth import SensorDepthSource

    return SensorDepthSource(source, _make_reader(text, address, settings))


def with_sparse_pictures(source: Source, settings: Settings) -> Source:
    """Returns a program's own source whose frames carry the settings' sparse depth, where that is PNG for each frame.

    Any other sparse depth must already be in the frames of such a source.
    """
    sparse = str(settings.metric.sparse or "")
    if not sparse or is_sensor_stream(sparse) or not is_depth_of_frames(sparse):
        return source
    from streamdepth.sources.sensor_depth import DepthPictures, SensorDepthSource

    return SensorDepthSource(source, DepthPictures(sparse, settings.metric.sparse_scale or VALUES_PER_METER))


def _make_reader(text: str, address: str, settings: Settings) -> DepthReader:
    metric = settings.metric
    if is_sensor_stream(text):
        from streamdepth.sources.bag_depth import BagDepth

        path, topic = _bag_and_topic(text) or (_bag_of(address, text), text)
        unit_m = 1 / metric.sparse_scale if metric.sparse_scale else None
        return BagDepth(path, topic, tolerance_seconds=metric.depth_tolerance, unit_m=unit_m)
    from streamdepth.sources.sensor_depth import DepthPictures

    if settings.camera.undistort and (metric.depth_from or takes_prompt(settings.model.name)):
        raise ConfigError(
            "depth in PNG belongs to the pictures as they are, with the distortion of the lens; leave --undistort out",
            code="conflict",
        )
    return DepthPictures(text, metric.sparse_scale or VALUES_PER_METER)


def read_filled_depth(settings: Settings) -> DepthMap:
    """Returns the sensor's depth of a single picture, which replaces a model's, with small holes filled.

    The result and the errors are those of `read_picture_depth`.
    """
    from streamdepth.geometry.hole_filling import fill_holes

    metric = settings.metric
    depth_m = read_picture_depth(metric.depth_from or Path(), metric)
    return fill_holes(depth_m, round(metric.fill_holes * depth_m.shape[1]))


def read_picture_depth(path: Path, metric: MetricSettings) -> DepthMap:
    """Returns the sensor's depth of a single picture, (h, w) meters.

    Raises:
        ConfigError: if the path names no file ("not-found"), or a topic ("not-a-bag").
    """
    from streamdepth.sources.picture_file import read_depth_png

    if is_sensor_stream(str(path)):
        raise ConfigError(f"a single picture has no topic '{path}'; give its depth as a 16-bit PNG", code="not-a-bag")
    depth_m = read_depth_png(path, metric.sparse_scale or VALUES_PER_METER)
    if depth_m is None:
        raise ConfigError(f"there is no depth '{path}'; give a 16-bit PNG", code="not-found")
    return depth_m


def make_sensor_estimator(settings: Settings) -> Estimator | None:
    """Returns an estimator that takes the depth of the frames; None where the settings ask for a network."""
    metric = settings.metric
    if not metric.depth_from:
        return None
    from streamdepth.estimators.sensor import SensorDepthEstimator

    return SensorDepthEstimator(f"sensor depth ({metric.depth_from})", max_gap=metric.fill_holes)


def _is_topic(text: str) -> bool:
    return text.startswith("/") and not Path(text).suffix and not has_number_field(text) and not Path(text).exists()


def _bag_and_topic(text: str) -> tuple[Path, str] | None:
    from streamdepth.sources.rosbag import split_bag_address

    path, topic = split_bag_address(text) or (None, None)
    return (path, topic) if path is not None and topic else None


def _bag_of(address: str, topic: str) -> Path:
    """Returns the path of the bag that is the source. Raises ConfigError for other sources."""
    from streamdepth.sources.rosbag import split_bag_address

    found = split_bag_address(address)
    if found is None:
        raise ConfigError(
            f"{redact(address)} is no bag, so it has no topic '{topic}'; name the bag as BAG#{topic}, or give depth as "
            "%06d.png",
            code="not-a-bag",
        )
    return found[0]
