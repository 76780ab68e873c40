"""Depth for Rerun: a recording (.rrd), or a viewer that shows it live."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import PendingFile, map_write_errors
from streamdepth.sinks.robots.observation import Observation, Observer, RobotOptions, projection_matrix
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.telemetry import without_rerun_analytics

_PORT = 9876
_FLUSH_INTERVAL = 30
"""Frames between two flushes, which report errors."""
_FLUSH_TIMEOUT_SECONDS = 60.0
_VIEWER_TIMEOUT_SECONDS = 5.0
"""A viewer that takes longer for a frame counts as gone."""
_MAX_RETRY_SECONDS = 2.0
"""The longest wait between two attempts to find a viewer again."""
_LOCAL_HOST = "127.0.0.1"

_RERUN = OptionalPackage("rerun", "rerun-sdk", "rerun", "Rerun")


class _RerunSink(Sink):
    """The base of recording and viewer, which have the same entities.

    CAMERA/color and CAMERA/depth are each a pinhole with its image; CAMERA/points, scan and obstacles are in the
    camera's axes. Relative depth is a plain picture, CAMERA/inverse_depth_relative, so that nobody takes it for meters.
    """

    def __init__(self, options: RobotOptions | None = None) -> None:
        super().__init__()
        self.options = options or RobotOptions()
        self._recording: _RerunRecording | None = None

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_RERUN]

    def _start_recording(self, info: StreamInfo, model: ModelInfo, recording_id: str | None = None) -> Any:
        rr = _package()
        stream = rr.RecordingStream("streamdepth", recording_id=recording_id)
        self._recording = _RerunRecording(rr, stream, info, model, self.options, self.add_notice)
        return stream

    def _disconnect(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.stream.disconnect()


class RerunFileSink(_RerunSink):
    """Writes NAME.rrd, a recording of Rerun.

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(self, path: str | Path, *, options: RobotOptions | None = None, overwrite: bool = False) -> None:
        super().__init__(options)
        self.path, self.overwrite = Path(path), overwrite
        self._file: PendingFile | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".rrd":
            raise SinkOpenError(
                f"a recording of Rerun is .rrd; name it '{self.path.with_suffix('.rrd')}'", code="unknown-format"
            )
        _package()
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)
        try:
            self._start_recording(info, model).save(self._file.temporary)
        except RuntimeError as error:
            raise SinkOpenError(f"cannot write '{self.path}': {error}") from error

    def on_write(self, item: DepthFrame) -> None:
        assert self._recording is not None
        with self._map_errors():
            self._recording.add(item)

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        """Turns Rerun's errors and those of files into SinkWriteError."""
        try:
            with map_write_errors(self.path):
                yield
        except RuntimeError as error:
            raise SinkWriteError(f"writing '{self.path}' failed: {error}") from error

    def on_close(self) -> None:
        assert self._recording is not None
        assert self._file is not None
        if not self._recording.count:
            self.on_discard()
            return
        with self._map_errors():
            self._recording.flush()
        self._disconnect()
        _check_complete(self._file.temporary, self.path)
        self._file.commit()

    def on_discard(self) -> None:
        self._disconnect()
        if self._file is not None:
            self._file.discard()
        self._file = None


