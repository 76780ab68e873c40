"""Settings from a YAML file, from assignments and from keywords. Every mistake is a ConfigError that says where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml
from pydantic import ValidationError

from streamdepth.config.settings import Settings, section_type, table
from streamdepth.config.streams import StreamSettings
from streamdepth.core.errors import ConfigError
from streamdepth.utils.redact import redact_text
from streamdepth.utils.strict_yaml import load_yaml

if TYPE_CHECKING:
    from typing import Unpack

    from streamdepth.config.keywords import SettingsKeywords

VIRTUAL_CAMERA = "virtualcam:"
"""Scheme of the addresses of virtual cameras."""
NDI = "ndi:"
"""Scheme of the names of NDI sources."""
PUSH_SCHEMES = (
    "rtsp://",
    "rtsps://",
    "rtmp://",
    "rtmps://",
    "srt://",
    "udp://",
    "tcp://",
    "rtp://",
    VIRTUAL_CAMERA,
    NDI,
)
"""Schemes of addresses to which video is sent while it is made."""

_CODES = {
    "extra_forbidden": "unknown-setting",
    "model_type": "not-a-section",
    "model_attributes_type": "not-a-section",
}
"""The code of an error for each kind of fault that pydantic finds; others are "bad-value"."""
_MAX_SHOWN = 200
"""Characters of a wrong value that are shown."""
_SECRET_PATHS = {"web.token"}
"""Settings whose values are never shown."""


def load(path: Path | None, assignments: Iterable[str] = (), keywords: Mapping[str, Any] | None = None) -> Settings:
    """Returns the defaults, changed by a YAML file, then by `section.key=value` assignments, then by keywords.

    Args:
        path: a YAML file with sections; None reads none.
        assignments: texts such as "render.legend=false", as --set takes them.
        keywords: values by keyword, such as {"size": 192}.

    Raises:
        ConfigError: with the file, the key's path and what is allowed. Codes: "not-found", "bad-yaml",
            "bad-assignment", "not-a-section", "unknown-setting", "bad-value".
    """
    values = _read(path) if path else {}
    for assignment in assignments:
        _assign(values, assignment)
    for keyword, value in (keywords or {}).items():
        _put(values, keyword, value)
    return _check(values, str(path) if path else "settings")


def make(**keywords: Unpack[SettingsKeywords]) -> Settings:
    """Returns settings from keywords, the others at their defaults. Raises ConfigError as `load` does.

    Example: make(source="in.mp4", output="out.mp4", size=192)
    """
    return load(None, (), keywords)


def _check(values: dict[str, Any], origin: str) -> Settings:
    _move_address_to_push(values)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults = error.errors()
        message = "; ".join(f"{origin}: {_explain(fault)}" for fault in faults)
        raise ConfigError(message, code=_CODES.get(faults[0]["type"], "bad-value")) from error
    return _with_sources_of_streams(settings)


def _with_sources_of_streams(settings: Settings) -> Settings:
    """Returns settings whose `source` and `names` are those of `streams`. Raises ConfigError ("conflict")."""
    sources = tuple(stream.source for stream in settings.streams)
    if sources and settings.source not in ((), sources):
        raise ConfigError("the sources are given by streams, too; give source or streams", code="conflict")
    for what, values in (("name", settings.names), ("mount", settings.robot.mount)):
        if values and sources:
            raise ConfigError(f"with streams, write the {what} of each into its entry of streams", code="conflict")
        if values and settings.source and len(values) != len(settings.source):
            raise ConfigError(
                f"{len(values)} times --{what} for {len(settings.source)} sources; give one for each", code="conflict"
            )
    return settings.model_copy(update={"source": sources}) if sources else settings


def _move_address_to_push(values: dict[str, Any]) -> None:
    """Moves an address given as `outputs.video` to `outputs.push`."""
    outputs = values.get("outputs")
    if not isinstance(outputs, dict):
        return
    video = outputs.get("video")
    if not isinstance(video, str) or not video.lower().startswith(PUSH_SCHEMES):
        return
    push = outputs.get("push") or ()
    values["outputs"] = outputs | {"video": None, "push": (video, *((push,) if isinstance(push, str) else push))}


def _read(path: Path) -> dict[str, Any]:
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration '{path}': {error.strerror}", code="not-found") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a path that cannot be
        raise ConfigError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}", code="bad-yaml") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ConfigError(f"'{path}' must hold 'key: value' lines, such as 'source: 0'", code="bad-yaml")
    return values


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, sign, text = assignment.partition("=")
    if not sign or not key:
        raise ConfigError(
            f"'{assignment}' is no assignment; write --set key=value, such as --set video.crf=18",
            code="bad-assignment",
        )
    *path, last = key.split(".")
    for part in path:
        values = _section(values, part)
    try:
        values[last] = load_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"'{redact_text(assignment)}': the value is not valid YAML", code="bad-yaml") from error


def _put(values: dict[str, Any], keyword: str, value: object) -> None:
    if (setting := table().get(keyword)) is None:
        raise ConfigError(f"unknown setting '{keyword}'; {_hint_for_keyword(keyword)}", code="unknown-setting")
    if setting.section:
        values = _section(values, setting.section)
    values[setting.name] = value


def _section(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Returns the values below `key`, to be changed. Raises ConfigError where it holds something else."""
    if values.get(key) is None:
        values[key] = {}
    if not isinstance(values[key], dict):
        raise ConfigError(_not_a_section(key), code="not-a-section")
    return cast("dict[str, Any]", values[key])


