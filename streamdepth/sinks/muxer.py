"""Encodes frames at their exact times, and writes their packets in step with copied tracks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.codec.hwaccel import HWAccel

from streamdepth.core.render_options import Style
from streamdepth.core.types import StreamInfo
from streamdepth.sinks.encoders import EncodingOptions, open_encoder
from streamdepth.sinks.frame_packing import tag_stream
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.sound_copier import SoundCopier
from streamdepth.sinks.standard_output import StandardOutput
from streamdepth.sinks.tracks import TrackCopier, end_of_frame
from streamdepth.utils.containers import file_url, open_media_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

VIDEO_FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""FFmpeg's names of the containers that keep arbitrary timestamps; others would force a fixed frame rate."""

_STREAMED_FORMAT = "matroska"
"""The container for standard output: players can start at once, and it supports nearly any track."""
_NOT_IN_MOV = ("av1", "vp9")
"""Codecs that FFmpeg refuses for MOV, but only at the first packet and without stating a reason."""

_SMALLEST_TIMESCALE = 10_000
"""FFmpeg doubles the ticks per second of a track in MP4 until there are so many."""
_MAX_USUAL_INTERVAL = Fraction(1)
_LARGEST_TIMESCALE = 2**31 - 1


class Muxer:
    """Encodes frames at their times, and writes the packets in step with the copied tracks.

    The newest frame waits until the next one comes, because its duration is known only then.
    """

    def __init__(
        self,
        file: PendingFile | StandardOutput,
        info: StreamInfo,
        encoder: str,
        options: dict[str, str],
        size: tuple[int, int],
        encoding: EncodingOptions,
        style: Style,
    ) -> None:
        self.path, self.info, self.time_base = getattr(file, "temporary", None), info, info.time_base
        name = VIDEO_FORMATS[self.path.suffix.lower()] if self.path else _STREAMED_FORMAT
        target = file_url(self.path) if self.path else file
        self.output = av.open(target, "w", format=name, container_options=_muxer_options(name, info))
        self.stream: VideoStream = self.output.add_stream(  # type: ignore[assignment]  # the encoder is one for video
            encoder, rate=info.fps or 25, options=options, hwaccel=_acceleration(encoder, encoding)
        )
        self.stream.time_base = self.time_base
        if name == "mov" and self.stream.codec.canonical_name in _NOT_IN_MOV:
            raise ValueError(f"mov does not hold {self.stream.codec.canonical_name}, mp4 and mkv do")
        if self.stream.codec.canonical_name == "hevc" and name in ("mp4", "mov"):
            self.stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
        self.missing_tag = tag_stream(self.stream, name, style)
        """A sentence for the user where players are not told of a stereo style."""
        even = size[0] + size[0] % 2, size[1] + size[1] % 2
        open_encoder(self.stream.codec_context, *even, self.time_base, encoding.bits, encoding.color)
        self.tracks: TrackCopier | SoundCopier | None = None
        self._first_pts = 0
        self._pts_offset: int | None = None
        self._newest: av.VideoFrame | None = None
        self._last_interval = Fraction(0)
        """Seconds between the last two frames, as far as that is no pause."""
        self._durations: dict[int, int] = {}
        self._max_duration = _max_duration(self.time_base) if name in ("mp4", "mov") else None
        """Longest time in ticks that the container allows for one frame; None for any."""

    def add(self, frame: av.VideoFrame, time_seconds: Fraction) -> bool:
        """Adds a frame. Returns True if its time was not later than the last one's, so that it was moved."""
        pts, has_moved = round(time_seconds / self.time_base), False
        if self._pts_offset is None:
            # Tracks of a file have the clock of the frames; without them the video begins with its first frame.
            offset = -pts * self.time_base if self.tracks is None else self.tracks.start(pts * self.time_base)
            self._pts_offset = round(offset / self.time_base)
        pts += self._pts_offset
        if self._newest is not None:
            last_pts = self._newest.pts or 0
            if has_moved := pts <= last_pts:
                pts = last_pts + 1
            self._last_interval = min((pts - last_pts) * self.time_base, _MAX_USUAL_INTERVAL)
            self._encode_until(pts)
        else:
            self._first_pts = pts
        frame.pts, frame.time_base = pts, self.time_base
        self._newest = frame
        return has_moved

    def _encode_until(self, pts: int) -> None:
        """Encodes the newest frame, which is shown until `pts`; repeats it if that is too long for MP4."""
        assert self._newest is not None
        start = self._newest.pts or 0
        while self._max_duration is not None and pts - start > self._max_duration:
            self._encode(self._newest, self._max_duration)
            start += self._max_duration
            self._newest.pts = start
        self._encode(self._newest, pts - start)

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
        """Writes the newest frame, the frames still in the encoder, the rest of the tracks, and the index."""
        assert self._newest is not None
        last = (self._newest.pts or 0) * self.time_base
        end, has_next = self._end_of_frame(last)
        end = end or last + (self._last_interval or 1 / (self.info.fps or Fraction(25)))
        self._encode(self._newest, max(1, round((end - last) / self.time_base)))
        self._encode(None)
        if self.tracks is not None:
            self.tracks.finish(end if has_next else None)
            self.tracks.close()
        self.output.close()

    def _end_of_frame(self, last: Fraction) -> tuple[Fraction | None, bool]:
        """Finds the end of the source's frame that is shown from `last` seconds on, and if another one follows."""
        if self.info.is_constant_rate and self.info.fps:
            interval = 1 / self.info.fps
            return last + interval, self._end_of_source_frame(last + interval * Fraction(3, 4))[1]
        return self._end_of_source_frame(last)

    def _end_of_source_frame(self, last: Fraction) -> tuple[Fraction | None, bool]:
        if isinstance(self.tracks, TrackCopier) and self.tracks.has_timed_tracks:
            return self.tracks.end_of_frame(last)
        if self.info.file_path is None:
            return None, self.info.live_sound is not None
        shift = (self._pts_offset or 0) * self.time_base
        shift -= self.info.clip_start
        end, has_next = end_of_frame(self.info.file_path, last - shift)
        return (None if end is None else end + shift), has_next

    def shift_seconds(self) -> float:
        """Returns the seconds by which the finished file begins too late; 0 if it cannot be read."""
        if self.path is None:
            return 0.0
        with open_media_file(self.path) as written:
            video = written.streams.video[0]
            begin = (video.start_time or 0) * (video.time_base or Fraction(0))
        return float(begin - self._first_pts * self.time_base)

    def abandon(self) -> None:
        """Closes the files without completing anything."""
        if self.tracks is not None:
            self.tracks.close()
        try:
            self.output.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            _log.debug("an abandoned video could not be closed: %s", error)


