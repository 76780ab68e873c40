"""Any video stream in, steady depth out.

import streamdepth as sd

sd.estimate("photo.jpg").depth.save("depth.png")
sd.convert("in.mp4", "out.mp4")
for item in sd.stream("rtsp://camera/live"):
    print(item.frame.time, item.depth_at(320, 240))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamdepth.core.errors import (
    ConfigError,
    DiskFullError,
    EstimatorError,
    InferenceError,
    MissingDependencyError,
    ModelLoadError,
    SinkError,
    SinkOpenError,
    SinkWriteError,
    SourceError,
    SourceLostError,
    SourceOpenError,
    SourceTimeoutError,
    StreamDepthError,
)
from streamdepth.core.rendering import install_renderer
from streamdepth.core.version import __version__
from streamdepth.utils.telemetry import disable_telemetry

if TYPE_CHECKING:
    from streamdepth.api import Depth, DepthModel, DepthStream, convert, estimate, from_frames, load_model, stream
    from streamdepth.config import Settings
    from streamdepth.core.arrays import DepthMap, Image
    from streamdepth.core.interfaces import Estimator, Source, Stabilizer
    from streamdepth.core.intrinsics import Intrinsics
    from streamdepth.core.render_options import RenderOptions, StereoOptions
    from streamdepth.core.sink import Sink
    from streamdepth.core.states import StateChange, StreamState
    from streamdepth.core.types import DepthFrame, DepthKind, Estimate, Frame, ModelInfo, StreamInfo
    from streamdepth.core.zones import Zone
    from streamdepth.geometry.floor import find_floor
    from streamdepth.geometry.obstacles import ObstacleZone, nearest_obstacles
    from streamdepth.geometry.planes import Plane
    from streamdepth.geometry.zone_monitor import ZoneMonitor
    from streamdepth.pipeline.pipeline import Pipeline, Stream
    from streamdepth.pipeline.report import Report
    from streamdepth.sinks.depth_video import DepthVideo
    from streamdepth.sinks.video_writer import VideoWriter
    from streamdepth.sinks.zones.zone_sink import ZoneSink

_LATER = {
    **dict.fromkeys(
        ("Depth", "DepthModel", "DepthStream", "convert", "estimate", "from_frames", "load_model", "stream"), "api"
    ),
    "VideoWriter": "sinks.video_writer",
    "DepthMap": "core.arrays",
    "Image": "core.arrays",
    "find_floor": "geometry.floor",
    "ObstacleZone": "geometry.obstacles",
    "nearest_obstacles": "geometry.obstacles",
    "Plane": "geometry.planes",
    "Zone": "core.zones",
    "ZoneMonitor": "geometry.zone_monitor",
    "ZoneSink": "sinks.zones.zone_sink",
    "Settings": "config",
    "Pipeline": "pipeline.pipeline",
    "Stream": "pipeline.pipeline",
    "DepthVideo": "sinks.depth_video",
    "Estimator": "core.interfaces",
    "Intrinsics": "core.intrinsics",
    "Sink": "core.sink",
    "Source": "core.interfaces",
    "Stabilizer": "core.interfaces",
    **dict.fromkeys(("RenderOptions", "StereoOptions"), "core.render_options"),
    "Report": "pipeline.report",
    "StateChange": "core.states",
    "StreamState": "core.states",
    **dict.fromkeys(("DepthFrame", "DepthKind", "Estimate", "Frame", "ModelInfo", "StreamInfo"), "core.types"),
}
"""Loaded at first use, so that the import stays fast: torch, OpenCV, PyAV and NumPy come with these."""

__all__ = [
    "ConfigError",
    "Depth",
    "DepthFrame",
    "DepthKind",
    "DepthMap",
    "DepthModel",
    "DepthStream",
    "DepthVideo",
    "DiskFullError",
    "Estimate",
    "Estimator",
    "EstimatorError",
    "Frame",
    "Image",
    "InferenceError",
    "Intrinsics",
    "MissingDependencyError",
    "ModelInfo",
    "ModelLoadError",
    "ObstacleZone",
    "Pipeline",
    "Plane",
    "RenderOptions",
    "Report",
    "Settings",
    "Sink",
    "SinkError",
    "SinkOpenError",
    "SinkWriteError",
    "Source",
    "SourceError",
    "SourceLostError",
    "SourceOpenError",
    "SourceTimeoutError",
    "Stabilizer",
    "StateChange",
    "StereoOptions",
    "Stream",
    "StreamDepthError",
    "StreamInfo",
    "StreamState",
    "VideoWriter",
    "Zone",
    "ZoneMonitor",
    "ZoneSink",
    "__version__",
    "convert",
    "estimate",
    "find_floor",
    "from_frames",
    "load_model",
    "nearest_obstacles",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'streamdepth' has no attribute '{name}'")
    return getattr(import_module(f"streamdepth.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__


def _render(item: DepthFrame, options: RenderOptions) -> Image:
    """Draws for `DepthFrame.render`; loads OpenCV at its first call."""
    from streamdepth.render.overlay import render

    return render(item, options)


disable_telemetry()
install_renderer(_render)
