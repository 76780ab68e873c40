"""Makes the sinks for robots: recordings and publishers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.recorded_topics import RecordedTopics
from streamdepth.core.sink import Sink
from streamdepth.factory.naming import ros_name, stream_names
from streamdepth.factory.zones import make_zones

if TYPE_CHECKING:
    from streamdepth.geometry.mounts import Mount
    from streamdepth.sinks.robots.observation import RobotOptions

ROBOT_FILES = (".mcap", ".rrd")
"""Suffixes of recordings for robots."""


def make_robot_recording(path: Path, settings: Settings, name: str | None = None) -> Sink:
    """Returns the sink for a .mcap or .rrd file. `name` is the stream's, if there are several."""
    options = make_robot_options(settings, name)
    kept = _make_kept_topics(settings, path, name)
    if path.suffix.lower() == ".rrd":
        from streamdepth.sinks.robots.rerun_file import RerunFileSink

        return RerunFileSink(path, options=options, overwrite=settings.outputs.overwrite, is_shared=name is not None)
    from streamdepth.sinks.robots.mcap import McapSink

    return McapSink(
        path,
        schemas=settings.robot.schemas,
        options=options,
        overwrite=settings.outputs.overwrite,
        is_shared=name is not None,
        kept_topics=kept,
    )


def _make_kept_topics(settings: Settings, path: Path, name: str | None) -> RecordedTopics | None:
    """Returns the topics of the source's bag that are to be copied; None if the settings name none.

    Raises ConfigError ("conflict") where they cannot be copied.
    """
    if not settings.outputs.keep_topics:
        return None
    from streamdepth.sources.bag_topics import BagTopics
    from streamdepth.sources.rosbag import split_bag_address

    names = stream_names(settings.source)
    position = names.index(name) if name in names else 0
    address = settings.source[position] if settings.source else ""
    bag = split_bag_address(address)
    if bag is not None and any(other == bag[0] for other in _bag_paths(settings.source[:position])):
        return None  # another camera of the same robot keeps them
    if path.suffix.lower() != ".mcap" or bag is None or settings.outputs.segment:
        raise ConfigError(
            f"--keep-topics copies topics of a bag into one .mcap, without --segment, and not from '{address}' "
            f"to '{path}'; leave it out, or name a bag and an .mcap",
            code="conflict",
        )
    return BagTopics(bag[0], settings.outputs.keep_topics)


def _bag_paths(addresses: Sequence[str]) -> list[Path]:
    """Returns the paths of those addresses that are bags, without their topics."""
    from streamdepth.sources.rosbag import split_bag_address

    return [found[0] for address in addresses if (found := split_bag_address(address))]


def make_publisher(target: str, settings: Settings, name: str | None = None) -> Sink:
    """Returns the sink that sends depth to `target`. Raises ConfigError with the code "unknown-target" for others."""
    options = make_robot_options(settings, name)
    kind, _, address = target.partition(":")
    if kind == "rerun":
        from streamdepth.sinks.robots.rerun_viewer import RerunViewerSink

        return RerunViewerSink(address or None, options=options)
    if kind == "foxglove":
        from streamdepth.sinks.robots.foxglove import FoxgloveSink

        return FoxgloveSink(address or None, options=options)
    if kind == "zenoh":
        from streamdepth.sinks.robots.zenoh import ZenohSink

        return ZenohSink(address or None, options=options)
    if target == "ros":
        from streamdepth.sinks.robots.ros import RosSink

        return RosSink(options=options)
    raise ConfigError(
        f"cannot publish to '{target}'; use rerun, foxglove, zenoh or ros, with an address as rerun:HOST:PORT, "
        "foxglove:HOST:PORT and zenoh:tcp/HOST:PORT",
        code="unknown-target",
    )


def make_robot_options(settings: Settings, name: str | None = None) -> RobotOptions:
    """Returns the options of data for robots; `name`, of one of several streams, ends namespace and frame id."""
    from streamdepth.geometry.obstacles import ObstacleZone
    from streamdepth.sinks.robots.observation import RobotOptions

    robot = settings.robot
    mount = _mount_of(settings)
    pitches = robot.pitch, settings.metric.camera_pitch, None if mount is None else mount.pitch_degrees
    pitch = next((pitch for pitch in pitches if pitch is not None), 0.0)
    if name is None and len(settings.names) == 1:
        (name,) = settings.names
    suffix = "" if name is None else f"_{ros_name(name)}"
    return RobotOptions(
        namespace=robot.namespace + suffix,
        frame_id=robot.frame_id and robot.frame_id + suffix,
        encoding=robot.encoding,
        points=robot.points,
        scan=robot.scan,
        floor=robot.floor,
        zone=ObstacleZone(*robot.obstacle_heights, pitch, robot.max_distance),
        sectors=robot.sectors,
        mount=mount,
        drop_flying=settings.outputs.drop_flying,
        depth_zones=make_zones(settings),
        zone_hold_seconds=settings.zones.hold_seconds,
        zone_margin=settings.zones.margin,
    )


def _mount_of(settings: Settings) -> Mount | None:
    """Returns the mount of the settings of one stream; None where there is none."""
    from streamdepth.geometry.mounts import Mount

    return Mount.parse(settings.robot.mount[0]) if settings.robot.mount else None
