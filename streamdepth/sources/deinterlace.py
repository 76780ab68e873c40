"""Deinterlacing of decoded frames by libav's bwdif."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Literal

import av
from av.error import BlockingIOError as NothingReady
from av.error import EOFError as EndOfStream
from av.filter import Graph
from av.video.stream import VideoStream

Parity = Literal["tff", "bff"]
"""The field that is shown first: the top or the bottom one."""
_Key = tuple[int, int, str]
"""Width and height in px and pixel format of the frames that a graph takes."""
_PARITIES: dict[int, Parity] = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
"""libav's AVFieldOrder -> the field that is shown first; 4 and 5 store the fields the other way round."""
_CODECS_WITH_TAGS = {
    *("mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vvc", "vc1", "wmv3", "cavs"),
    *("prores", "dnxhd", "dvvideo"),
}
"""Codecs in which each frame says whether it is interlaced, which counts more than the container's word."""


def stated_parity(stream: VideoStream) -> Parity | None:
    """Returns the first field of a track that is interlaced by its container's word; None where frames say it."""
    context = stream.codec_context
    return None if context.name in _CODECS_WITH_TAGS else _PARITIES.get(context.field_order)


def deinterlace(
    frames: Generator[av.VideoFrame],
    time_base: Callable[[], Fraction],
    on_interlaced: Callable[[], object],
    parity: Parity | None = None,
) -> Generator[av.VideoFrame]:
    """Yields as many frames with the same timestamps, the interlaced ones rebuilt from the fields around them.

    Frames before the first interlaced one are passed through as they are; from there on each frame comes one later.

    Args:
        frames: decoded frames, closed at the end.
        time_base: returns the seconds per tick of the frames that do not say it.
        on_interlaced: called before the first interlaced frame.
        parity: the first field of all frames, which are then all interlaced; None where each frame is tagged.
    """
    graph: Graph | None = None
    key: _Key | None = None
    with closing(frames):
        for frame in frames:
            if graph is None and parity is None and not frame.interlaced_frame:
                yield frame
                continue
            found = frame.width, frame.height, frame.format.name
            if graph is None:
                on_interlaced()
            if graph is None or found != key:
                yield from _flush(graph)
                graph, key = _make_graph(frame, frame.time_base or time_base(), parity), found
            graph.vpush(frame)
            yield from _pull(graph)
        yield from _flush(graph)


def _make_graph(frame: av.VideoFrame, time_base: Fraction, parity: Parity | None) -> Graph:
    graph = Graph()
    choice = f"parity={parity}:deint=all" if parity else "parity=auto:deint=interlaced"
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    graph.link_nodes(source, graph.add("bwdif", f"mode=send_frame:{choice}"), graph.add("buffersink"))
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
