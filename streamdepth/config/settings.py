"""Typed settings: one name per setting, the same in YAML files, on the command line and in Python."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from streamdepth.config.sections import (
    CameraSettings,
    NetworkSettings,
    RobotSettings,
    Section,
    VideoSettings,
    WebSettings,
)
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import Edges, Style
from streamdepth.utils.redact import redact_text

VIRTUAL_CAMERA = "virtualcam:"
PUSHED = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "srt://", "udp://", "tcp://", "rtp://", VIRTUAL_CAMERA)
"""What addresses begin with to which video is sent while it is made."""
_SECONDS_OF = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: object) -> object:
    """30s, 10m, 1h30m or a number of seconds."""
    if not isinstance(value, str) or re.fullmatch(r"\d+(\.\d+)?", value):
        return value
    if not re.fullmatch(r"(\d+(\.\d+)?[smh])+", value):
        raise ValueError("write 30s, 10m, 1h or a number of seconds")
    return sum(float(number) * _SECONDS_OF[unit] for number, unit in re.findall(r"([\d.]+)([smh])", value))


def _rate(value: object) -> object:
    """auto, or so many times a second."""
    try:
        if value == "auto" or 0 < float(str(value)) <= 1000:
            return value
    except ValueError:
        pass
    raise ValueError("write auto, or how many times a second, above 0 and up to 1000")


class Settings(Section):
    """Everything a run needs. Names are the command line's flags with `_` for `-`."""

    source: tuple[str, ...] = ()
    """Camera numbers, files, folders, globs, URLs, lavfi:... or screen:"""
    output: Path | None = None
    """A video to watch; a folder when there are several sources."""
    push: tuple[str, ...] = ()
    """Where the video is sent while it is made: rtsp://, rtmp://, srt://, udp://, tcp://, rtp:// or virtualcam: with a
    device where it is not the first; {name} stands for the stream's name where there are several. Files keep their
    pace. An `output` that is such an address belongs here too."""
    depth_out: Path | None = None
    """The depth: .mkv, .mp4, .mcap, .rrd, or %06d with .png, .exr or .npz; a folder when there are several sources."""
    publish: tuple[str, ...] = ()
    """To whom metric depth is sent while it is made: rerun, foxglove, zenoh or ros; with an address where it is not the
    usual one, rerun:HOST:PORT, foxglove:HOST:PORT or zenoh:tcp/HOST:PORT."""
    points: Path | None = None
    """Point clouds: .ply or .pcd, of a video with %06d."""
    mesh: Path | None = None
    """Meshes: .glb, .ply or .obj, of a video with %06d."""
    ply_every: int | None = Field(None, ge=1)
    """Points and meshes of every so many frames of a video; without `points` and `mesh`, NAME_%06d.ply."""
    segment: Annotated[float, Field(gt=0), BeforeValidator(_seconds)] | None = None
    """Begin a new file, NAME_000000.mp4 and on, after so long: 30s, 10m, 1h or a number of seconds. None: one file."""
    resume: bool = False
    """Go on after the last segment that is there."""
    min_free_mb: float = Field(500.0, ge=0)
    """Live recordings end, with complete files, before less than so many MB are free on the disk."""
    window: bool = False
    """Show a window too."""
    wait_for_sources: bool = False
    """Begin with the sources that are there, and wait for the others as for cameras that were lost."""
    hold_last: bool = False
    """While a camera is lost, the window shows its last picture, marked as stale; else words on black."""
    pace: bool = False
    """Play files at their own rate, dropping what comes too late, as a camera would."""
    model: str = "nano"
    """nano, a short name, a hub id, a local folder, a file with nano's weights (.safetensors), or what `export` or
    `quantize` wrote (.onnx, a folder)."""
    size: int | None = Field(None, gt=0)
    """px of the short side of the network's input; None is the model's own."""
    engine: str = "auto"
    """auto, torch, openvino or onnx."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: str = "auto"
    """auto, float32, float16 or bfloat16."""
    precision_limit: float | None = Field(0.05, ge=0)
    """How far reduced precision may be from float32, as a share of the depth's spread, before float32 is used; None
    never looks."""
    compile: bool = False
    """torch.compile, with CUDA graphs on a GPU; slow to start."""
    threads: int | None = Field(None, ge=1)
    """Of the CPU for the network; None leaves them to the engine."""
    throughput: bool | None = None
    """Whether the most frames a second matter rather than the time of each; None: where all sources are files."""
    batch: int = Field(1, ge=1, le=256)
    """Most frames the model gets at a time."""
    refresh: Annotated[Literal["auto"] | float, BeforeValidator(_rate)] | None = None
    """How often a second the model runs, the frames in between getting its last depth carried along the motion; auto
    is as often as it can beside a live stream. None: on every frame."""
    target_fps: float | None = Field(None, gt=0)
    """Frames a second that a live stream is to give: the model's input gets smaller, and with `refresh` the model runs
    less often, while it does not."""
    max_latency_ms: float | None = Field(None, gt=0)
    """The same for the age of a live stream's frames when they are shown or written."""
    smooth: str = "default"
    """off, light, default, strong, or for files offline."""
    range: str = "auto"
    """Displayed depth: auto, lock:LOW,HIGH in the unit of the depth, or for files per-shot."""
    camera_info: Path | None = None
    """The camera as a ROS camera_info YAML; wins over what the source and the model say."""
    fov: float | None = Field(None, gt=0, lt=180)
    """Horizontal field of view of the pictures, degrees; instead of camera_info."""
    fx: float | None = Field(None, gt=0)
    """Focal length in px of the pictures; instead of camera_info. fy is the same and cx, cy the middle if not given."""
    fy: float | None = Field(None, gt=0)
    cx: float | None = None
    cy: float | None = None
    undistort: bool = False
    """Undo the lens's distortion that camera_info tells."""
    anchor: tuple[str, ...] = ()
    """Measured points, x,y=1.35m each, px of the first picture: relative depth becomes metric."""
    camera_height: str | None = None
    """Instead: how high the camera is above the floor it sees, such as 1.2m."""
    camera_pitch: float | None = Field(None, gt=-90, lt=90)
    """Degrees by which that camera looks down."""
    board: str | None = None
    """Instead: a board in view, chessboard:9x6@25mm or charuco:7x5@40mm/30mm; the camera must be known."""
    sparse: Path | None = None
    """Instead: a sensor's depth as 16-bit PNG, 0 unknown; of a video %06d.png by the frame's index."""
    sparse_scale: float = Field(1000.0, gt=0)
    """Values of its PNG per metre."""
    edges: Edges = "plain"
    """guided: depth at full size follows the edges of the picture."""
    drop_flying: bool = False
    """Metric depth on jumps between near and far is written as unknown."""
    style: Style = "overlay"
    colormap: str = "inferno"
    stats: Path | None = None
    """A JSON file for the report."""
    max_frames: int | None = Field(None, ge=1)
    max_seconds: float | None = Field(None, gt=0)
    max_side: int = Field(16384, ge=1)
    """px: pictures with a longer side are refused."""
    overwrite: bool = False
    allow_partial: bool = False
    accept_license: bool = False
    allow_pickle: bool = False
    cluster: str | None = None
    """Ray: auto, or a cluster's address; its machines share the work."""
    camera: CameraSettings = CameraSettings()
    network: NetworkSettings = NetworkSettings()
    video: VideoSettings = VideoSettings()
    robot: RobotSettings = RobotSettings()
    web: WebSettings = WebSettings()

    @model_validator(mode="before")
    @classmethod
    def _push_to_addresses(cls, values: Any) -> Any:
        output = values.get("output") if isinstance(values, dict) else None
        if not isinstance(output, str) or not output.lower().startswith(PUSHED):
            return values
        push = values.get("push") or ()
        return values | {"output": None, "push": (output, *((push,) if isinstance(push, str) else push))}

    @field_validator("source", "push", "anchor", "publish", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        if isinstance(value, (str, int, Path)):
            return (str(value),)
        return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else value


def load(path: Path | None, assignments: list[str] | None = None, flags: dict[str, Any] | None = None) -> Settings:
    """Defaults, then the YAML file at `path`, then `key=value` assignments, then flags that are not None.

    Raises ConfigError with the file, the key's path and what is allowed.
    """
    values = _read(path) if path else {}
    for assignment in assignments or ():
        _assign(values, assignment)
    for key, value in (flags or {}).items():
        if isinstance(value, dict):  # a section: what it does not name stays
            _section(values, key).update(value)
        elif value is not None:
            values[key] = value
    return make(values, str(path) if path else "settings")


def make(values: dict[str, Any], where: str = "settings") -> Settings:
    """Checks `values`. Raises ConfigError."""
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{where}: {_explain(e)}" for e in error.errors())) from error
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:  # of a text, errors would quote the line, and with it a secret
            values = yaml.safe_load(file)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration '{path}': {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ConfigError(f"'{path}' must hold 'key: value' lines, such as 'source: 0'")
    return values


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, sign, text = assignment.partition("=")
    if not sign or not key:
        raise ConfigError(f"'{assignment}' is no assignment; write --set key=value, such as --set video.crf=18")
    *path, last = key.split(".")
    for part in path:
        values = _section(values, part)
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"'{redact_text(assignment)}': the value is not valid YAML") from error


def _section(values: dict[str, Any], key: str) -> dict[str, Any]:
    """The settings below `key`, to be changed; it may be empty. Raises ConfigError where it holds something else."""
    if values.get(key) is None:
        values[key] = {}
    if not isinstance(values[key], dict):
        raise ConfigError(f"'{key}' holds a value, not a section with settings of its own")
    return cast("dict[str, Any]", values[key])


_SECRET = {"token"}
"""Settings whose values are shown nowhere."""


def _explain(error: Any) -> str:
    path = ".".join(str(p) for p in error["loc"])
    if error["type"] != "extra_forbidden":
        given = "" if path.rpartition(".")[2] in _SECRET else f", not {redact_text(repr(error['input']))}"
        return f"{path}: {error['msg'].removeprefix('Value error, ')}{given}"
    allowed = _keys(error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(allowed)}"
    return f"{path}: unknown key; {hint}"


def _keys(path: tuple[Any, ...]) -> list[str]:
    section: Any = Settings
    for part in path:
        section = section.model_fields[part].annotation
    return list(section.model_fields)
