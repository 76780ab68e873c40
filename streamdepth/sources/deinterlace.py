"""Deinterlacing of decoded frames by libav's bwdif."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction

import av
from av.error import BlockingIOError as NothingReady
from av.error import EOFError as EndOfStream
from av.filter import Graph

_Key = tuple[int, int, str]
"""Width and height in px and pixel format of the frames that a graph takes."""


def deinterlace(
    frames: Generator[av.VideoFrame], time_base: Callable[[], Fraction], on_interlaced: Callable[[], object]
) -> Generator[av.VideoFrame]:
    """Yields as many frames with the same timestamps, those tagged as interlaced rebuilt from the fields around them.

    Frames before the first interlaced one are passed through as they are; from there on each frame comes one later.

    Args:
        frames: decoded frames, closed at the end.
        time_base: returns the seconds per tick of the frames that do not say it.
        on_interlaced: called before the first interlaced frame.
    """
    graph: Graph | None = None
    key: _Key | None = None
    with closing(frames):
        for frame in frames:
            if graph is None and not frame.interlaced_frame:
                yield frame
                continue
            found = frame.width, frame.height, frame.format.name
            if graph is None:
                on_interlaced()
            if graph is None or found != key:
                yield from _flush(graph)
                graph, key = _make_graph(frame, frame.time_base or time_base()), found
            graph.vpush(frame)
            yield from _pull(graph)
        yield from _flush(graph)


def _make_graph(frame: av.VideoFrame, time_base: Fraction) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"), graph.add("buffersink")
    )
    graph.configure()
    return graph


def _pull(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (NothingReady, EndOfStream):
            return


def _flush(graph: Graph | None) -> Iterator[av.VideoFrame]:
    """Yields the frames that are still in a graph, and ends it."""
    if graph is not None:
        graph.vpush(None)
        yield from _pull(graph)
