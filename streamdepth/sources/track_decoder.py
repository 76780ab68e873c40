"""Decoding of the video track of a libav container."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from errno import ETIMEDOUT
from fractions import Fraction
from typing import Any, cast

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import ExitError, FFmpegError, InvalidDataError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.track_feed import TrackFeed
from streamdepth.sources.decoder import Damage, DecodedFrame, FrameDecoder
from streamdepth.sources.deinterlace import deinterlace, stated_parity
from streamdepth.sources.device_decoding import device_context
from streamdepth.sources.display_times import DisplayTimes
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.later_tracks import LaterTracks
from streamdepth.sources.libav_errors import error_reason
from streamdepth.sources.limits import MAX_SIDE_PX, MAX_VIDEO_PIXELS, check_picture_size, plausible_fps
from streamdepth.sources.sound import SoundReader
from streamdepth.sources.untrusted_picture import MAX_SCANS
from streamdepth.utils.containers import demux, main_video_stream
from streamdepth.utils.media_clock import MediaClock

_MAX_UNREADABLE_PACKETS = 100
_SLACK_SECONDS, _SLACK_SHARE = 0.5, 0.02
_FORMAT_WITHOUT_TIMESTAMPS = 0x80
"""libav's AVFMT_NOTIMESTAMPS: the timestamps of such formats are missing or made up."""
_FORMATS_WITH_DURATION = {"matroska", "avi", "flv", "asf"}
"""Container formats whose header states the duration."""


_DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that reads the second picture in WebM, which is the transparency of the first."""


class TrackDecoder(FrameDecoder):
    """Decodes the video track of an open container, and closes the container at the end or when `__init__` raises.

    Raises SourceOpenError when there is nothing to decode, and FFmpegError or ValueError when reading failed before
    the first frame.

    Args:
        clock: corrects the packets' timestamps before they are decoded; None leaves them as they are.
        feed: gets the packets of all tracks; the container then stays open for it.
        sound: gets the packets of a live stream's sound.
        input_fps: times the pictures at this rate, whatever their timestamps say; None keeps these.
        threads: libav's thread type: "SLICE" adds no delay, "AUTO" is the fastest.
        deinterlaces: True rebuilds interlaced frames from the fields around them, one frame later.
        start_seconds: frames before this time of the clock need not be delivered; where the format has an index, the
            reading begins at the keyframe before it.
        max_wait_seconds: longest time `read` waits for a frame while only packets of other tracks come.
        hwaccel: that with which the container was opened, to decode on a GPU.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        announce: Callable[[str], None],
        *,
        clock: MediaClock | None = None,
        feed: TrackFeed | None = None,
        sound: SoundReader | None = None,
        input_fps: Fraction | None = None,
        deinterlaces: bool = False,
        start_seconds: float = 0.0,
        max_side_px: int = MAX_SIDE_PX,
        threads: str = "AUTO",
        max_wait_seconds: float | None = None,
        hwaccel: HWAccel | None = None,
    ) -> None:
        self.container, self._clock, self._max_wait_seconds = container, clock, max_wait_seconds
        self._feed, self._sound = feed, sound
        self._read_started_at = time.monotonic()
        self._end_seconds, self._packets_read = 0.0, 0
        self.end_position = 0
        """The byte of the file at which the packets read so far end; 0 where the format does not tell it."""
        self._pixel_aspect: Fraction | None = None
        self._has_seen_keyframe = self._is_last_corrupt = self._has_seeked = False
        try:
            self.stream = _video_stream(container, name)
            if feed is not None:
                feed.video = self.stream
            self._later_tracks = LaterTracks(self.stream)
            self._context = context = _decoder_context(self.stream, hwaccel)
            coded = self.stream.codec_context
            check_picture_size(name, coded.width, coded.height, max_side_px, MAX_VIDEO_PIXELS)
            context.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}  # for pictures that turn out to be larger
            context.thread_type = threads
            self._is_motion_jpeg = context.name == "mjpeg"
            converter = FrameConverter(announce, name, self.stream.sample_aspect_ratio)
            self._seek(start_seconds)
            frames = self._decode_frames()
            parity = stated_parity(self.stream)
            if deinterlaces:
                frames = deinterlace(
                    frames,
                    lambda: self.stream.time_base or Fraction(1, 90000),
                    lambda: announce(f"{name} is interlaced, and is deinterlaced"),
                    parity,
                )
            elif parity:
                converter.announce_interlaced()
            super().__init__(frames, name, converter, announce, max_side_px=max_side_px)
        except BaseException:
            self.failure = None  # where it is the error raised, its traceback refers to this decoder
            container.close()
            raise
        self.time_base = self.stream.time_base or self.time_base
        self.has_media_clock = clock is not None
        self._set_rate(input_fps)
        self.frame_count = self.stream.frames or None

    def _seek(self, start_seconds: float) -> None:
        """Goes to the keyframe before a time, in formats whose packets tell their exact time after that."""
        clock = self._clock
        has_exact_times = self._has_format({"mov", "matroska"})  # AVI has numbers of frames only
        if start_seconds <= 0 or clock is None or not has_exact_times or self._feed is not None:
            return
        try:
            self.container.seek(int((start_seconds + float(clock.start_seconds)) * av.time_base))
            self._has_seeked = True
        except FFmpegError:
            pass  # from the beginning it takes longer, and gives the same

    def _set_rate(self, input_fps: Fraction | None) -> None:
        """Decides how the frames are timed: by their timestamps, or at the rate that the stream or the user states."""
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        self.has_timestamps = not self.container.format.flags & _FORMAT_WITHOUT_TIMESTAMPS
        if not self.has_timestamps:
            rates = [_stated_rate(self.stream)]  # libav makes up an average
        self.fps = next(filter(None, map(plausible_fps, rates)), None)
        if input_fps is not None:
            self.fps, self.time_base, self.has_timestamps = input_fps, 1 / input_fps, False

    def no_frame_error(self) -> Exception:
        # A multipart form that libav rejects is no damage: its pictures can be read without it.
        is_rejected = not isinstance(self.failure, InvalidDataError) or self._has_format({"mpjpeg"})
        if self.failure is not None and is_rejected:
            return self.failure
        return SourceOpenError(
            f"{self.name} has a video track ({self.stream.name}), but none of its pictures can be decoded: it is "
            "damaged or cut off; try to fetch or record it again",
            code="undecodable",
        )

    def read(self) -> DecodedFrame | None:
        self._read_started_at = time.monotonic()
        return super().read()

    def close(self) -> None:
        super().close()
        if self._feed is None:
            self.container.close()
        else:
            self._feed.end()

    def _decode_frames(self) -> Generator[av.VideoFrame]:
        times = DisplayTimes(self.stream)
        for packet in self._read_packets():
            if packet is not None and self._is_motion_jpeg and bytes(packet).count(b"\xff\xda") > MAX_SCANS:
                self.undecodable_count += 1  # it would take very long
                continue
            try:
                if packet is not None and self._has_seen_keyframe:
                    times.add(packet)
                frames = self._context.decode(packet)
                if frames:
                    self._announce_new_aspect()
                yield from map(times.assign, frames)
            except EndOfStream:
                return
            except (FFmpegError, ValueError):
                times.discard_last()
                # A recording that starts between keyframes cannot be decoded up to the first one; nothing is damaged.
                self.undecodable_count += self._has_seen_keyframe

    def _announce_new_aspect(self) -> None:
        aspect = self._context.sample_aspect_ratio or Fraction(1)
        first = self._pixel_aspect = self._pixel_aspect or aspect
        if aspect != first:
            old, new = (f"{ratio.numerator}:{ratio.denominator}" for ratio in (first, aspect))
            self._announce(
                f"{self.name}: the pixel aspect ratio changes in mid-stream, from {old} to {new}; all pictures are "
                "scaled to the size of the first one, so that later ones look stretched"
            )

    def _read_packets(self) -> Iterator[Any]:
        """Yields the packets of the video track, then None, which flushes the decoder after a failure."""
        failure: FFmpegError | ValueError | None = None
        for _ in range(_MAX_UNREADABLE_PACKETS):
            try:
                yield from self._demux()
                return
            # Its traceback would keep this decoder alive until the garbage collector runs.
            except InvalidDataError as error:
                failure = error.with_traceback(None)
            except (FFmpegError, ValueError) as error:
                failure = error.with_traceback(None)
                break
        self.failure = failure
        yield None

    def _demux(self) -> Iterator[Any]:
        packets = self._demux_all()
        for packet in self._clock.correct(packets) if self._clock else packets:
            if self._feed is not None:
                self._feed.add(packet)
            if self._sound is not None:
                self._sound.add(packet)
            if packet.stream.index == self.stream.index:  # `packet.stream_index` is 0 in flushing packets
                if packet.dts is not None:
                    self._packets_read += 1
                    self._is_last_corrupt = packet.is_corrupt
                self._has_seen_keyframe |= packet.is_keyframe
                yield packet

    def _demux_all(self) -> Iterator[Any]:
        # All tracks are read, not only the video: the last packet of any of them says whether the file is whole.
        for packet in demux(self.container):
            if self._max_wait_seconds and time.monotonic() - self._read_started_at > self._max_wait_seconds:
                raise ExitError(ETIMEDOUT, "no picture in time")
            self._update_end(packet)
            self._later_tracks.add(packet)
            yield packet
            if self._clock and self._clock.has_jumps:
                self._announce(
                    f"the clock of {self.name} goes back or jumps ahead; its tracks go on where they ended, in step"
                )

    def _update_end(self, packet: av.Packet[Any]) -> None:
        timestamps = [t for t in (packet.pts, packet.dts) if t is not None]
        if timestamps:
            end = (max(timestamps) + (packet.duration or 0)) * packet.time_base
            self._end_seconds = max(self._end_seconds, float(end))
        if packet.pos is not None:
            self.end_position = max(self.end_position, packet.pos + packet.size)

    @property
    def missing_count(self) -> int:
        """Number of frames that an mp4's index lists and the file lacks; in other formats estimated from the header.

        In joined transport streams it is the number of those in tracks that begin after the end of this one.
        """
        if self._has_seeked:
            return 0
        if self._later_picture_count:
            return self._later_picture_count
        if self._has_format({"mov"}):
            absent = max(0, len(self.stream.index_entries) - self._packets_read)
            # The last packet of a truncated file is incomplete, and may decode to nothing without an error.
            is_last_lost = self._is_last_corrupt and self.delivered_count + self.undecodable_count < self._packets_read
            return absent + (1 if absent and is_last_lost else 0)
        if self._ended_early():
            by_duration = round((self._header_seconds() - self._seconds_read()) * (self.fps or 0))
            return max(1, by_duration, (self.frame_count or 0) - self._packets_read)
        return 0

    @property
    def damage(self) -> Damage | None:
        missing = self.missing_count
        total = self.delivered_count + self.undecodable_count + missing
        if missing:
            about = "" if self._has_format({"mov"}) else "about "
            count = f"{self.delivered_count} of {about}{total} frames could be read"
            if self._later_picture_count:
                reason = "goes on in another video track, as joined recordings do"
                return Damage(f"{self.name} {reason}: {count}; convert its parts one by one", "cut-off")
            return Damage(f"{self.name} is cut off: {count}", "cut-off")
        if self.failure is not None:
            reason = error_reason(self.failure)
            return Damage(f"{self.name} could be read to frame {self.delivered_count} only: {reason}", "cut-off")
        if self.undecodable_count:
            return Damage(
                f"{self.name} is damaged: {self.delivered_count} of {total} frames could be decoded", "damaged"
            )
        return None

    @property
    def _later_picture_count(self) -> int:
        is_joinable = self._clock is not None and not self._clock.is_indexed
        return self._later_tracks.picture_count if is_joinable else 0

    def _ended_early(self) -> bool:
        header = self._header_seconds()
        slack = max(_SLACK_SECONDS, _SLACK_SHARE * header)
        return self._has_format(_FORMATS_WITH_DURATION) and header - self._seconds_read() > slack

    def _header_seconds(self) -> float:
        return (self.container.duration or 0) / av.time_base

    def _seconds_read(self) -> float:
        # Some containers count their duration from 0, others from the first timestamp; in doubt the file is whole.
        return self._end_seconds - min(0.0, (self.container.start_time or 0) / av.time_base)

    def _has_format(self, names: set[str]) -> bool:
        return self.container.format.name.split(",")[0] in names


