"""Turns the frames of one stream into observations for robots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from streamdepth.core.types import DepthFrame, Frame, StreamInfo
from streamdepth.geometry.floor import find_floor
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.zone_monitor import ZoneMonitor
from streamdepth.sinks.robots.observation import NANOSECONDS, Observation, RobotOptions, is_distorted

_DRIFT_DIVISOR = 100
"""Each frame of a live stream corrects 1 / this of the drift between its clock and the wall clock."""
_LARGEST_DRIFT_NS = NANOSECONDS
"""A larger drift means that the wall clock was set or the stream started anew: then the timestamps jump."""
_FLOOR_MEMORY_NS = 2 * NANOSECONDS
"""Time for which the last floor is used in frames without one, within a shot."""


class Observer:
    """Turns the frames of one stream into observations, with timestamps and the name of their coordinate frame."""

    def __init__(self, info: StreamInfo, options: RobotOptions, on_notice: Callable[[str], None]) -> None:
        self._options, self._clock, self._on_notice = options, RosTimestamps(info), on_notice
        self._floor: tuple[int, Plane] | None = None
        self._log_ns = 0
        self._monitors = [
            ZoneMonitor(zone, hold_seconds=options.zone_hold_seconds, margin=options.zone_margin)
            for zone in options.depth_zones
        ]
        default_id = f"{options.namespace.strip('/').replace('/', '_')}_optical_frame"
        self._frame_id = options.frame_id or info.frame_id or default_id

    def observe(self, item: DepthFrame) -> Observation:
        """Returns the observation of one frame; frames come in order."""
        if item.intrinsics is None and (self._options.points or self._options.scan):
            self._on_notice(
                f"the camera of {item.frame.stream} is unknown: camera_info is all zeros, and there is no scan and no "
                "point cloud; --fov or --camera-info tells it"
            )
        if is_distorted(item.intrinsics):
            self._on_notice(
                f"the lens of {item.frame.stream} bends straight lines, and readers of depth often know pinholes only; "
                "--undistort straightens the pictures first"
            )
        stamp_ns, logged_ns = self._clock.stamp(item.frame), item.frame.logged_ns
        self._log_ns = max(self._log_ns, stamp_ns if logged_ns is None else logged_ns)
        zones = tuple(monitor.update(item) for monitor in self._monitors)
        observation = Observation(item, stamp_ns, self._frame_id, self._options, log_ns=self._log_ns, zones=zones)
        return (
            replace(observation, floor=self._find_floor(observation))
            if self._options.floor and self._options.scan
            else observation
        )

    def _find_floor(self, observation: Observation) -> Plane | None:
        """Returns the floor in this frame, or the last one of the same shot for up to 2 s; None without one."""
        if observation.camera is None:
            return None
        if plane := find_floor(replace(observation.item, depth=observation.depth)):
            self._floor = observation.stamp_ns, plane
        elif self._floor and (observation.item.cut or observation.stamp_ns - self._floor[0] > _FLOOR_MEMORY_NS):
            self._floor = None
        if self._floor is None:
            self._on_notice(f"no floor is seen in {observation.item.frame.stream}: there is no scan while that is so")
            return None
        return self._floor[1]


class RosTimestamps:
    """ROS time for the frames of one stream.

    A recording with a clock keeps its own stamps, and other files begin at 0. Frames of a live stream get the
    wall-clock time of their capture, but with the intervals of the stream's timestamps: the drift between the clocks is
    corrected slowly.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._start_ns = info.epoch_ns
        self._is_live = info.is_live and info.epoch_ns is None

    def stamp(self, frame: Frame) -> int:
        """Returns nanoseconds, never negative."""
        if frame.stamp_ns is not None:
            return max(0, frame.stamp_ns)
        stream_ns = round(Fraction(frame.pts) * frame.time_base * NANOSECONDS)
        if self._is_live:
            captured_ns = time.time_ns() - round((time.monotonic() - frame.captured_at) * NANOSECONDS)
            self._correct_drift(captured_ns - stream_ns)
        elif self._start_ns is None:
            self._start_ns = max(0, -stream_ns)
        return max(0, (self._start_ns or 0) + stream_ns)

    def _correct_drift(self, start_ns: int) -> None:
        if self._start_ns is None or abs(start_ns - self._start_ns) > _LARGEST_DRIFT_NS:
            self._start_ns = start_ns
        self._start_ns += (start_ns - self._start_ns) // _DRIFT_DIVISOR
