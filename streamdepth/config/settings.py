"""The settings model: everything a run needs, in sections."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from streamdepth.config.metadata import Flag, NoEffectOnResult
from streamdepth.config.sections import (
    CameraSettings,
    InferenceSettings,
    MetricSettings,
    ModelSettings,
    NetworkSettings,
    OutputSettings,
    RenderSettings,
    RobotSettings,
    Section,
    Strings,
    VideoSettings,
    WebSettings,
    ZoneSettings,
)
from streamdepth.config.streams import StreamSettings
from streamdepth.config.values import parse_frame_rate, parse_rectangle, parse_seconds

if TYPE_CHECKING:
    from typing import Unpack

    from streamdepth.config.keywords import SettingsKeywords


class Settings(Section):
    """Everything a run needs. Frozen and hashable.

    >>> from streamdepth.config import make
    >>> make(source="in.mp4", size=192).model.size, sd.Settings().render.colormap
    (192, 'inferno')
    """

    title: ClassVar[str] = "Input"

    source: Annotated[Strings, NoEffectOnResult()] = ()
    """Camera numbers, files, folders, globs, URLs, lavfi:... or screen:"""
    streams: tuple[StreamSettings, ...] = ()
    """Instead of source, for several cameras that differ: a list of source, name, mount, camera and metric of each."""
    names: Annotated[Strings, Flag("--name")] = ()
    """A name for outputs, topics and coordinate frames, instead of one made from the source's address. Repeatable, one
    for each source."""
    max_frames: Annotated[int | None, Flag("--max-frames")] = Field(None, ge=1)
    """End after so many frames."""
    max_seconds: Annotated[float | None, Flag("--max-seconds", is_common=True)] = Field(None, gt=0)
    """End after so many seconds of the source's time."""
    max_side: Annotated[int, Flag("--max-side"), NoEffectOnResult()] = Field(16384, ge=1)
    """Refuse pictures with a longer side, in px."""
    allow_partial: Annotated[bool, Flag("--allow-partial"), NoEffectOnResult()] = False
    """Accept a source that ends before its end."""
    wait_for_sources: Annotated[bool, NoEffectOnResult()] = False
    """Begin with the sources that are there, and wait for the others as for cameras that were lost."""
    input_fps: Annotated[float | None, BeforeValidator(parse_frame_rate), Flag("--input-fps", metavar="FPS")] = Field(
        None, gt=0, le=1000
    )
    """Frames per second of the input, such as 25, 29.97 or 30000/1001, whatever it says itself: for video without
    timestamps, pictures, or another speed."""
    start: Annotated[float | None, BeforeValidator(parse_seconds), Flag("--start", metavar="TIME", is_common=True)] = (
        Field(None, ge=0)
    )
    """Begin at this time of a recording, such as 2s, 1m30s or 4.5, exactly to the frame; sound is cut there, too."""
    end: Annotated[float | None, BeforeValidator(parse_seconds), Flag("--end", metavar="TIME", is_common=True)] = Field(
        None, gt=0
    )
    """End before the frame at this time of a recording, counted from its beginning."""
    fps: Annotated[float | None, BeforeValidator(parse_frame_rate), Flag("--fps", metavar="FPS")] = Field(
        None, gt=0, le=1000
    )
    """Constant frame rate of the outputs, such as 24 or 30000/1001: frames are chosen by their times, left out or
    repeated, and the sound keeps its speed."""
    crop: Annotated[
        tuple[int, int, int, int] | None, BeforeValidator(parse_rectangle), Flag("--crop", metavar="X,Y,W,H")
    ] = None
    """Use only this rectangle of the picture: left, top, width and height in px."""
    deinterlace: Annotated[Literal["off", "auto"], Flag("--deinterlace")] = "off"
    """auto rebuilds interlaced frames from the fields around them (bwdif); off leaves and announces them."""
    gpu_decoding: Annotated[bool, Flag("--gpu-decoding/--no-gpu-decoding"), NoEffectOnResult()] = True
    """Decode files and network streams on the NVIDIA GPU that the model runs on, where that takes the codec."""
    find_bars: Annotated[bool, Flag("--find-bars/--no-find-bars")] = True
    """Find black bars around the picture: their depth is unknown, and they do not count for the range."""
    realtime: Annotated[bool, NoEffectOnResult()] = False
    """Play files at their own frame rate and drop frames that come too late, as a camera would."""
    cluster: Annotated[str | None, Flag("--cluster"), NoEffectOnResult()] = None
    """Share the work on Ray: auto, or a cluster's HOST:PORT."""
    smooth: Annotated[str, Flag("--smooth", is_common=True)] = "default"
    """Stabilization against flicker: off, light, default, strong, or for files offline."""
    model: ModelSettings = ModelSettings()
    """The network that gives depth, and the hardware it runs on."""
    inference: InferenceSettings = InferenceSettings()
    """Rate and batch size of the network."""
    outputs: OutputSettings = OutputSettings()
    """Files, windows and addresses that get the result."""
    render: RenderSettings = RenderSettings()
    """The look of depth in pictures and videos."""
    metric: MetricSettings = MetricSettings()
    """Measurements that turn relative depth into meters."""
    zones: ZoneSettings = ZoneSettings()
    """Parts of the picture whose depth is watched."""
    camera: CameraSettings = CameraSettings()
    """Intrinsics of the camera, and modes to ask a webcam for."""
    network: Annotated[NetworkSettings, NoEffectOnResult()] = NetworkSettings()
    """Connections to network cameras and servers."""
    video: VideoSettings = VideoSettings()
    """Encoding of videos."""
    robot: RobotSettings = RobotSettings()
    """Data for robots and its names."""
    web: Annotated[WebSettings, NoEffectOnResult()] = WebSettings()
    """The page of `serve`."""

    def replace(self, **changes: Unpack[SettingsKeywords]) -> Settings:
        """Returns a copy with other values, named by keyword; they are not checked.

        Example: settings.replace(size=192, max_frames=10)
        """
        top: dict[str, Any] = {}
        by_section: dict[str, dict[str, Any]] = {}
        for keyword, value in changes.items():
            setting = table()[keyword]
            (by_section.setdefault(setting.section, {}) if setting.section else top)[setting.name] = value
        sections = {name: getattr(self, name).model_copy(update=values) for name, values in by_section.items()}
        return self.model_copy(update=top | sections)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the model describes it."""

    section: str
    """The section's key; empty for settings outside sections."""
    name: str
    """The setting's key within the section."""
    keyword: str
    """The name of the keyword argument in Python."""
    flag: Flag | None
    """The names on the command line; None where there is no flag."""
    panel: str
    """The heading above its flag in --help."""
    has_effect_on_result: bool
    """False for settings that change how a run is done but never the depth or pictures it gives."""
    field: FieldInfo

    @property
    def path(self) -> str:
        """The full key in YAML and for --set, such as "render.legend"."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def meaning(self) -> str:
        """The field's docstring in one line."""
        return " ".join((self.field.description or "").split())

    @property
    def default(self) -> Any:
        """The default value."""
        return self.field.default

    def value(self, settings: Settings) -> Any:
        """Returns its value in `settings`."""
        return getattr(getattr(settings, self.section) if self.section else settings, self.name)


