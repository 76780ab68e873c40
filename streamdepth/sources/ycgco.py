"""Conversion of video in YCgCo, which swscale cannot read, to BT.709."""

from __future__ import annotations

import av
from av.filter import Graph
from av.video.reformatter import ColorRange

YCGCO = 8
"""Number of the color matrix by H.273."""
_UNSPECIFIED = 2
_Layout = tuple[str, int, int, bool]
"""Pixel format, width and height in px, and True for full range."""


class YcgcoConverter:
    """Converts the frames of a stream by libavfilter's `colorspace`, for one layout at a time."""

    def __init__(self) -> None:
        self._layout: _Layout | None = None
        self._graph = Graph()

    def to_bt709(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Returns a frame in YCgCo with the matrix of BT.709, in the same pixel format, size and range."""
        is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        layout = frame.format.name, frame.width, frame.height, is_full
        if layout != self._layout:
            self._graph, self._layout = _make_graph(frame, is_full=is_full), layout
        frame.colorspace = _UNSPECIFIED  # the filter would refuse its tag, and goes by `ispace`
        self._graph.push(frame)
        converted = self._graph.pull()
        assert isinstance(converted, av.VideoFrame)
        return converted


def _make_graph(frame: av.VideoFrame, *, is_full: bool) -> Graph:
    graph = Graph()
    color_range = "pc" if is_full else "tv"
    # Equal primaries and transfer curves, whatever they really are, leave the matrix as the only change.
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        graph.add(
            "colorspace",
            f"ispace=ycgco:iprimaries=bt709:itrc=bt709:irange={color_range}"
            f":space=bt709:primaries=bt709:trc=bt709:range={color_range}",
        ),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
