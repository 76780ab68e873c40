"""Depth for Rerun: a recording (.rrd), or a viewer that shows it while it is made."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import PendingFile, map_write_errors
from streamdepth.sinks.robots.observation import Observation, Observer, RobotOptions, camera_rows

_PORT = 9876
_FLUSH_EVERY = 30
_FLUSH_SECONDS = 60.0


class _RerunSink(Sink):
    """What the recording and the viewer share: the entities.

    CAMERA/color and CAMERA/depth are each a pinhole with its image, CAMERA/points, scan and obstacles lie in the
    camera's axes. Relative depth is a plain picture, CAMERA/inverse_depth_relative, that no one takes for metres.
    """

    def __init__(self, options: RobotOptions | None = None) -> None:
        super().__init__()
        self.options = options or RobotOptions()
        self._log: _Log | None = None

    def _begin(self, info: StreamInfo, model: ModelInfo) -> Any:
        rr = _package()
        recording = rr.RecordingStream("streamdepth")
        self._log = _Log(rr, recording, info, model, self.options, self.add_notice)
        return recording

    def _end(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.recording.disconnect()


class RerunFileSink(_RerunSink):
    """Writes NAME.rrd.

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(self, path: str | Path, *, options: RobotOptions | None = None, overwrite: bool = False) -> None:
        super().__init__(options)
        self.path, self.overwrite = Path(path), overwrite
        self._file: PendingFile | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".rrd":
            raise SinkOpenError(f"a recording of Rerun is .rrd; name it '{self.path.with_suffix('.rrd')}'")
        _package()
        self._file = PendingFile(self.path, overwrite=self.overwrite, origin=info.origin)
        try:
            self._begin(info, model).save(self._file.temporary)
        except RuntimeError as error:
            self.discard()
            raise SinkOpenError(f"cannot write '{self.path}': {error}") from error

    def write(self, item: DepthFrame) -> None:
        if self._log is None:
            raise SinkWriteError(f"'{self.path}' is not open; call open first")
        self._guarded(self._log, item)

    def _guarded(self, log: _Log, item: DepthFrame | None = None) -> None:
        """Writes the item, or at the end what waits."""
        try:
            with map_write_errors(self.path):
                if item is None:
                    log.flush()
                else:
                    log.add(item)
        except (SinkWriteError, RuntimeError) as error:
            self.discard()
            if isinstance(error, SinkWriteError):
                raise
            raise SinkWriteError(f"writing '{self.path}' failed: {error}") from error

    def close(self) -> None:
        if self._log is None or self._file is None or not self._log.count:
            self.discard()
            return
        self._guarded(self._log)
        self._end()
        file, self._file = self._file, None
        try:
            _check_complete(file.temporary, self.path)
        except BaseException:
            file.discard()
            raise
        file.commit()

    def discard(self) -> None:
        self._end()
        if self._file is not None:
            self._file.discard()
        self._file = None


class RerunViewerSink(_RerunSink):
    """Shows everything in Rerun's viewer: one that is opened here, or one that listens at `address` (HOST:PORT).

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`, without a screen, or when no viewer listens there.
        SinkWriteError: from `write`, when it is gone.
    """

    can_drop_frames = True

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        self.address = address

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        _package()
        if self.address is None:
            _check_screen()
            self._begin(info, model).spawn()
            return
        host, _, port = self.address.partition(":")
        _check_viewer(host, port or str(_PORT))
        self._begin(info, model).connect_grpc(f"rerun+http://{host}:{port or _PORT}/proxy")

    def write(self, item: DepthFrame) -> None:
        if self._log is None:
            raise SinkWriteError("Rerun's viewer is not open; call open first")
        try:
            self._log.add(item)
        except RuntimeError as error:
            raise SinkWriteError(f"Rerun's viewer does not answer any more: {error}") from error

    def close(self) -> None:
        self._end()


