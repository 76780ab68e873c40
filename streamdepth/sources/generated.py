"""Test pictures that libavfilter generates (`lavfi:`)."""

from __future__ import annotations

from collections.abc import Generator

import av
from av.error import EOFError as EndOfStream
from av.filter import Graph

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.decoder import FrameDecoder
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.libav_device import EXAMPLE, LibavDeviceSource, has_device


class GeneratedSource(LibavDeviceSource):
    """A source of `lavfi:FILTERS`: frames that libavfilter generates, as fast as they are read.

    `lavfi:testsrc2=size=640x360:rate=30:duration=2` works wherever PyAV does; filters that are chained or joined need
    libavdevice's `lavfi`. Secrets in addresses within FILTERS appear neither in the name nor in messages.
    """

    is_live = False

    def _open_decoder(self, details: str) -> FrameDecoder:
        if not details:
            raise SourceOpenError(f"{self.name} names no filter; use for example {EXAMPLE}", code="unknown-device")
        if has_device("lavfi"):
            return self._open_device(details, "lavfi", {})
        converter = FrameConverter(self.add_notice, self.name)
        frames = _pull_frames(details)
        return FrameDecoder(frames, self.name, converter, self.add_notice, max_side_px=self.max_side_px)


def _pull_frames(source_filter: str) -> Generator[av.VideoFrame]:
    """Yields the frames of one source filter such as `testsrc2=rate=25`, without libavdevice."""
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