def _not_a_section(key: str) -> str:
    field = Settings.model_fields.get(key)
    kind = section_type(field) if field else None
    first = f", such as {key}.{next(iter(kind.model_fields))}" if kind else ""
    return f"'{key}' holds a value, not a section with settings of its own{first}"


def _explain(fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if _CODES.get(fault["type"]) == "unknown-setting":
        return f"{path}: unknown key; {_hint_for_key(path)}"
    if _CODES.get(fault["type"]) == "not-a-section":
        return _not_a_section(path)
    given = "" if path in _SECRET_PATHS else f", not {_shortened(redact_text(repr(fault['input'])))}"
    return f"{path}: {fault['msg'].removeprefix('Value error, ')}{given}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _hint_for_key(path: str) -> str:
    """Suggests a key: the same name in another section, else a similar name, else the section's allowed keys."""
    section, _, key = path.rpartition(".")
    places = {name: place for name, place in _all_places() if name != key or place != path}
    here = {place.rpartition(".")[2]: place for place in _keys(section)}
    if key in places:
        return f"did you mean '{places[key]}'?"
    if near := difflib.get_close_matches(key, here, 1):
        return f"did you mean '{here[near[0]]}'?"
    if near := difflib.get_close_matches(key, places, 1):
        return f"did you mean '{places[near[0]]}'?"
    return f"allowed: {', '.join(place.rpartition('.')[2] for place in _keys(section))}"


def _all_places() -> list[tuple[str, str]]:
    """Returns (name, path) for the keys and then the keywords of all settings: the later ones win."""
    settings = table().values()
    return [(setting.name, setting.path) for setting in settings] + [(s.keyword, s.path) for s in settings]


def _keys(section: str) -> list[str]:
    """Returns the paths of the keys in a section; of the whole file for ""."""
    kind: type[Any] | None = Settings
    if re.fullmatch(r"streams\.\d+", section):
        kind = StreamSettings
    elif section:
        field = Settings.model_fields.get(section)
        kind = section_type(field) if field else None
    return [f"{section}.{name}" if section else name for name in (kind.model_fields if kind else ())]


def _hint_for_keyword(keyword: str) -> str:
    if near := difflib.get_close_matches(keyword, table(), 1):
        return f"did you mean '{near[0]}'?"
    same_name = [setting.keyword for setting in table().values() if setting.name == keyword]
    return f"did you mean '{same_name[0]}'?" if same_name else f"allowed: {', '.join(table())}"
