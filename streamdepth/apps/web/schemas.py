"""What the JSON API says and takes; its OpenAPI page is made from these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ControlsOut(BaseModel):
    """What is wanted of a stream now."""

    style: str
    colormap: str
    smooth: str
    range: str
    paused: bool


class ControlsIn(_Model):
    """Changes; what is left out stays."""

    style: Annotated[str, Field(max_length=40)] | None = None
    colormap: Annotated[str, Field(max_length=80, description="A name of /api/colormaps.")] | None = None
    smooth: Annotated[str, Field(max_length=40)] | None = None
    range: Annotated[str, Field(max_length=80, description="auto, or lock:LOW,HIGH in the depth's unit.")] | None = None
    paused: bool | None = None


class ModelIn(_Model):
    """Changes of the model, for all streams."""

    size: Annotated[int, Field(ge=1, le=100_000, description="One of the sizes that the status offers, px.")]


class SecondOut(BaseModel):
    """One second of a stream."""

    frames: int
    latency_ms: tuple[float, float, float] | None
    """p50, p95, p99."""


class RecordingOut(BaseModel):
    """Whether a stream is being recorded."""

    active: bool
    failure: str = ""
    """Why the last one ended by itself."""


class StreamOut(BaseModel):
    """One stream now."""

    name: str
    title: str
    """The source, without secrets."""
    state: str
    reason: str
    width: int | None
    height: int | None
    kind: Literal["metric", "relative"] | None
    unit: str | None
    fps: float
    """Frames a second that came out lately."""
    read: int
    written: int
    dropped: dict[str, int]
    """By cause."""
    reconnects: int
    viewers: int
    camera: bool
    """Whether its pictures come from a browser's camera."""
    controls: ControlsOut
    recording: RecordingOut
    history: list[SecondOut]
    """The last two minutes, oldest first."""


class ModelOut(BaseModel):
    """The model at work."""

    name: str
    engine: str
    device: str
    precision: str
    size: int | None
    """px of the short side of its input; None is its own."""
    switching: bool
    """Whether another size is being loaded."""
    failure: str
    """Why the size that was asked for last is not used."""


class ChoicesOut(BaseModel):
    """What may be chosen."""

    style: list[str]
    smooth: list[str]
    colormap: list[str]
    size: list[int]


class StatusOut(BaseModel):
    """Everything that the page shows beside the pictures."""

    number: int
    """Statuses are counted as they are made: of two, the one with the higher number is the newer."""
    version: str
    seconds: float
    """Since the start."""
    model: ModelOut
    streams: list[StreamOut]
    choices: ChoicesOut
    hold_last: bool
    """Whether the last picture of a lost stream stays in sight, marked as stale."""


class FileOut(BaseModel):
    """One file that was kept."""

    name: str
    bytes: int
    seconds: float
    """When it was written, as seconds since 1970."""


class FilesOut(BaseModel):
    """What was kept, newest first."""

    files: list[FileOut]


class NamesOut(BaseModel):
    """Names of files that were just written."""

    files: list[str]


class ColormapsOut(BaseModel):
    """Names of colour maps; each also exists reversed, as NAME_r."""

    names: list[str]


class ColormapOut(BaseModel):
    """A colour map from far (first) to near (last)."""

    name: str
    colors: list[str]
    """256 of `#rrggbb`."""


class HealthOut(BaseModel):
    status: Literal["ok"]


class ErrorOut(BaseModel):
    """Why a request was not done, and what to try."""

    detail: str