def _decoder_context(stream: VideoStream, hwaccel: HWAccel | None) -> VideoCodecContext:
    """Returns the decoder of a track; for VP8 and VP9 with transparency libvpx, as FFmpeg's own ignores that."""
    name = _DECODERS_OF_ALPHA.get(stream.codec_context.name)
    has_alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if name is None or not has_alpha or name not in av.codecs_available:
        return device_context(stream, hwaccel)
    return cast(VideoCodecContext, av.CodecContext.create(name, "r"))


def _stated_rate(stream: VideoStream) -> Fraction | None:
    """Returns the frames per second that a stream without timestamps states in its headers; None for JPEGs."""
    guessed, of_decoder = stream.guessed_rate, stream.codec_context.framerate
    if stream.codec_context.name == "mjpeg":
        return None
    # In slow H.264 libav takes fields for frames.
    return of_decoder if of_decoder and guessed == 2 * of_decoder else guessed


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    stream = main_video_stream(container)
    if stream is None:
        raise SourceOpenError(_no_video_message(container, name), code="no-video")
    if stream.codec_context is None:
        raise SourceOpenError(
            f"{name} has video that no decoder here understands (codec tag unknown); convert it first, "
            "for example to H.264 with ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4",
            code="unknown-codec",
        )
    return stream


def _no_video_message(container: InputContainer, name: str) -> str:
    if container.streams.audio:
        return f"{name} holds audio only, no video; give a file with a video track"
    kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
    return f"{name} has no video track (it holds {kinds}); give a file with a video track"
