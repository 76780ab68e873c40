"""Settings of connections to network cameras and servers, and of the page that `serve` offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from streamdepth.config.metadata import Flag
from streamdepth.config.sections.base import Section, Strings


class NetworkSettings(Section):
    """Connections to network cameras and servers."""

    title = "Network"
    keyword_prefix = "network_"

    transport: Literal["tcp", "udp"] = "tcp"
    """Transport of RTSP."""
    timeout_seconds: float = Field(5.0, gt=0)
    """Longest time to wait for an answer, or for the next frame."""
    reconnect_seconds: float = Field(300.0, ge=0)
    """Time to try to get a lost stream back; 0 gives up at once, .inf never."""
    live: bool | None = None
    """True for a live stream, false for a file on a server; by default found out from the protocol."""


class WebSettings(Section):
    """The page of `serve`: where it listens, who may see it, and where it saves recordings."""

    title = "Page"

    host: Annotated[str, Flag("--host")] = "127.0.0.1"
    """Address to listen at: 0.0.0.0 is all of the network, which needs a token."""
    port: Annotated[int, Flag("--port")] = Field(8000, ge=0, le=65535)
    """Port to listen at; 0 takes a free one."""
    token: Annotated[str | None, Flag("--token")] = None
    """Secret that visitors must know; by default one is made where it is needed."""
    allow_host: Annotated[Strings, Flag("--allow-host")] = ()
    """A further name by which browsers know this machine. Repeatable."""
    certificate: Annotated[Path | None, Flag("--certificate")] = None
    """PEM file of the certificate; with it the page is HTTPS."""
    key: Annotated[Path | None, Flag("--key")] = None
    """PEM file with the certificate's key."""
    folder: Annotated[Path, Flag("--folder")] = Path("recordings")
    """Folder for snapshots and recordings."""
    browser_camera: Annotated[bool, Flag("--browser-camera")] = False
    """Take the camera of whoever opens the page, such as a phone's."""
    max_viewers: Annotated[int, Flag("--max-viewers")] = Field(32, ge=1)
    """Largest number of viewers at a time."""
    max_upload_mb: Annotated[float, Flag("--max-upload-mb")] = Field(500, ge=0)
    """Largest video that a visitor may upload for conversion, in MB; 0 allows none."""
