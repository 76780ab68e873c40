"""Animations for pages and documents: GIF and animated WebP."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.error import BlockingIOError as NothingReady
from av.error import EOFError as EndOfStream
from av.filter import Graph
from PIL import Image as Pillow

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, render
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.video import OutputSize, resize_item, resize_zones
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.containers import file_url

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

ANIMATION_SUFFIXES = (".gif", ".webp")
_TICK = {".gif": Fraction(1, 100), ".webp": Fraction(1, 1000)}
"""Seconds per tick of the formats' clocks."""


class AnimationSink(Sink):
    """Writes frames with their depth as an endless animation, .gif or .webp; a single frame becomes a still picture.

    Times are rounded to the format's clock: hundredths of a second in GIF, thousandths in WebP. The last frame lasts as
    long as the one before it, in a WebP as long as the mean of all. A frame that comes less than a tick after the one
    before is left out. In a GIF each frame has its own 256 colors; a WebP joins frames that are equal.

    Args:
        path: .gif or .webp.
        options: how depth is drawn.
        size: see `OutputSize`.

    Raises:
        ConfigError: an option of drawing is wrong.
        SinkOpenError: from `open`; "unknown-format" for another extension.
        SinkWriteError: from `write` and `close`.
    """

    def __init__(
        self,
        path: str | Path,
        options: RenderOptions = RenderOptions(),
        *,
        size: OutputSize | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.path, self.options, self.overwrite = Path(path), options, overwrite
        self.size = size or OutputSize()
        self._suffix = self.path.suffix.lower()
        self._file: PendingFile | None = None
        self._frame_size = (0, 0)
        self._first: tuple[Image, Fraction] | None = None
        """The first frame and its time, until there is a second."""
        self._encoder: _Encoder | None = None

    def check(self) -> None:
        if self._suffix not in ANIMATION_SUFFIXES:
            raise SinkOpenError(
                f"cannot write an animation to '{self.path}'; use {' or '.join(ANIMATION_SUFFIXES)}",
                code="unknown-format",
            )

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.check()
        self._frame_size = self.size.of_frame((info.width, info.height), self.options.style)
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)

    def on_write(self, item: DepthFrame) -> None:
        options = resize_zones(self.options, item.frame.size, self._frame_size)
        picture = render(resize_item(item, *self._frame_size), options)
        time = item.frame.pts * item.frame.time_base
        assert self._file is not None
        with map_write_errors(self.path):
            if self._encoder is not None:
                self._encoder.add(picture, time)
            elif self._first is None:
                self._first = picture, time
            else:
                self._encoder = _Encoder(self._file.temporary, self._suffix, picture.shape[1::-1])
                self._encoder.add(*self._first)
                self._encoder.add(picture, time)

    def on_close(self) -> None:
        assert self._file is not None
        if self._first is None:
            self._file.discard()
            return
        with map_write_errors(self.path):
            if self._encoder is not None:
                self._encoder.finish()
            else:
                still = Pillow.fromarray(self._first[0])
                still.save(self._file.temporary, self._suffix[1:].upper(), quality=92)
        self._encoder = None
        self._file.commit()

    def on_discard(self) -> None:
        if self._encoder is not None:
            with contextlib.suppress(av.FFmpegError):  # on a full disk the end cannot be written, either
                self._encoder.output.close()
        self._encoder = None
        if self._file is not None:
            self._file.discard()


class _Encoder:
    """Encodes pictures of one size in px into a file, each shown until the next."""

    def __init__(self, path: Path, suffix: str, size: tuple[int, int]) -> None:
        self._tick, self._size = _TICK[suffix], size
        self._graph = _palette_graph(size, self._tick) if suffix == ".gif" else None
        self.output: OutputContainer = av.open(file_url(path), "w", format=suffix[1:], options={"loop": "0"})
        codec, pixel_format = ("gif", "pal8") if self._graph else ("libwebp_anim", "yuv420p")
        options = {} if self._graph else {"quality": "80"}
        self._stream: VideoStream = self.output.add_stream(codec, rate=1 / self._tick, options=options)  # type: ignore[assignment]  # both are video
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt, self._stream.time_base = pixel_format, self._tick
        self._stream.codec_context.time_base = self._tick
        self._start: Fraction | None = None
        self._last_pts, self._interval = -1, 1
        self._waiting: av.VideoFrame | None = None

    def add(self, picture: Image, time: Fraction) -> None:
        """Adds a picture that is shown from `time` seconds on."""
        self._start = time if self._start is None else self._start
        pts = round((time - self._start) / self._tick)
        if pts <= self._last_pts:
            return
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, self._tick
        self._interval = pts - self._last_pts if self._last_pts >= 0 else 1
        self._last_pts = pts
        self._encode_waiting(self._interval)
        self._waiting = frame

    def _encode_waiting(self, duration: int) -> None:
        frame, self._waiting = self._waiting, None
        if frame is None:
            return
        if self._graph is None:
            self._mux(frame.reformat(format="yuv420p"), duration)
            return
        self._graph.vpush(frame.reformat(format="rgb32"))
        self._pull(self._graph, duration)

    def _pull(self, graph: Graph, duration: int) -> None:
        while True:
            try:
                frame = graph.vpull()
            except (NothingReady, EndOfStream):
                return
            self._mux(frame, duration)

    def _mux(self, frame: av.VideoFrame | None, duration: int) -> None:
        if frame is not None:
            frame.duration = duration
        for packet in self._stream.encode(frame):
            packet.duration = duration
            self.output.mux_one(packet)

    def finish(self) -> None:
        """Writes the last picture, and completes the file."""
        self._encode_waiting(self._interval)
        if self._graph is not None:
            self._graph.vpush(None)
            self._pull(self._graph, self._interval)
        self._mux(None, self._interval)
        self.output.close()


def _palette_graph(size: tuple[int, int], tick: Fraction) -> Graph:
    """Returns a graph that reduces each frame to its own 256 colors."""
    graph = Graph()
    source = graph.add_buffer(width=size[0], height=size[1], format=av.VideoFormat("rgb32"), time_base=tick)
    split: Any = graph.add("split", "2")
    generate: Any = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use: Any = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=3")
    source.link_to(split)
    split.link_to(generate, 0, 0)
    split.link_to(use, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
