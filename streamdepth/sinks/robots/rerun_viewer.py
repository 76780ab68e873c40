"""Rerun's viewer, which shows depth live."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.rerun_entities import RERUN, RerunRecording, new_stream, rerun_package
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.telemetry import without_rerun_analytics

_PORT = 9876
_VIEWER_TIMEOUT_SECONDS = 5.0
"""A viewer that takes longer for a frame counts as gone."""
_MAX_RETRY_SECONDS = 2.0
"""The longest wait between two attempts to find a viewer again."""
_LOCAL_HOST = "127.0.0.1"


class RerunViewerSink(Sink):
    """Shows all entities in Rerun's viewer: one that is opened here, or one that listens at `address` (HOST:PORT).

    A viewer that disconnects is served again when it is back; frames are left out until then. A slow viewer gets only
    the newest frames. All streams of a process are one recording in a viewer.

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`, without a screen ("no-display"), or when no viewer listens there ("unreachable").
    """

    can_drop_frames = True

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__()
        self.options = options or RobotOptions()
        self._recording: RerunRecording | None = None
        self.address = address
        self._retry: tuple[Backoff, float] | None = None
        """While the viewer is away: the waits, and when to try next by the monotonic clock."""

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [RERUN]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        rerun_package()
        self._retry = None
        if self.address is None:
            _check_screen()
            with without_rerun_analytics():
                self._start_recording(info, model).spawn()
            return
        _check_viewer(*self._host_and_port)
        self._start_recording(info, model).connect_grpc(self._url)

    def _start_recording(self, info: StreamInfo, model: ModelInfo) -> Any:
        stream = new_stream(self._join_recording())
        self._recording = RerunRecording(stream, info, model, self.options, self.add_notice)
        return stream

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
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.stream.disconnect()
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
