"""A video to look at: the source with its depth, on the source's clock, with the source's sound."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.interfaces import Sink
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, rendered_size
from streamdepth.sinks.encoders import encoder_options, find_encoder, pixel_format, prepare
from streamdepth.sinks.pending_files import PendingFile, file_url, map_write_errors, write_error_message
from streamdepth.sinks.tracks import TrackCopier, end_of_frame
from streamdepth.sinks.video_frames import render_video_frame

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""The containers that keep any frame's time; others would force a fixed frame rate."""

_NOT_IN_MOV = ("av1", "vp9")
"""What libav refuses for MOV only when the first packet comes, and without a reason."""

_LARGEST_TIMESCALE = 2**31 - 1


class VideoSink(Sink):
    """Writes an overlay, the depth alone, or both side by side, with the timestamps of the source.

    - Times: each frame keeps its exact time, so a variable frame rate stays one. MP4 and MOV take over the source's
      clock; Matroska and WebM count in milliseconds and round to them, and begin at 0 or later: where sound begins
      before 0, all tracks are shifted together (`notices` says so). A stream without a file
      behind it, such as a camera, begins at 0.
    - Sound: with `copy_tracks`, all audio and subtitle tracks, chapters and tags of the source's file are copied
      without re-encoding; `notices` says what the container cannot hold. When the user ends early, so do they.
    - Picture: 4:2:0, BT.709, limited range, which plays everywhere. 4:2:0 needs even sizes: an odd one gets its last
      row or column twice. Frames are upright already, so no rotation is tagged. A frame of another size than the first
      is scaled to it.

    Args:
        path: .mp4 .m4v .mov .mkv or .webm.
        options: how depth is drawn.
        codec: h264, hevc, av1, vp9, or the name of an encoder such as h264_nvenc.
        crf: constant quality, lower is better: 0 to 51 for h264 and hevc, to 63 for av1 and vp9.
        preset: x264's words from ultrafast to veryslow, translated for other encoders, or the encoder's own word.

    Raises:
        ConfigError: an option of drawing is wrong.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        options: RenderOptions = RenderOptions(),
        *,
        codec: str = "h264",
        crf: int = 20,
        preset: str = "veryfast",
        overwrite: bool = False,
        copy_tracks: bool = True,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.path, self.options = Path(path), options
        self.codec, self.crf, self.preset = codec, crf, preset
        self.overwrite, self.copy_tracks = overwrite, copy_tracks
        self._file: PendingFile | None = None
        self._movie: _Movie | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() not in FORMATS:
            raise SinkOpenError(
                f"cannot write a video to '{self.path}'; use one of {' '.join(FORMATS)}", code="unknown-format"
            )
        encoder = find_encoder(self.codec)
        self._file = PendingFile(self.path, overwrite=self.overwrite, origin=info.origin)
        try:
            options = encoder_options(encoder, self.crf, self.preset)
            size = rendered_size((info.width, info.height), self.options.style)
            self._movie = _Movie(self._file.temporary, info, encoder, options, size)
            if self.copy_tracks and info.origin is not None:
                self._movie.tracks = TrackCopier(info.origin, self._movie.output, self.add_notice)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise SinkOpenError(f"{write_error_message(self.path, error)}; try another container or codec") from error

    def on_write(self, item: DepthFrame) -> None:
        assert self._movie is not None
        if rendered_size(item.frame.size, self.options.style) != self._movie.size:
            self.add_notice("the size of the picture changed in mid-stream; it is scaled to the first size")
        frame = render_video_frame(item, *self._movie.takes, self.options)
        with map_write_errors(self.path):
            for notice in self._movie.add(frame, item.frame.pts * item.frame.time_base):
                self.add_notice(notice)

    def on_close(self) -> None:
        assert self._movie is not None
        assert self._file is not None
        if not self._movie.frames:
            self.on_discard()
            return
        with map_write_errors(self.path):
            self._movie.finish()
            shift = self._movie.shift()
        if abs(shift) > 0.001:
            self.add_notice(
                f"{self.path.suffix} has no times below 0, where the sound begins: all tracks are shifted by "
                f"{shift:.3f} s; .mp4 keeps them"
            )
        file, self._movie, self._file = self._file, None, None
        file.commit()

    def on_discard(self) -> None:
        if self._movie is not None:
            self._movie.abandon()
        if self._file is not None:
            self._file.discard()
        self._movie = self._file = None


class _Movie:
    """One video being written: frames in at their times, packets out in step with the copied tracks.

    The last frame is held back, because its duration is known only when the next one comes.
    """

    def __init__(
        self, path: Path, info: StreamInfo, encoder: str, options: dict[str, str], size: tuple[int, int]
    ) -> None:
        self.path, self.info, self.size, self.tick = path, info, size, info.time_base
        name = FORMATS[path.suffix.lower()]
        self.output = av.open(file_url(path), "w", format=name, container_options=_muxer_options(name, info))
        self.stream: VideoStream = self.output.add_stream(encoder, rate=info.fps or 25, options=options)  # type: ignore[assignment]  # the encoder is one for video
        self.stream.time_base = self.tick
        if name == "mov" and self.stream.codec.canonical_name in _NOT_IN_MOV:
            raise ValueError(f"mov does not hold {self.stream.codec.canonical_name}, mp4 and mkv do")
        if self.stream.codec.canonical_name == "hevc" and name in ("mp4", "mov"):
            self.stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
        prepare(self.stream.codec_context, size[0] + size[0] % 2, size[1] + size[1] % 2, self.tick)
        self.tracks: TrackCopier | None = None
        self.frames = self._first = 0
        # the other tracks of a file keep its times, so the picture must too; else the first frame's time means nothing
        self._offset: int | None = None if info.origin is None else 0
        self._held: av.VideoFrame | None = None
        self._durations: dict[int, int] = {}

    @property
    def takes(self) -> tuple[str, tuple[int, int]]:
        """Pixel format, and width and height in px, of the frames it takes."""
        width, height = self.size
        return pixel_format(self.stream.codec.name), (width + width % 2, height + height % 2)

    def add(self, frame: av.VideoFrame, time: Fraction) -> list[str]:
        """Takes the picture shown from `time` seconds on. Returns what the user should know."""
        notices = []
        pts = round(time / self.tick)
        if self._offset is None:
            self._offset = -pts
        pts += self._offset
        if self._held is not None:
            held_pts = self._held.pts or 0
            if pts <= held_pts:
                notices.append("timestamps of the source go backwards or repeat; these frames are moved on")
                pts = held_pts + 1
            self._encode(self._held, pts - held_pts)
        else:
            self._first = pts
        frame.pts, frame.time_base = pts, self.tick
        self._held = frame
        self.frames += 1
        return notices

    def _encode(self, frame: av.VideoFrame | None, duration: int = 0) -> None:
        if frame is not None:
            self._durations[frame.pts or 0] = duration
        packets: Sequence[Packet[VideoStream]] = self.stream.encode(frame)
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts or 0, 0)
            if self.tracks is not None:
                self.tracks.copy_until((packet.dts or 0) * packet.time_base)
            self.output.mux_one(packet)

    def finish(self) -> None:
        """Writes what was held back, the rest of the tracks, and the index."""
        assert self._held is not None
        last = (self._held.pts or 0) * self.tick
        end, more = end_of_frame(self.info.origin, last) if self.info.origin else (None, False)
        end = end or last + 1 / (self.info.fps or Fraction(25))
        self._encode(self._held, max(1, round((end - last) / self.tick)))
        self._encode(None)
        if self.tracks is not None:
            self.tracks.finish(end if more else None)
            self.tracks.close()
        self.output.close()

    def shift(self) -> float:
        """Seconds by which the finished file begins later than it was told to."""
        with av.open(file_url(self.path)) as written:
            video = written.streams.video[0]
            begin = (video.start_time or 0) * (video.time_base or Fraction(0))
        return float(begin - self._first * self.tick)

    def abandon(self) -> None:
        """Lets go of the files without completing anything."""
        if self.tracks is not None:
            self.tracks.close()
        try:
            self.output.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            _log.debug("an abandoned video could not be closed: %s", error)


def _muxer_options(name: str, info: StreamInfo) -> dict[str, str]:
    """What makes the container keep exact times."""
    if name not in ("mp4", "mov"):
        return {}
    options = {"movflags": "+faststart"}
    rates = [info.time_base.denominator]
    if info.origin is not None:
        with av.open(file_url(info.origin), metadata_errors="replace") as container:
            rates += [s.codec_context.sample_rate for s in container.streams.audio]
    # delays of whole tracks are counted in this unit; the default of 1 ms would shift sound against the picture
    timescale = math.lcm(*(rate for rate in rates if rate))
    return options | ({"movie_timescale": str(timescale)} if timescale <= _LARGEST_TIMESCALE else {})
