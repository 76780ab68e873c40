"""The streams of a run: the address, the name and the settings of each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

from streamdepth.config import Settings
from streamdepth.config.sections import Section
from streamdepth.core.errors import ConfigError
from streamdepth.factory.naming import NAME_FIELD, clean_name, output_names, stream_names
from streamdepth.utils.numbering import unused_names

SectionT = TypeVar("SectionT", bound=Section)


class StreamPlan(NamedTuple):
    """The plan of one stream of a run: its address, name and settings."""

    address: str
    name: str | None
    """The name of its outputs; None for a single stream, whose outputs are files."""
    settings: Settings
    """The settings of the run with those of this stream in their place."""


def plan_streams(settings: Settings) -> list[StreamPlan]:
    """Returns all streams of the settings, in order.

    Raises ConfigError as `output_names` does, or for measurements that can only be those of one camera ("conflict").
    """
    names = given_names(settings)
    return [
        StreamPlan(address, output, stream_settings(settings, i, names[i]))
        for i, (address, output) in enumerate(zip(settings.source, output_names(settings, names), strict=True))
    ]


def _check_one_camera(settings: Settings) -> None:
    """Raises ConfigError, "conflict", for places in the picture of one camera that are given for several."""
    metric = settings.metric
    given = {"--anchor": metric.anchor, "--known-size": metric.known_size, "--camera-pitch": metric.camera_pitch}
    flags = [flag for flag, value in given.items() if value]
    if len(settings.source) > 1 and not settings.streams and flags:
        first = f"{{source: {settings.source[0]}, metric: {{camera_height: 1.2m}}}}"
        raise ConfigError(
            f"{' and '.join(flags)} would be the same for {len(settings.source)} cameras; write those of each into the "
            f"streams of a configuration, such as streams: [{first}, ...], and run streamdepth run CONFIG.yaml",
            code="conflict",
        )


def given_names(settings: Settings) -> list[str]:
    """Returns a unique name of each source: that of the settings, or one made of its address."""
    made = stream_names(settings.source)
    given = [stream.name for stream in settings.streams] or list(settings.names) or [None] * len(made)
    return unused_names([clean_name(own) if own else name for own, name in zip(given, made, strict=True)])


def stream_settings(settings: Settings, index: int, name: str) -> Settings:
    """Returns the settings of one stream: its camera, measurements, zones, mount and name in place of those of all.

    In the path of `camera.info`, {name} stands for the name.
    """
    _check_one_camera(settings)
    camera, metric, robot, zones = settings.camera, settings.metric, settings.robot, settings.zones
    mount = robot.mount[index : index + 1]
    if settings.streams:
        stream = settings.streams[index]
        camera, metric = _merged(camera, stream.camera), _merged(metric, stream.metric)
        zones = _merged(zones, stream.zones)
        mount = (stream.mount,) if stream.mount else robot.mount[:0]
    if camera.info and NAME_FIELD in str(camera.info):
        camera = camera.model_copy(update={"info": Path(str(camera.info).replace(NAME_FIELD, name))})
    names = (name,) if settings.names or (settings.streams and settings.streams[index].name) else ()
    robot = robot.model_copy(update={"mount": mount})
    own = {"camera": camera, "metric": metric, "robot": robot, "zones": zones, "names": names}
    return settings.model_copy(update=own)


def _merged(section: SectionT, own: SectionT) -> SectionT:
    return section.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
