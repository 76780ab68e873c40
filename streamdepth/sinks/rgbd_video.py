"""The picture and its depth in one file that any player shows: two tracks of one Matroska."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import av
from av.stream import Disposition

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.depth_video import DepthOptions, DepthVideoSink
from streamdepth.sinks.encoders import EncodingOptions, check_encoder, keeps_deep_color
from streamdepth.sinks.video_file import VideoFile
from streamdepth.sinks.video_frames import render_video_frame
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.containers import file_url, open_media_file

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_PICTURE_ONLY = RenderOptions(alpha=0, legend=False)


class RgbdVideoSink(DepthVideoSink):
    """Writes the picture, its sound and subtitles, and the depth in the format of `DepthVideoSink` into one .mkv.

        sink = RgbdVideoSink("both.mkv", encoding=EncodingOptions(crf=18))

    Players show the picture, which is the default track; `DepthVideo` reads the depth, which is lossless. Each frame of
    depth has the time of its picture. Both are written to files of their own, which are joined at the end.

    Args:
        path: .mkv.
        encoding: how the picture is encoded.
        copy_tracks, keep_location: see `VideoFile`.
        options: see `DepthVideoSink`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoding: EncodingOptions | None = None,
        copy_tracks: bool = True,
        keep_location: bool = False,
        **options: Unpack[DepthOptions],
    ) -> None:
        super().__init__(path, **options)
        self.encoding, self.copy_tracks, self.keep_location = encoding or EncodingOptions(), copy_tracks, keep_location
        self._picture: VideoFile | None = None

    def check(self) -> None:
        super().check()
        check_encoder(self.encoding.codec)

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        super().on_open(info, model)
        if info.deep_color is not None and keeps_deep_color(self.encoding.codec):
            self.add_notice("the picture beside depth has 8 bits; -o keeps the 10 bits of the input")
        self._picture = VideoFile(
            self.path,
            info,
            (info.width, info.height),
            self.encoding,
            overwrite=self.overwrite,
            copy_tracks=self.copy_tracks,
            on_notice=self.add_notice,
            keep_location=self.keep_location,
        )

    def on_write(self, item: DepthFrame) -> None:
        assert self._picture is not None
        super().on_write(item)
        frame = render_video_frame(item, *self._picture.frame_format, _PICTURE_ONLY)
        self._picture.write(frame, item.frame.pts * item.frame.time_base)

    def finish_video(self, tags: dict[str, str]) -> None:
        assert self._picture is not None
        assert self._video is not None
        if not self._picture.frame_count:
            return
        picture = self._picture.finish()
        with map_write_errors(self.path):
            self._video.finish(lambda depth, target: join_tracks(picture, depth, target, tags))
        self._picture.discard()

    @property
    def bytes_to_finish(self) -> int:
        return super().bytes_to_finish + (self._picture.bytes_written if self._picture else 0)

    def on_discard(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.discard()
        super().on_discard()  # last, because its file has made the folder


def join_tracks(picture: Path, depth: Path, target: Path, tags: dict[str, str]) -> None:
    """Writes all tracks of `picture` and the video of `depth` into one Matroska file, without encoding anything.

    Args:
        picture: a file whose first video has as many frames as `depth`; they give the frames of depth their times.
        depth: a file with one video track.
        target: the file to write.
        tags: added to those of `picture`, which win.
    """
    times = _picture_times(picture)
    with ExitStack() as files:
        first, second = (files.enter_context(open_media_file(path)) for path in (picture, depth))
        output = files.enter_context(av.open(file_url(target), "w", format="matroska"))
        output.metadata.update(tags | dict(first.metadata))
        output.set_chapters(first.chapters())
        tracks = [(stream, _add_track(output, stream)) for stream in first.streams]
        tracks[0][1].disposition = Disposition.default
        target_depth = output.add_stream_from_template(second.streams.video[0], opaque=True)
        target_depth.disposition, target_depth.metadata["title"] = Disposition(0), "depth"
        targets = {stream.index: copy for stream, copy in tracks}
        packets = (_packets(first, targets, None), _packets(second, {0: target_depth}, times))
        for packet in heapq.merge(*packets, key=lambda p: (p.dts or 0) * p.time_base):
            output.mux_one(packet)


def _picture_times(path: Path) -> list[Fraction]:
    """Returns the time of each picture of a video in seconds."""
    with open_media_file(path) as container:
        video = container.streams.video[0]
        return sorted(p.pts * p.time_base for p in container.demux(video) if p.pts is not None and p.size)


def _add_track(output: OutputContainer, stream: Stream) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.disposition = stream.disposition
    copy.metadata.update(stream.metadata)
    return copy


def _packets(
    container: InputContainer, targets: dict[int, Stream], times: list[Fraction] | None
) -> Iterator[Packet[Any]]:
    """Yields the packets of a file for their new tracks, in order, with the times in `times` if given."""
    count = 0
    for packet in container.demux():
        if not packet.size:
            continue
        if times is not None:
            packet.pts = packet.dts = round(times[count] / packet.time_base)
            count += 1
        packet.stream = targets[packet.stream.index]
        yield packet