class _Log:
    """An open recording with the entities of one camera."""

    def __init__(
        self, rr: ModuleType, recording: Any, info: StreamInfo, model: ModelInfo, options: RobotOptions, notice: Any
    ) -> None:
        self.recording, self.count = recording, 0
        self._rr, self._camera = rr, options.namespace.strip("/")
        self._is_metric, self._has_dates = model.kind is DepthKind.METRIC, info.is_live or info.epoch_ns is not None
        self._options, self._observer = options, Observer(info, options, notice if self._is_metric else _nobody)
        recording.log(self._camera, rr.ViewCoordinates.RDF, static=True)

    def add(self, item: DepthFrame) -> None:
        seen = self._observer.observe(item)
        stamp: dict[str, Any] = (
            {"timestamp": np.datetime64(seen.stamp_ns, "ns")}
            if self._has_dates
            else {"duration": np.timedelta64(seen.stamp_ns, "ns")}
        )
        self.recording.set_time("time", **stamp)
        self.recording.set_time("frame", sequence=item.frame.index)
        picture = self._rr.EncodedImage(contents=seen.jpeg, media_type="image/jpeg")
        self._image("color", picture, seen, seen.picture_size)
        if self._is_metric:
            self._metric(seen)
        else:
            self.recording.log(f"{self._camera}/inverse_depth_relative", self._rr.Image(item.depth, color_model="L"))
        self.count += 1
        if self.count % _FLUSH_EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Raises RuntimeError when what was logged cannot be written or sent."""
        self.recording.flush(timeout_sec=_FLUSH_SECONDS)

    def _image(self, name: str, image: Any, seen: Observation, size: tuple[int, int]) -> None:
        lens, rows = camera_rows(seen.camera, *size)
        entity = f"{self._camera}/{name}"
        if lens is not None:
            axes = self._rr.ViewCoordinates.RDF
            self.recording.log(
                entity, self._rr.Pinhole(image_from_camera=rows[:, :3], resolution=size, camera_xyz=axes)
            )
        self.recording.log(entity, image)

    def _metric(self, seen: Observation) -> None:
        meter = 1.0 if self._options.encoding == "32FC1" else 1000.0
        self._image("depth", self._rr.DepthImage(seen.encoded_depth, meter=meter), seen, seen.depth_size)
        if seen.points is not None:
            points, colors = seen.points
            known = np.isfinite(points[..., 2])
            self.recording.log(f"{self._camera}/points", self._rr.Points3D(points[known], colors=colors[known]))
        if seen.in_the_way is None:
            return
        scan, obstacles = seen.in_the_way
        self.recording.log(f"{self._camera}/scan", self._rr.Points3D(self._places(seen, scan.bearings, scan.ranges_m)))
        near = [o for o in obstacles if np.isfinite(o.distance_m)]
        places = self._places(seen, np.array([o.bearing for o in near]), np.array([o.distance_m for o in near]))
        labels = [f"{o.distance_m:.2f} m, confidence {o.confidence:.2f}" for o in near]
        self.recording.log(f"{self._camera}/obstacles", self._rr.Points3D(places, labels=labels, radii=0.05))

    @staticmethod
    def _places(seen: Observation, bearings: Any, ranges: Any) -> Any:
        """(N, 3) in the camera's axes, of those that are finite."""
        known = np.isfinite(ranges)
        bearings, ranges = bearings[known], ranges[known]
        level = np.stack([ranges * np.cos(bearings), ranges * np.sin(bearings), np.zeros_like(ranges)], axis=-1)
        return level @ seen.axes.T


def _check_complete(written: Path, path: Path) -> None:
    """Raises SinkWriteError when the recording's end is missing, which Rerun only logs."""
    from rerun.chunk import RrdReader

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            RrdReader(written)
        except (RuntimeError, Warning) as error:
            raise SinkWriteError(f"writing '{path}' failed at its end: {error}") from error


def _nobody(_text: str) -> None:
    """Relative depth has no points and no scan to miss."""


def _check_screen() -> None:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise SinkOpenError(
            "there is no screen here to open Rerun's viewer on; name one that listens elsewhere, rerun:HOST:PORT, or "
            "record with --depth-out NAME.rrd"
        )


def _check_viewer(host: str, port: str) -> None:
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise SinkOpenError(
            f"no viewer of Rerun listens at {host}:{port} ({error}); start one there with: rerun --port {port}"
        ) from error


def _package() -> ModuleType:
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError("rerun-sdk", "rerun", "Rerun") from error
    package: ModuleType = rerun
    return package
