"""Frames for sinks to write, and counts of what is in the files that they wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mcap.reader import make_reader

from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.sinks.depth_video import DepthVideo, DepthVideoSink
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sinks.segments import SegmentedSink
from streamdepth.sinks.video import VideoSink
from streamdepth.testing import SyntheticSource
from streamdepth.utils.containers import open_media_file

MODEL = ModelInfo("test", DepthKind.METRIC)


def stream(count: int = 4, width: int = 48, height: int = 32) -> tuple[StreamInfo, list[DepthFrame]]:
    """Returns the info and the items of a file of `count` frames, 30 per second, with exact metric depth."""
    source = SyntheticSource(count, width, height)
    info = source.open()
    items = []
    while (frame := source.read()) is not None:
        items.append(DepthFrame(frame, source.depth_at(frame.index), DepthKind.METRIC, range=(1.0, 4.0)))
    return info, items


def exact_depth_frame(kind: DepthKind = DepthKind.METRIC, width: int = 320, height: int = 200) -> DepthFrame:
    """Returns a single frame with exact depth."""
    return replace(stream(1, width, height)[1][0], kind=kind)


def live(count: int, width: int = 48, height: int = 32) -> tuple[StreamInfo, list[DepthFrame]]:
    """Returns the same as `stream`, as a live stream."""
    info, items = stream(count, width, height)
    return replace(info, is_live=True), items


def later(items: list[DepthFrame], frames: int) -> list[DepthFrame]:
    """Returns the same items, with indices and times so many frames later."""
    return [replace(i, frame=replace(i.frame, index=i.frame.index + frames, pts=i.frame.pts + frames)) for i in items]


def write(sink: Sink, items: list[DepthFrame]) -> None:
    """Writes all items to an open sink."""
    for item in items:
        sink.write(item)


def fill(sink: Sink, info: StreamInfo, items: list[DepthFrame], model: ModelInfo = MODEL) -> None:
    """Opens the sink, writes all items and closes it."""
    sink.open(info, model)
    write(sink, items)
    sink.close()


def segmented(path: Path, kind: Callable[..., Sink] = VideoSink, **options: float) -> SegmentedSink:
    """Returns a sink that writes segments of one second by sinks of that kind."""
    return SegmentedSink(path, kind, **{"seconds": 1.0, **options})  # type: ignore[arg-type]  # of several types


def names(folder: Path) -> list[str]:
    """Returns the sorted names of the files in a folder, also of hidden ones."""
    return sorted(path.name for path in folder.iterdir())


def frames_of_video(path: Path) -> int:
    """Counts the pictures of a video by decoding it."""
    with open_media_file(path) as container:
        return sum(1 for _ in container.decode(video=0))


def frames_of_depth_video(path: Path) -> int:
    """Counts the depth maps of a depth video by decoding it."""
    return len(list(DepthVideo(path)))


def messages_of_mcap(path: Path) -> int:
    """Counts the depth images of a recording."""
    topics = ["/camera/depth/image_rect_raw", "/camera/depth/image"]
    with path.open("rb") as file:
        return sum(1 for _ in make_reader(file).iter_messages(topics=topics))


RECORDERS: list[tuple[str, Callable[..., Sink], Callable[[Path], int]]] = [
    ("cam.mp4", VideoSink, frames_of_video),
    ("cam.mkv", DepthVideoSink, frames_of_depth_video),
    ("cam.mcap", McapSink, messages_of_mcap),
]
"""Sinks that can record in segments: a file's name, the class, and how to count the frames in a file."""
