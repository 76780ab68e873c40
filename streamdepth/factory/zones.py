"""Makes the sink that watches zones, and its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.zones import Zone
from streamdepth.factory.naming import NAME_FIELD, stream_names
from streamdepth.sinks.standard_output import STANDARD_OUTPUT
from streamdepth.utils.redact import redact

if TYPE_CHECKING:
    from streamdepth.geometry.zone_monitor import ZoneState
    from streamdepth.sinks.zones.output import ZoneOutput
    from streamdepth.sinks.zones.zone_sink import ZoneSink

JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")


def make_zones(settings: Settings) -> tuple[Zone, ...]:
    """Returns the zones of one stream."""
    return tuple(map(Zone.parse, settings.zones.areas))


def make_zone_sink(
    settings: Settings, name: str | None = None, on_states: Callable[[Sequence[ZoneState]], object] = lambda _: None
) -> ZoneSink:
    """Returns the sink that watches the zones of one stream.

    Args:
        settings: the settings of the stream.
        name: the stream's name, where there are several.
        on_states: as for ZoneSink.

    Raises:
        ConfigError: for an output that cannot be made. Codes: "unknown-target", "not-a-folder", "conflict".
    """
    from streamdepth.sinks.zones.zone_sink import ZoneSink

    zones = settings.zones
    return ZoneSink(
        make_zones(settings),
        [_make_output(target, settings, name) for target in zones.outputs],
        on_states=on_states,
        stream=name or _only_name(settings),
        hold_seconds=zones.hold_seconds,
        margin=zones.margin,
    )


def check_zone_outputs(settings: Settings) -> None:
    """Raises ConfigError for outputs without a zone ("no-zone"), and for two outputs that are one ("conflict")."""
    zones, video = settings.zones, settings.outputs.video
    has_zones = zones.areas or any(stream.zones.areas for stream in settings.streams)
    if zones.outputs and not has_zones:
        raise ConfigError(
            "the outputs of zones have no zone to tell of; add one, such as --zone door=100,50,200,300", code="no-zone"
        )
    targets = [*zones.outputs, *([str(video)] if video == STANDARD_OUTPUT else [])]
    if len(set(targets)) < len(targets):
        raise ConfigError("two outputs, of zones or a video, go to the same target; give each its own", code="conflict")


def _only_name(settings: Settings) -> str | None:
    names = settings.names or (stream_names(settings.source) if settings.source else ())
    return names[0] if len(names) == 1 else None


def _make_output(target: str, settings: Settings, name: str | None) -> ZoneOutput:
    timeout_seconds = settings.network.timeout_seconds
    scheme = target.partition("://")[0].lower()
    if scheme in ("http", "https"):
        from streamdepth.sinks.zones.webhook import WebhookOutput

        _check_host(target)
        return WebhookOutput(target, timeout_seconds=timeout_seconds)
    if scheme in ("mqtt", "mqtts"):
        from streamdepth.sinks.zones.mqtt import MqttOutput

        _check_host(target)
        interval_seconds = settings.zones.interval_seconds
        return MqttOutput(target, interval_seconds=interval_seconds, timeout_seconds=timeout_seconds)
    from streamdepth.sinks.zones.json_lines import JsonLinesOutput

    return JsonLinesOutput(_json_lines_path(target, settings, name), overwrite=settings.outputs.overwrite)


def _check_host(url: str) -> None:
    """Raises ConfigError ("unknown-target") for an address without a host, or with a port that is no number."""
    try:
        parts = urlsplit(url)
        if parts.hostname and (parts.port is None or parts.port):
            return
    except ValueError:
        pass
    raise ConfigError(
        f"'{redact(url)}' has no host, or no valid port; write for example mqtt://192.168.1.5:1883/home",
        code="unknown-target",
    )


def _json_lines_path(target: str, settings: Settings, name: str | None) -> Path:
    """Returns the file for one stream; of several, each has a file in a folder, or where {name} stands."""
    path = Path(target)
    if NAME_FIELD in target:
        return Path(target.replace(NAME_FIELD, name or _only_name(settings) or "stream"))
    if name is not None and not path.suffix and path != STANDARD_OUTPUT:
        return path / f"{name}.jsonl"
    if name is not None:
        raise ConfigError(
            f"several streams cannot all write '{target}'; give a folder, or put {{name}} where their names are to "
            "stand",
            code="not-a-folder",
        )
    if path.suffix.lower() not in JSON_LINES_SUFFIXES and path != STANDARD_OUTPUT:
        raise ConfigError(
            f"cannot tell what to write of zones to '{redact(target)}'; use a file (.jsonl), - for standard output, "
            "mqtt://HOST/TOPIC, mqtts://... or https://...",
            code="unknown-target",
        )
    return path
