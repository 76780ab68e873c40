"""From settings to what robots get: the part of `build` that knows recordings and transports for robots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.stages import Sink

if TYPE_CHECKING:
    from streamdepth.sinks.robots.observation import RobotOptions

ROBOT_FILES = (".mcap",)
"""How the names of recordings for robots end."""


def make_robot_file(path: Path, settings: Settings, name: str | None = None) -> Sink:
    """A recording. `name`: of the stream, when there are several."""
    from streamdepth.sinks.robots.mcap import McapSink

    return McapSink(
        path, schemas=settings.robot.schemas, options=robot_options(settings, name), overwrite=settings.overwrite
    )


def robot_options(settings: Settings, name: str | None = None) -> RobotOptions:
    """`name`: of the stream, when there are several; a part of its namespace then."""
    from streamdepth.obstacles import Band
    from streamdepth.sinks.robots.observation import RobotOptions

    robot = settings.robot
    pitch = robot.pitch if robot.pitch is not None else settings.camera_pitch or 0.0
    return RobotOptions(
        namespace=robot.namespace if name is None else f"{robot.namespace}_{name}",
        frame_id=robot.frame_id,
        encoding=robot.encoding,
        points=robot.points,
        scan=robot.scan,
        band=Band(*robot.band, pitch, robot.range),
        sectors=robot.sectors,
        drop_flying=settings.drop_flying,
    )
