"""The schemas of the JSON API; its OpenAPI description is made from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from streamdepth.sinks.zones.records import ZoneDepth


class _StrictModel(BaseModel):
    """A request body that may have no unknown keys and no values of other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ControlsOut(BaseModel):
    """The controls of a stream."""

    style: str
    colormap: str
    alpha: float
    smooth: str
    range: str
    paused: bool


class ControlsIn(_StrictModel):
    """Changes of a stream's controls; what is left out stays as it is."""

    style: Annotated[str, Field(max_length=40)] | None = None
    colormap: Annotated[str, Field(max_length=80, description="A name of /api/colormaps.")] | None = None
    alpha: Annotated[float, Field(ge=0, le=1, description="Overlay: 0 shows the picture, 1 the colors.")] | None = None
    smooth: Annotated[str, Field(max_length=40)] | None = None
    range: Annotated[str, Field(max_length=80, description="auto, or lock:LOW,HIGH in the depth's unit.")] | None = None
    paused: bool | None = None


class ModelIn(_StrictModel):
    """Changes of the model, which all streams share."""

    size: Annotated[int, Field(ge=1, le=100_000, description="One of the sizes that the status offers, px.")]


class SecondOut(BaseModel):
    """Statistics of one second of a stream."""

    frames: int
    latency_ms: tuple[float, float, float] | None
    """p50, p95 and p99 from the decoder to the page; null without frames."""


class RecordingOut(BaseModel):
    """The state of a stream's recording."""

    active: bool
    seconds: float = 0.0
    """Length of the recording so far."""
    failure: str = ""
    """Why the last recording ended by itself; empty if it did not."""


Corner = tuple[Annotated[float, Field(ge=0, le=100_000)], Annotated[float, Field(ge=0, le=100_000)]]


class ZoneIn(BaseModel):
    """A zone: a polygon of the picture, and the depth at which something is in it."""

    model_config = ConfigDict(extra="forbid")

    corners: Annotated[list[Corner], Field(min_length=3, max_length=64, description="x, y in px of the stream.")]
    near: Annotated[float, Field(ge=0, le=1e6, description="Meters, or percent of relative depth's range.")] | None = (
        None
    )


class ZoneOut(ZoneDepth):
    """A zone of a stream with the depth in it."""

    name: str
    text: str
    """The zone as the flag --zone takes it."""
    corners: list[tuple[float, float]]
    near: float | None
    """Depth at which something is in the zone, in `unit`; null: nearer than the background at the start."""
    entered: int
    """Number of times that something entered it."""
    history: list[tuple[int, float | None]]
    """Seconds of the last two minutes, on the clock of the frames, and `nearest` at the end of each; oldest first."""


class StreamOut(BaseModel):
    """The status of one stream."""

    name: str
    title: str
    """The source in words, without credentials."""
    state: str
    reason: str
    """Why the stream is in this state."""
    width: int | None
    height: int | None
    kind: Literal["metric", "relative"] | None
    unit: str | None
    scale_sigma: float | None
    """One standard deviation of the meters' scale in the newest frame, as a share; null where nothing is known."""
    metric_residual: float | None
    """Median error at the distances that were known last, as a share."""
    evidence_age_seconds: float | None
    """Time since distances were last known."""
    is_withheld: bool
    """True while meters are withheld, because their scale is not known well enough."""
    fps: float
    """Frames per second, the mean of the last three seconds."""
    read: int
    written: int
    dropped: dict[str, int]
    """Cause -> number of frames."""
    reconnects: int
    viewers: int
    is_browser_camera: bool
    """True if the pictures come from a browser's camera."""
    controls: ControlsOut
    recording: RecordingOut
    zones: list[ZoneOut]
    history: list[SecondOut]
    """The seconds of the last two minutes, oldest first."""


class ModelOut(BaseModel):
    """The model in use."""

    name: str
    engine: str
    device: str
    precision: str
    size: int | None
    """px of the short side of its input; null is the model's own size."""
    switching: bool
    """True while another size is being loaded."""
    failure: str
    """Why the size chosen last is not in use; empty if it is in use."""


class ChoicesOut(BaseModel):
    """The values that the page offers for each control."""

    style: list[str]
    smooth: list[str]
    colormap: list[str]
    size: list[int]


class StatusOut(BaseModel):
    """Everything that the page shows besides the pictures."""

    sequence: int
    """Counts statuses as they are made: of two, the one with the higher number is newer."""
    version: str
    uptime_seconds: float
    model: ModelOut
    streams: list[StreamOut]
    choices: ChoicesOut
    hold_last: bool
    """True if the last picture of a lost stream stays visible, marked as stale."""


class FileOut(BaseModel):
    """A recording or snapshot."""

    name: str
    bytes: int
    modified_at: float
    """Time of the last change, in seconds since 1970."""


class FilesOut(BaseModel):
    """Complete recordings and snapshots, newest first."""

    files: list[FileOut]
    folder: str
    """Name of the folder they lie in, without the folders above it."""


class SnapshotOut(BaseModel):
    """The files of a snapshot."""

    files: list[str]
    """Names of the picture, the picture as the page shows it, and the depth."""


class ConversionOut(BaseModel):
    """An uploaded video and its conversion."""

    id: str
    name: str
    state: Literal["uploading", "waiting", "converting", "done", "failed", "canceled"]
    share: float | None
    """Part that is converted, 0 to 1; null while it is not known."""
    reason: str
    """Why it failed; empty if it did not."""
    result: str
    """Name of the finished video among the files; empty before."""


class ConversionsOut(BaseModel):
    """Uploaded videos, newest first."""

    conversions: list[ConversionOut]
    max_upload_bytes: float
    """Limit of an upload; 0 if none is allowed."""


class ColormapsOut(BaseModel):
    """Names of colormaps; each also exists reversed, as NAME_r."""

    names: list[str]


class ColormapOut(BaseModel):
    """A colormap from far (first) to near (last)."""

    name: str
    colors: list[str]
    """256 colors as `#rrggbb`."""


class SessionOut(BaseModel):
    """The session of the browser that asks."""

    signed_in: bool
    """True if its cookie holds a session, which can be ended."""


class HealthOut(BaseModel):
    """The answer of a server that runs."""

    status: Literal["ok"]


class ErrorOut(BaseModel):
    """Why a request failed, and what to try."""

    detail: str
