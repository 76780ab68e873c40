"""Pictures that libav makes or grabs: generated test pictures (`lavfi:`) and the screen (`screen:`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

import av
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.filter import Graph

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.types import StreamInfo
from streamdepth.sources.decoder import MAX_SIDE_PX, DecodedSource, FrameDecoder, error_reason, redact_error
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.redact import redact

_EXAMPLE = "lavfi:testsrc2=size=640x360:rate=30"
_SCREEN_FPS = "30"
_GRABBERS = {"linux": "x11grab", "win32": "gdigrab", "darwin": "avfoundation"}


class DeviceSource(DecodedSource[FrameDecoder]):
    """`lavfi:FILTERS` gives what libavfilter generates, as fast as it is read; `screen:` grabs the screen, live.

    `lavfi:testsrc2=size=640x360:rate=30:duration=2` works wherever PyAV does; filters that are chained or joined need
    libavdevice's `lavfi`. `screen:` may name the display (`screen::0.0`) or, on Windows, a window
    (`screen:title=Calculator`). Secrets in addresses within FILTERS appear neither in the name nor in messages.
    """

    def __init__(self, address: str, *, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__()
        self.address, self.name, self.max_side_px = address, redact(address), max_side_px

    @property
    def drops_unread_frames(self) -> bool:
        return self.address.startswith("screen")

    def open(self) -> StreamInfo:
        self._release()
        kind, _, what = self.address.partition(":")
        if kind not in ("lavfi", "screen") or (kind == "lavfi" and not what):
            raise SourceOpenError(f"{self.name} names no device; use {_EXAMPLE} or screen:")
        try:
            pictures = self._generated(what) if kind == "lavfi" else self._screen(what)
        except (FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"{self.name} cannot be opened: {error_reason(error)}; an address that works is {_EXAMPLE}"
            ) from redact_error(error)
        self._begin(pictures, is_live=kind == "screen")
        return StreamInfo(
            self.name,
            pictures.width,
            pictures.height,
            fps=pictures.fps,
            is_live=kind == "screen",
            time_base=pictures.time_base,
        )

    def _generated(self, filters: str) -> FrameDecoder:
        if _has_device("lavfi"):
            return self._track(filters, "lavfi", {})
        converter = FrameConverter(self.add_notice, self.name)
        return FrameDecoder(_pulled(filters), self.name, converter, self.add_notice, max_side_px=self.max_side_px)

    def _screen(self, what: str) -> FrameDecoder:
        device = _GRABBERS.get(sys.platform, "")
        if not _has_device(device):
            raise SourceOpenError(
                f"{self.name}: this build of PyAV cannot grab the screen ({device or sys.platform} is missing); "
                "record it to a file first, or install a PyAV whose FFmpeg has that device"
            )
        if device == "x11grab" and not (what or os.environ.get("DISPLAY")):
            raise SourceOpenError(
                f"{self.name}: there is no X display here (DISPLAY is not set); give one: screen::0.0"
            )
        default = {
            "x11grab": os.environ.get("DISPLAY", ""),
            "gdigrab": "desktop",
            "avfoundation": "Capture screen 0:none",
        }
        return self._track(what or default[device], device, {"framerate": _SCREEN_FPS})

    def _track(self, file: str, device: str, options: dict[str, str]) -> TrackDecoder:
        container = av.open(file, format=device, options=options)
        return TrackDecoder(container, self.name, self.add_notice, max_side_px=self.max_side_px)


def _has_device(name: str) -> bool:
    return name in av.formats_available


def _pulled(source_filter: str) -> Generator[av.VideoFrame]:
    """The frames of one source filter such as `testsrc2=rate=25`, without libavdevice."""
    name, _, options = source_filter.partition("=")
    graph = Graph()
    graph.link_nodes(graph.add(name, options or None), graph.add("buffersink"))
    graph.configure()
    while True:
        try:
            frame = graph.pull()
        except EndOfStream:
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame
