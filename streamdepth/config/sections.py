"""Settings of one subject each: the sections of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Section(BaseModel):
    """Takes no other keys, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraSettings(Section):
    """What to ask a webcam for; a camera that grants something else is an error."""

    size: tuple[int, int] | None = None
    """(width, height) in px."""
    fps: float | None = Field(None, gt=0)
    """Frames per second."""
    fourcc: str | None = Field(None, min_length=4, max_length=4)
    """The camera's format, such as MJPG or YUYV."""
    reconnect_seconds: float = Field(300.0, ge=0)
    """How long to wait for a camera that was unplugged or stalled; 0 gives up at once, .inf never."""

    @field_validator("size", mode="before")
    @classmethod
    def _parse_size(cls, value: object) -> object:
        return value.lower().split("x") if isinstance(value, str) else value


class NetworkSettings(Section):
    """How to reach cameras and servers."""

    transport: Literal["tcp", "udp"] = "tcp"
    timeout_seconds: float = Field(5.0, gt=0)
    reconnect_seconds: float = Field(300.0, ge=0)
    """How long to try to get a lost stream back; 0 gives up at once, .inf never."""
    live: bool | None = None
    """Whether the stream is live; None finds out."""


class VideoSettings(Section):
    """How pictures are drawn and encoded."""

    codec: str = "auto"
    """h264, hevc, av1, vp9 or an encoder's name; auto is h264, in .webm vp9."""
    crf: int = Field(20, ge=0, le=63)
    preset: str = "veryfast"
    alpha: float = Field(0.6, ge=0, le=1)
    """Share of the depth's colours in an overlay."""
    legend: bool = True
    copy_tracks: bool = True
    """Copy audio and subtitles from the input."""


class RobotSettings(Section):
    """What a robot gets, and how it is named."""

    schemas: Literal["ros2", "foxglove"] = "ros2"
    """The messages in .mcap."""
    encoding: Literal["32FC1", "16UC1"] = "32FC1"
    """Of the depth: metres, or millimetres."""
    namespace: str = Field("/camera", pattern=r"^(/_?[A-Za-z](_?[A-Za-z0-9])*)+$")
    """Of topics, with the stream's name behind it where there are several; as ROS allows it."""
    frame_id: str | None = Field(None, min_length=1)
    """The camera's optical frame, with several streams each followed by `_` and its name; None: the source's own, or
    NAMESPACE_optical_frame."""
    points: bool = False
    """A point cloud too."""
    scan: bool = True
    """A laser scan and the nearest obstacle of each sector too."""
    floor: bool = False
    """Find the floor in every frame, and with it how the camera is tilted."""
    band: tuple[float, float] = (-0.1, 0.1)
    """What counts as an obstacle: from so many metres above the camera (below it: negative) to so many; with `floor`,
    above the floor."""
    range: float = Field(10.0, gt=0)
    """How far an obstacle counts, in metres."""
    sectors: int = Field(5, ge=1, le=360)
    pitch: float | None = Field(None, gt=-90, lt=90)
    """Degrees by which the camera looks down; None: as camera_pitch says, or level. `floor` tells it better."""

    @field_validator("band")
    @classmethod
    def _check_band(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("a band is [low, high] with low < high")
        return value


class WebSettings(Section):
    """The page of `serve`: where it listens, who may see it, and what it keeps."""

    host: str = "127.0.0.1"
    """Any address that others can reach needs a token."""
    port: int = Field(8000, ge=0, le=65535)
    """0 takes a free one."""
    token: str | None = None
    """What visitors must know; None makes one where it is needed."""
    allow_host: tuple[str, ...] = ()
    """Further names of this machine that browsers may use."""
    certificate: Path | None = None
    """A PEM file; with it the page is HTTPS."""
    key: Path | None = None
    folder: Path = Path("recordings")
    """For snapshots and recordings."""
    browser_camera: bool = False
    """Take the camera of whoever opens the page."""
    max_viewers: int = Field(32, ge=1)
