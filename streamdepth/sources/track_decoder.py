"""The video track of a libav container."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from errno import ETIMEDOUT
from typing import Any

import av
from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import ExitError, FFmpegError, InvalidDataError
from av.video.stream import VideoStream

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.decoder import (
    MAX_SIDE_PX,
    DecodedFrame,
    FrameDecoder,
    check_picture_size,
    error_reason,
    plausible_fps,
)
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.utils.containers import main_video_stream

_MOST_UNREADABLE = 100
_SLACK_SECONDS, _SLACK_SHARE = 0.5, 0.02
_DURATION_IN_HEADER = {"matroska", "avi", "flv", "asf"}


class TrackDecoder(FrameDecoder):
    """Decodes the video track of an open container, which it closes at the end and when it raises.

    `threads`: libav's thread type; `SLICE` adds no delay, `AUTO` is fastest. `patience_seconds`: how long to wait for a
    picture while only other packets come. Raises SourceOpenError when there is nothing to decode, or FFmpegError or
    ValueError when reading failed before the first picture.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        announce: Callable[[str], None],
        *,
        max_side_px: int = MAX_SIDE_PX,
        threads: str = "AUTO",
        patience_seconds: float | None = None,
    ) -> None:
        self.container, self._patience = container, patience_seconds
        self._asked_at = time.monotonic()
        self._end_seconds, self._packets_read = 0.0, 0
        self._seen_key = self._is_last_corrupt = False
        try:
            self.stream = _video_stream(container, name)
            context = self.stream.codec_context
            check_picture_size(name, context.width, context.height, max_side_px)
            context.thread_type = threads
            converter = FrameConverter(announce, name, self.stream.sample_aspect_ratio)
            super().__init__(self._decoded(), name, converter, announce, max_side_px=max_side_px)
        except BaseException:
            self.failure = None  # where it is what is raised, its traceback holds this track
            container.close()
            raise
        self.time_base = self.stream.time_base or self.time_base
        self.fps = plausible_fps(self.stream.average_rate) or plausible_fps(self.stream.guessed_rate)
        self.frame_count = self.stream.frames or None

    def nothing(self) -> Exception:
        if self.failure is not None and not isinstance(self.failure, InvalidDataError):
            return self.failure
        return SourceOpenError(
            f"{self.name} has a video track ({self.stream.name}), but none of its pictures can be decoded: it is "
            "damaged or cut off; try to fetch or record it again"
        )

    def read(self) -> DecodedFrame | None:
        self._asked_at = time.monotonic()
        return super().read()

    def close(self) -> None:
        super().close()
        self.container.close()

    def _decoded(self) -> Generator[av.VideoFrame]:
        for packet in self._packets():
            try:
                yield from self.stream.decode(packet)
            except EndOfStream:
                return
            except (FFmpegError, ValueError):
                # A recording that begins between key frames cannot be decoded up to the first one; nothing is damaged.
                self.undecodable += self._seen_key

    def _packets(self) -> Iterator[Any]:
        failure: FFmpegError | ValueError | None = None
        for _ in range(_MOST_UNREADABLE):
            try:
                yield from self._demux()
                return
            # Its traceback would hold this track, and so the decoder, until the garbage collector runs.
            except InvalidDataError as error:
                failure = error.with_traceback(None)
            except (FFmpegError, ValueError) as error:
                failure = error.with_traceback(None)
                break
        self.failure = failure
        yield None

    def _demux(self) -> Iterator[Any]:
        # All streams, not only the video: the last packet of any of them tells whether the file is complete.
        for packet in self.container.demux():
            if self._patience and time.monotonic() - self._asked_at > self._patience:
                raise ExitError(ETIMEDOUT, "no picture in time")
            self._note_end(packet)
            if packet.stream.index == self.stream.index:  # `packet.stream_index` is 0 in those that flush
                if packet.dts is not None:
                    self._packets_read += 1
                    self._is_last_corrupt = packet.is_corrupt
                self._seen_key |= packet.is_keyframe
                yield packet

    def _note_end(self, packet: av.Packet[Any]) -> None:
        stamps = [t for t in (packet.pts, packet.dts) if t is not None]
        if stamps:
            end = (max(stamps) + (packet.duration or 0)) * packet.time_base
            self._end_seconds = max(self._end_seconds, float(end))

    @property
    def missing(self) -> int:
        """What an mp4's index lists beyond what was there; in other files an estimate from their header."""
        if self._format_is({"mov"}):
            absent = max(0, len(self.stream.index_entries) - self._packets_read)
            # The last packet of a file that was cut off is a part of one, and may decode to nothing, silently.
            is_part_lost = self._is_last_corrupt and self.delivered + self.undecodable < self._packets_read
            return absent + (1 if absent and is_part_lost else 0)
        if self._ended_early():
            by_duration = round((self._claimed_seconds() - self._had_seconds()) * (self.fps or 0))
            return max(1, by_duration, (self.frame_count or 0) - self._packets_read)
        return 0

    @property
    def damage(self) -> str | None:
        total = self.delivered + self.undecodable + self.missing
        if self.missing:
            about = "" if self._format_is({"mov"}) else "about "
            return f"{self.name} is cut off: {self.delivered} of {about}{total} frames could be had"
        if self.failure is not None:
            return f"{self.name} could be read to frame {self.delivered} only: {error_reason(self.failure)}"
        if self.undecodable:
            return f"{self.name} is damaged: {self.delivered} of {total} frames could be decoded"
        return None

    def _ended_early(self) -> bool:
        claimed = self._claimed_seconds()
        slack = max(_SLACK_SECONDS, _SLACK_SHARE * claimed)
        return self._format_is(_DURATION_IN_HEADER) and claimed - self._had_seconds() > slack

    def _claimed_seconds(self) -> float:
        return (self.container.duration or 0) / av.time_base

    def _had_seconds(self) -> float:
        # Containers count their duration from 0 or from the first timestamp; in doubt the file is complete.
        return self._end_seconds - min(0.0, (self.container.start_time or 0) / av.time_base)

    def _format_is(self, names: set[str]) -> bool:
        return self.container.format.name.split(",")[0] in names


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    stream = main_video_stream(container)
    if stream is None:
        raise SourceOpenError(_no_video(container, name))
    if stream.codec_context is None:
        raise SourceOpenError(
            f"{name} has video that no decoder here understands (codec tag unknown); convert it first, "
            "for example to H.264 with ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4"
        )
    return stream


def _no_video(container: InputContainer, name: str) -> str:
    if container.streams.audio:
        return f"{name} holds audio only, no video; give a file with a video track"
    kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
    return f"{name} has no video track (it holds {kinds}); give a file with a video track"