class RerunViewerSink(_RerunSink):
    """Shows all entities in Rerun's viewer: one that is opened here, or one that listens at `address` (HOST:PORT).

    A viewer that goes away is served again when it is back; frames are left out until then. One that is slow gets the
    newest frames. All streams of a process are one recording in a viewer.

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`, without a screen ("no-display"), or when no viewer listens there ("unreachable").
    """

    can_drop_frames = True

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        self.address = address
        self._retry: tuple[Backoff, float] | None = None
        """While the viewer is away: the waits, and when to try next by the monotonic clock."""

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        _package()
        self._retry = None
        if self.address is None:
            _check_screen()
            with without_rerun_analytics():
                self._start_recording(info, model, self._join_recording()).spawn()
            return
        _check_viewer(*self._host_and_port)
        self._start_recording(info, model, self._join_recording()).connect_grpc(self._url)

    def _join_recording(self) -> str:
        """Returns the id of the recording that all streams of this process show in one viewer."""
        users = _viewer_users.setdefault(self._url, _ViewerUsers(str(uuid.uuid4()), set()))
        users.sinks.add(self)
        return users.recording_id

    @property
    def _host_and_port(self) -> tuple[str, str]:
        host, _, port = (self.address or _LOCAL_HOST).partition(":")
        return host, port or str(_PORT)

    @property
    def _url(self) -> str:
        return f"rerun+http://{':'.join(self._host_and_port)}/proxy"

    def on_write(self, item: DepthFrame) -> None:
        assert self._recording is not None
        if self._retry is not None and not self._is_back(*self._retry):
            return
        try:
            self._recording.add(item)
            self._recording.flush(_VIEWER_TIMEOUT_SECONDS)  # a slow viewer leaves frames out, and none queue up here
        except RuntimeError as error:
            host, port = self._host_and_port
            reason = " ".join(str(error).split())
            self.add_notice(f"Rerun's viewer at {host}:{port} went away ({reason}); it is served again when it is back")
            self._schedule(Backoff(_MAX_RETRY_SECONDS))

    def _schedule(self, backoff: Backoff) -> None:
        self._retry = backoff, time.monotonic() + backoff.next_wait_seconds()

    def _is_back(self, backoff: Backoff, next_attempt: float) -> bool:
        """Tries to connect again once it is time to; returns True where that succeeds."""
        assert self._recording is not None
        if time.monotonic() < next_attempt:
            return False
        try:
            _check_viewer(*self._host_and_port, timeout_seconds=1.0)
        except SinkOpenError:
            self._schedule(backoff)
            return False
        self._recording.restart().connect_grpc(self._url)
        self._retry = None
        return True

    def on_close(self) -> None:
        self._disconnect()
        users = _viewer_users.get(self._url)
        if users is not None:
            users.sinks.discard(self)
            if not users.sinks:
                _viewer_users.pop(self._url, None)


class _ViewerUsers(NamedTuple):
    """The sinks of this process that show their streams in one viewer."""

    recording_id: str
    sinks: set[Sink]


_viewer_users: dict[str, _ViewerUsers] = {}
"""The viewers in use, by their addresses."""


class _RerunRecording:
    """An open recording with the entities of one camera."""

    def __init__(
        self, rr: ModuleType, stream: Any, info: StreamInfo, model: ModelInfo, options: RobotOptions, notice: Any
    ) -> None:
        self.stream, self.count = stream, 0
        self._rr, self._camera = rr, options.namespace.strip("/")
        self._is_metric, self._has_dates = model.kind is DepthKind.METRIC, info.is_live or info.epoch_ns is not None
        self._options, self._observer = options, Observer(info, options, notice if self._is_metric else _ignore_notice)
        self._log_axes()

    def restart(self) -> Any:
        """Goes on with a new connection to be made, in the same recording; returns its stream."""
        recording_id = self.stream.get_recording_id()
        self.stream.disconnect()
        self.stream = self._rr.RecordingStream("streamdepth", recording_id=recording_id)
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

    def flush(self, timeout_seconds: float = _FLUSH_TIMEOUT_SECONDS) -> None:
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
        """Logs what is known of the errors: confidence as a picture, and figures that Rerun plots over time."""
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


def _check_complete(written: Path, path: Path) -> None:
    """Raises SinkWriteError where the end of the recording is missing, which Rerun itself only logs."""
    from rerun.chunk import RrdReader

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            RrdReader(written)
        except (RuntimeError, Warning) as error:
            raise SinkWriteError(f"writing '{path}' failed at its end: {error}") from error


def _ignore_notice(_text: str) -> None:
    """Ignores notices about missing points and scans, which relative depth has not anyway."""


def _check_screen() -> None:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise SinkOpenError(
            "there is no screen here to open Rerun's viewer on; name one that listens elsewhere, rerun:HOST:PORT, or "
            "record with --depth-out NAME.rrd",
            code="no-display",
        )


def _check_viewer(host: str, port: str, timeout_seconds: float = 5.0) -> None:
    try:
        socket.create_connection((host, int(port)), timeout=timeout_seconds).close()
    except (OSError, ValueError, OverflowError) as error:
        raise SinkOpenError(
            f"no viewer of Rerun listens at {host}:{port} ({error}); start one there with: rerun --port {port}",
            code="unreachable",
        ) from error


def _package() -> ModuleType:
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError(*_RERUN[1:]) from error
    package: ModuleType = rerun
    return package
