"""Copies audio, subtitles, chapters and tags of the source's file beside a new video."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.stream import DataStream, Discard, Disposition

from streamdepth.core.track_feed import PictureTime, TrackFeed, picture_time
from streamdepth.sinks.copied_tracks import add_track, can_hold
from streamdepth.sinks.depth_facts import TAG
from streamdepth.sinks.timecode import advance_timecode, find_timecode
from streamdepth.utils.containers import demux, main_video_stream, open_media_file
from streamdepth.utils.location_tags import is_location_tag, is_location_text
from streamdepth.utils.media_clock import MediaClock

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_MAX_REORDERED = 16
"""Largest number of frames that any codec stores between a frame and the one shown next."""
_MAX_PAUSE_SECONDS = 3600
"""A longer pause counts as a jump of the clock, as in `MediaClock`."""
_PICTURES_REMEMBERED = 1000
_COPIED_TYPES = ("audio", "subtitle", "attachment")
_LOCATION_NOTICE = "the position where the input was recorded is left out; to keep it: --set video.keep_location=true"
_NOT_COPIED_TAGS = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands", TAG.lower()}
"""Tags that describe the old file's container, or its depth, not its content."""


class TrackCopier:
    """Copies packets of a file or a pipe unchanged into `output`, in step with the video that is written there.

    Their times are those of `MediaClock`, as the frames' times are. Audio, subtitles and attachments are copied, and
    the timecode of the picture. Only one packet of a file is in memory at a time; packets of a pipe come from its feed.
    Make it before the first packet goes into `output`.

    Args:
        origin: the path of the file that the video was read from, or the feed of the pipe.
        video: the output's video track.
        on_notice: called with a sentence for each track that `output` cannot hold, and for damage.
        keep_location: copies tags that say where the input was recorded, too.
        clip: the time of the clock that becomes 0, and the end on that new clock, in seconds; what begins earlier is
            left out, and subtitles that are shown then are shortened.
        is_streamed: `output` goes through a pipe, so that its head cannot be completed later.
    """

    def __init__(
        self,
        origin: Path | TrackFeed,
        output: OutputContainer,
        video: VideoStream,
        on_notice: Callable[[str], None],
        *,
        keep_location: bool = False,
        clip: tuple[Fraction, Fraction | None] = (Fraction(0), None),
        is_streamed: bool = False,
    ) -> None:
        self._output, self._on_notice, self._keep_location = output, on_notice, keep_location
        self._is_streamed, (self._clip_start, self._clip_end) = is_streamed, clip
        self._feed = origin if isinstance(origin, TrackFeed) else None
        self._input: InputContainer = origin.container if isinstance(origin, TrackFeed) else open_media_file(origin)
        self._video = main_video_stream(self._input)
        self._targets = {source.index: target for source, target in self._add_tracks()}
        clock = None if self._feed else MediaClock(self._input)
        self._start_seconds = clock.start_seconds if clock else self._feed.start_seconds if self._feed else Fraction(0)
        has_timecode = self._copy_timecode(video)
        self._announce_other_tracks(has_timecode)
        self.has_timed_tracks = any(self._input.streams[i].type != "attachment" for i in self._targets)
        self._earliest_dts: dict[int, int] = {}
        self._pictures: deque[PictureTime] = deque(maxlen=_PICTURES_REMEMBERED)
        """The source's pictures that were read last."""
        self._ahead: deque[Packet[Stream]] = deque()
        """Packets that were read and are not yet copied."""
        self._take = self._feed.take if self._feed else partial(next, self._read(clock), None)
        output.metadata.update(self._tags(self._input.metadata))
        if not keep_location and self._has_location():
            on_notice(_LOCATION_NOTICE)

    def _add_tracks(self) -> Iterator[tuple[Stream, Stream]]:
        for stream in self._input.streams:
            if stream.type not in _COPIED_TYPES:
                continue
            holder = self._output.format.name
            if stream.codec_context is None and stream.type != "attachment":
                self._on_notice(
                    f"{stream.type} track {stream.index} is left out: its format is unknown to FFmpeg here, which can "
                    "neither decode nor copy it"
                )
            elif can_hold(stream, holder, is_streamed=self._is_streamed):
                target = add_track(self._output, stream, is_streamed=self._is_streamed)
                target.disposition = stream.disposition
                target.metadata.update(self._tags(stream.metadata))
                yield stream, target
            else:
                tip = "" if holder == "matroska" else "; an output ending in .mkv can hold most"
                name = _codec_name(stream)
                self._on_notice(
                    f"{stream.type} track {stream.index} ({name}) is left out: {holder} cannot hold it{tip}"
                )

    def _tags(self, tags: dict[str, str]) -> dict[str, str]:
        """Returns the tags to copy."""
        return {
            key: value
            for key, value in tags.items()
            if key.lower() not in _NOT_COPIED_TAGS and (self._keep_location or not is_location_tag(key, value))
        }

    def _has_location(self) -> bool:
        """True if a tag of the input says where it was recorded."""
        holders = [self._input.metadata, *(stream.metadata for stream in self._input.streams)]
        return any(is_location_tag(key, value) for tags in holders for key, value in tags.items())

    def _copy_timecode(self, output: VideoStream) -> bool:
        """Writes the timecode of the first picture into the output. Returns True if the input has one."""
        video = self._video
        timecode = find_timecode((video, *self._input.streams.data)) if video else None
        if video is None or timecode is None:
            return False
        new_rate = output.average_rate or Fraction(25)
        rate = video.average_rate or new_rate
        if round(rate) == round(new_rate):
            begin = (video.start_time or 0) * (video.time_base or Fraction(0)) - self._start_seconds
            skipped = max(0, round((self._clip_start - begin) * rate))
            output.metadata["timecode"] = advance_timecode(timecode, skipped, rate)
        else:
            self._on_notice(
                f"the timecode is left out: it numbers {float(rate):g} frames per second, and the output has "
                f"{float(new_rate):g}"
            )
        return True

    def _announce_other_tracks(self, has_timecode: bool) -> None:
        has_chapters = bool(self._input.chapters())
        others = [
            f"{_kind(stream)} {stream.index} ({_codec_name(stream)})"
            for stream in self._input.streams
            if stream.type not in _COPIED_TYPES
            and stream is not self._video
            and not (has_timecode and _has_timecode(stream))
            and not (has_chapters and _codec_name(stream) == "bin_data")  # QuickTime stores chapters as a track
        ]
        if others:
            self._on_notice(f"left out, because only sound and subtitles are copied: {', '.join(others)}")

    def _read(self, clock: MediaClock | None) -> Iterator[Packet[Stream] | PictureTime]:
        """Yields the packets of a file; packets of the picture are replaced by their times."""
        if clock is None or not self.has_timed_tracks:
            return
        for stream in self._input.streams:
            if stream.index not in self._targets and stream is not self._video:
                stream.discard = Discard.all
        try:
            for packet in clock.correct(demux(self._input)):
                picture = picture_time(packet) if packet.stream is self._video else None
                if picture is not None:
                    yield picture
                elif packet.size:
                    yield packet
        except (av.FFmpegError, ValueError) as error:
            self._on_notice(f"the audio and subtitle tracks end early: {getattr(error, 'strerror', error)}")

    def _read_next(self) -> bool:
        """Reads until there is one more packet to copy. Returns False if there is none, or, for a pipe, none yet."""
        while (item := self._take()) is not None:
            if isinstance(item, PictureTime):
                self._pictures.append(item._replace(time=item.time - self._clip_start))
            elif item.stream.index in self._targets and self._is_in_clip(item):
                self._ahead.append(item)
                return True
        return False

    def _is_in_clip(self, packet: Packet[Stream]) -> bool:
        """Moves a packet to the clock of the clip. Returns False if it lies before the clip's beginning."""
        shown = packet.pts if packet.pts is not None else packet.dts
        if shown is None or not (self._clip_start or self._clip_end):
            return True
        ticks = round(self._clip_start / packet.time_base)
        start = packet.pts = shown - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks
        if packet.stream.type != "subtitle":
            return start >= 0
        end = start + (packet.duration or 0)
        if self._clip_end is not None:
            end = min(end, int(self._clip_end / packet.time_base))
        packet.pts = packet.dts = max(0, start)
        packet.duration = max(0, end - packet.pts)
        return end > 0

    def _peek(self) -> Packet[Stream] | None:
        """Returns the next packet to copy, which stays the next one."""
        return self._ahead[0] if self._ahead or self._read_next() else None

    def start(self, seconds: Fraction) -> Fraction:
        """Sets the time of the first frame. Returns the seconds to add to the times of frames."""
        return Fraction(0) if self.has_timed_tracks else -seconds

    def copy_until(self, seconds: Fraction) -> None:
        """Copies the packets that begin before `seconds`."""
        while (packet := self._peek()) is not None and _start_time(packet) < seconds:
            self._copy(self._ahead.popleft())

    def end_of_frame(self, last: Fraction) -> tuple[Fraction | None, bool]:
        """Finds the end of the source's frame that is shown from `last` seconds on, as `end_of_frame` does."""
        while sum(t > last for t, _ in self._pictures) <= _MAX_REORDERED and self._read_next():
            pass
        end, has_next = _end_of_frame(last, self._pictures)
        return end, has_next or (self._feed is not None and not self._feed.is_ended)

    def finish(self, end: Fraction | None) -> None:
        """Copies the remaining packets and the chapters: all of them, or those that begin before `end` seconds."""
        while (packet := self._peek()) is not None:
            self._ahead.popleft()
            if end is None or _start_time(packet) < end:
                self._copy(packet)
            elif _start_time(packet) > end + 10:  # tracks are interleaved more finely than that
                break
        self._copy_chapters(end)

    def _copy_chapters(self, end: Fraction | None) -> None:
        chapters: list[Chapter] = []
        for chapter in self._input.chapters():
            tick = chapter["time_base"] or Fraction(1)
            for key in ("start", "end"):
                chapter[key] -= round((self._start_seconds + self._clip_start) / tick)
            if end is not None:
                chapter["end"] = min(chapter["end"], int(end / tick))
            chapter["start"] = max(0, chapter["start"])
            if chapter["start"] < chapter["end"]:
                chapters.append(chapter)
        self._output.set_chapters(chapters)

    def _copy(self, packet: Packet[Stream]) -> None:
        index, target = packet.stream.index, self._targets[packet.stream.index]
        if packet.stream.type == "subtitle" and not self._keep_location and is_location_text(bytes(packet)):
            self._on_notice(_LOCATION_NOTICE)
            return
        packet.dts = packet.pts if packet.dts is None else packet.dts
        if packet.dts is None:
            self._on_notice(f"track {index} has packets without a time; they are left out")
            return
        self._output.start_encoding()  # only then the target's clock is final
        earliest = self._earliest_dts.get(index, packet.dts)
        if packet.dts < earliest:
            self._on_notice(f"the times of track {index} go backwards; they are moved on")
            packet.dts = earliest
            packet.pts = max(packet.pts or earliest, earliest)
        ticks = math.ceil((target.time_base or packet.time_base) / packet.time_base)
        self._earliest_dts[index] = packet.dts + max(ticks, 1)
        packet.stream = target
        self._output.mux_one(packet)

    def close(self) -> None:
        """Closes the source's file, or releases the pipe. Idempotent."""
        if self._feed is None:
            self._input.close()
        else:
            self._feed.close()