def _acceleration(encoder: str, encoding: EncodingOptions) -> HWAccel | None:
    """Returns PyAV's settings for NVENC to read frames from the GPU's memory; None for other encoders."""
    if encoding.device is None or not encoder.endswith("_nvenc"):
        return None
    return HWAccel("cuda", device=encoding.device.partition(":")[2] or "0")


def _max_duration(time_base: Fraction) -> int:
    """Returns an eighth of the ticks that 32 bits of MP4 count, for frames that are stored before several others."""
    timescale = time_base.denominator
    while timescale < _SMALLEST_TIMESCALE:
        timescale *= 2
    return max(1, int(Fraction(2**28, timescale) / time_base))


def _muxer_options(name: str, info: StreamInfo) -> dict[str, str]:
    """Returns the container's options that keep exact times."""
    if name not in ("mp4", "mov"):
        return {}
    options = {"movflags": "+faststart"}
    rates = [info.time_base.denominator]
    if info.file_path is not None:
        with open_media_file(info.file_path) as container:
            rates += _sample_rates(container)
    elif info.track_feed is not None:
        rates += _sample_rates(info.track_feed.container)
    # delays of whole tracks are counted in this unit; the default of 1 ms would shift sound against the picture
    timescale = math.lcm(*(rate for rate in rates if rate))
    return options | ({"movie_timescale": str(timescale)} if timescale <= _LARGEST_TIMESCALE else {})


def _sample_rates(container: InputContainer) -> list[int]:
    return [stream.codec_context.sample_rate for stream in container.streams.audio if stream.codec_context is not None]
