"""The entities of a camera in a recording of Rerun, the same for files and viewers."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.sinks.robots.observation import Observation, RobotOptions, projection_matrix
from streamdepth.sinks.robots.observer import Observer

RERUN = OptionalPackage("rerun", "rerun-sdk", "rerun", "Rerun")
_FLUSH_INTERVAL = 30
"""Number of frames between two flushes, which report errors."""
FLUSH_TIMEOUT_SECONDS = 60.0


class RerunRecording:
    """The entities of one camera in an open recording.

    CAMERA/color and CAMERA/depth are each a pinhole with its image; CAMERA/points, scan and obstacles are in the
    camera's axes; CAMERA/confidence is a picture, and the figures below CAMERA/metric are plotted over time. Relative
    depth is a plain picture, CAMERA/inverse_depth_relative, so that nobody takes it for meters.

    Args:
        stream: Rerun's RecordingStream, which several cameras may share.
        on_notice: called with sentences for the user.
    """

    def __init__(
        self,
        stream: Any,
        info: StreamInfo,
        model: ModelInfo,
        options: RobotOptions,
        on_notice: Callable[[str], None],
    ) -> None:
        self.stream, self.count = stream, 0
        self._rr, self._camera = rerun_package(), options.namespace.strip("/")
        self._is_metric, self._has_dates = model.kind is DepthKind.METRIC, info.is_live or info.epoch_ns is not None
        self._options, self._observer = (
            options,
            Observer(info, options, on_notice if self._is_metric else _ignore_notice),
        )
        self._log_axes()

    def restart(self) -> Any:
        """Continues the recording with a new, unconnected stream, and returns it."""
        recording_id = self.stream.get_recording_id()
        self.stream.disconnect()
        self.stream = new_stream(recording_id)
        self._log_axes()
        return self.stream

    def _log_axes(self) -> None:
        self.stream.log(self._camera, self._rr.ViewCoordinates.RDF, static=True)
        if self._options.mount is not None:
            place = self._options.mount.parent_from_optical
            transform = self._rr.Transform3D(translation=place[:3, 3], mat3x3=place[:3, :3])
            self.stream.log(self._camera, transform, static=True)

    def add(self, item: DepthFrame) -> None:
        """Logs all entities of one frame."""
        observation = self._observer.observe(item)
        stamp: dict[str, Any] = (
            {"timestamp": np.datetime64(observation.stamp_ns, "ns")}
            if self._has_dates
            else {"duration": np.timedelta64(observation.stamp_ns, "ns")}
        )
        self.stream.set_time("time", **stamp)
        self.stream.set_time("frame", sequence=item.frame.index)
        picture = self._rr.EncodedImage(contents=observation.jpeg, media_type="image/jpeg")
        self._image("color", picture, observation, observation.frame_size)
        if self._is_metric:
            self._metric(observation)
        else:
            self.stream.log(f"{self._camera}/inverse_depth_relative", self._rr.Image(item.depth, color_model="L"))
        self.count += 1
        if self.count % _FLUSH_INTERVAL == 0:
            self.flush()

    def flush(self, timeout_seconds: float = FLUSH_TIMEOUT_SECONDS) -> None:
        """Writes or sends everything that was logged. Raises RuntimeError where that fails."""
        self.stream.flush(timeout_sec=timeout_seconds)

    def _image(self, name: str, image: Any, observation: Observation, size: tuple[int, int]) -> None:
        lens, rows = projection_matrix(observation.camera, *size)
        entity = f"{self._camera}/{name}"
        if lens is not None:
            axes = self._rr.ViewCoordinates.RDF
            self.stream.log(entity, self._rr.Pinhole(image_from_camera=rows[:, :3], resolution=size, camera_xyz=axes))
        self.stream.log(entity, image)

    def _metric(self, observation: Observation) -> None:
        meter = 1.0 if self._options.encoding == "32FC1" else 1000.0
        self._image(
            "depth", self._rr.DepthImage(observation.encoded_depth, meter=meter), observation, observation.depth_size
        )
        self._log_uncertainty(observation)
        if observation.points is not None:
            points, colors = observation.points
            known = np.isfinite(points[..., 2])
            self.stream.log(f"{self._camera}/points", self._rr.Points3D(points[known], colors=colors[known]))
        if observation.scan_and_obstacles is None:
            return
        scan, obstacles = observation.scan_and_obstacles
        self.stream.log(
            f"{self._camera}/scan", self._rr.Points3D(self._points_in_camera(observation, scan.bearings, scan.ranges_m))
        )
        near = [o for o in obstacles if np.isfinite(o.distance_m)]
        places = self._points_in_camera(
            observation, np.array([o.bearing for o in near]), np.array([o.distance_m for o in near])
        )
        labels = [f"{o.distance_m:.2f} m, confidence {o.confidence:.2f}" for o in near]
        self.stream.log(f"{self._camera}/obstacles", self._rr.Points3D(places, labels=labels, radii=0.05))

    def _log_uncertainty(self, observation: Observation) -> None:
        """Logs the confidence as a picture, and the figures of the metric scale, which Rerun plots over time."""
        item = observation.item
        if observation.confidence is not None:
            self.stream.log(f"{self._camera}/confidence", self._rr.Image(observation.confidence, color_model="L"))
        for name in ("scale_sigma", "metric_residual", "evidence_age_seconds"):
            value = getattr(item, name)
            if value is not None and np.isfinite(value):
                self.stream.log(f"{self._camera}/metric/{name}", self._rr.Scalars(value))

    @staticmethod
    def _points_in_camera(observation: Observation, bearings: Any, ranges: Any) -> Any:
        """Returns (N, 3) points in the camera's axes, for the ranges that are finite."""
        known = np.isfinite(ranges)
        bearings, ranges = bearings[known], ranges[known]
        level = np.stack([ranges * np.cos(bearings), ranges * np.sin(bearings), np.zeros_like(ranges)], axis=-1)
        return level @ observation.level_axes.T


def _ignore_notice(_text: str) -> None:
    """Ignores notices about missing points and scans, which relative depth never has."""


def rerun_package() -> ModuleType:
    """Returns the package. Raises MissingDependencyError without it."""
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError(*RERUN[1:]) from error
    package: ModuleType = rerun
    return package


def new_stream(recording_id: str | None = None) -> Any:
    """Returns a new RecordingStream that is not connected yet; without an id it is a recording of its own.

    Raises MissingDependencyError without Rerun.
    """
    return rerun_package().RecordingStream("streamdepth", recording_id=recording_id)