def end_of_frame(input_path: Path, last: Fraction) -> tuple[Fraction | None, bool]:
    """Finds the end of the video frame of `input_path` that is shown from `last` seconds on.

    Returns:
        The end in seconds, None where it is unknown; and True if another frame follows.
    """
    pictures: list[tuple[Fraction, Fraction]] = []
    with open_media_file(input_path) as container:
        video = main_video_stream(container)
        if video is None or video.time_base is None:
            return None, False
        clock = MediaClock(container)
        if not clock.is_indexed:  # seeking by time needs a clock without jumps
            return None, False
        start_seconds = clock.start_seconds
        for stream in container.streams:
            if stream is not video:
                stream.discard = Discard.all
        try:
            container.seek(int((last + start_seconds) / video.time_base), stream=video)
            for packet in container.demux(video):
                pts = packet.pts if packet.pts is not None else packet.dts
                if pts is not None and not packet.is_discard:
                    time = pts * video.time_base - start_seconds
                    pictures.append((time, (packet.duration or 0) * video.time_base))
                if sum(t > last for t, _ in pictures[-2 * _MAX_REORDERED :]) > _MAX_REORDERED:
                    break
        except av.FFmpegError:
            pass  # a damaged end: what was found before counts
    return _end_of_frame(last, [(t, d) for t, d in pictures if max(t - last, d) < _MAX_PAUSE_SECONDS])


def _end_of_frame(last: Fraction, pictures: Iterable[tuple[Fraction, Fraction]]) -> tuple[Fraction | None, bool]:
    later = [time for time, _ in pictures if time > last]
    if later:
        return min(later), True
    return next((time + duration for time, duration in pictures if time == last and duration), None), False


def _kind(stream: Stream) -> str:
    return "cover picture" if stream.disposition & Disposition.attached_pic else f"{stream.type} track"


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is not None:
        return stream.codec_context.name
    # PyAV asks the missing codec for the name of any other stream.
    return (stream.name if isinstance(stream, DataStream) else None) or "unknown format"


def _has_timecode(stream: Stream) -> bool:
    return stream.type == "data" and any(key.lower() == "timecode" for key in stream.metadata)


def _start_time(packet: Packet[Stream]) -> Fraction:
    """Returns the decoding time in seconds, or the presentation time where that is unknown."""
    time = packet.dts if packet.dts is not None else packet.pts
    return (time or 0) * packet.time_base