@functools.cache
def table() -> dict[str, Setting]:
    """Returns all settings by keyword, in the order of the model."""
    found: list[Setting] = []
    for name, field in Settings.model_fields.items():
        if (section := section_type(field)) is None:
            found.append(_setting("", Settings, name, field, has_effect=True))
            continue
        has_effect = not _has_mark(field)
        found += [_setting(name, section, key, inner, has_effect) for key, inner in section.model_fields.items()]
    return {setting.keyword: setting for setting in found}


def section_type(field: FieldInfo) -> type[Section] | None:
    """Returns the section that a field of Settings holds; None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _setting(section: str, kind: type[Section], name: str, field: FieldInfo, has_effect: bool) -> Setting:
    flag = next((mark for mark in field.metadata if isinstance(mark, Flag)), None)
    return Setting(
        section=section,
        name=name,
        keyword=flag.keyword if flag else kind.keyword_prefix + name,
        flag=flag,
        panel=kind.title,
        has_effect_on_result=has_effect and not _has_mark(field),
        field=field,
    )


def _has_mark(field: FieldInfo) -> bool:
    return any(isinstance(mark, NoEffectOnResult) for mark in field.metadata)


def result_values(settings: Settings, *, only_changed: bool = False) -> dict[str, Any]:
    """Returns the settings that decide what depth and pictures come out: path -> value, in plain types for JSON.

    Args:
        settings: the settings of a run.
        only_changed: leaves out what has its default value.
    """
    values = settings.model_dump(mode="json")
    return {
        setting.path: (values[setting.section] if setting.section else values)[setting.name]
        for setting in table().values()
        if setting.has_effect_on_result and not (only_changed and setting.value(settings) == setting.default)
    }
