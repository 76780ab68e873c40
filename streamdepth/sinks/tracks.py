"""Copies audio, subtitles, chapters and tags of the source's file beside a new video."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.stream import DataStream, Discard, Disposition

from streamdepth.sinks.pending_files import file_url
from streamdepth.utils.containers import main_video_stream

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_MAX_REORDERED = 16
"""Largest number of frames that any codec stores between a frame and the one shown next."""
_COPIED_TYPES = ("audio", "subtitle", "attachment")
_TIMECODE = re.compile(r"\d+:\d\d:\d\d[:;.]\d+")
"""Hours, minutes, seconds and frames; a semicolon or point before the frames means that numbers are dropped."""
_NOT_COPIED_TAGS = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands"}
"""Tags that describe the old file's container, not its content."""


class TrackCopier:
    """Copies packets of `origin` into `output`, unchanged, in step with the video that is written there.

    Audio, subtitles and attachments are copied, and the timecode of the picture. Only one packet is in memory at a
    time. Make it before the first packet goes into `output`.

    Args:
        video: the output's video track.
        on_notice: called with a sentence for each track that `output` cannot hold, and for damage.
    """

    def __init__(
        self, origin: Path, output: OutputContainer, video: VideoStream, on_notice: Callable[[str], None]
    ) -> None:
        self._output, self._on_notice = output, on_notice
        self._input: InputContainer = av.open(file_url(origin), metadata_errors="replace")
        self._video = main_video_stream(self._input)
        self._targets = {source.index: target for source, target in self._add_tracks()}
        has_timecode = self._copy_timecode(video)
        self._announce_other_tracks(has_timecode)
        self._earliest_dts: dict[int, int] = {}
        self._packets = self._read()
        self._next_packet: Packet[Stream] | None = next(self._packets, None)
        output.metadata.update(_tags(self._input.metadata))

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
            elif _can_hold(stream, holder):
                target = self._output.add_stream_from_template(stream)
                target.disposition = stream.disposition
                target.metadata.update(_tags(stream.metadata))
                yield stream, target
            else:
                tip = "" if holder == "matroska" else "; an output ending in .mkv can hold most"
                name = _codec_name(stream)
                self._on_notice(
                    f"{stream.type} track {stream.index} ({name}) is left out: {holder} cannot hold it{tip}"
                )

    def _copy_timecode(self, video: VideoStream) -> bool:
        """Copies the timecode of the first picture into the output; False where there is none to copy."""
        streams = [stream for stream in (self._video, *self._input.streams.data) if stream is not None]
        timecodes = (value for stream in streams for key, value in stream.metadata.items() if key.lower() == "timecode")
        timecode = next((text for text in timecodes if _TIMECODE.fullmatch(text)), None)
        if timecode:
            video.metadata["timecode"] = timecode
        return timecode is not None

    def _announce_other_tracks(self, has_timecode: bool) -> None:
        has_chapters = bool(self._input.chapters())
        others = [
            f"{stream.type} track {stream.index} ({_codec_name(stream)})"
            for stream in self._input.streams
            if stream.type not in _COPIED_TYPES
            and stream is not self._video
            and not stream.disposition & Disposition.attached_pic
            and not (has_timecode and _has_timecode(stream))
            and not (has_chapters and _codec_name(stream) == "bin_data")  # QuickTime stores chapters as a track
        ]
        if others:
            self._on_notice(f"left out, because only sound and subtitles are copied: {', '.join(others)}")

    def _read(self) -> Iterator[Packet[Stream]]:
        timed = [self._input.streams[i] for i in self._targets if self._input.streams[i].type != "attachment"]
        if not timed:
            return
        for stream in self._input.streams:
            if stream.index not in self._targets:
                stream.discard = Discard.all
        try:
            yield from (packet for packet in self._input.demux(timed) if packet.size)
        except av.FFmpegError as error:
            self._on_notice(f"the audio and subtitle tracks end early: {error.strerror}")

    def copy_until(self, seconds: Fraction) -> None:
        """Copies the packets that begin before `seconds`."""
        while self._next_packet is not None and _start_time(self._next_packet) < seconds:
            self._copy(self._next_packet)
            self._next_packet = next(self._packets, None)

    def finish(self, end: Fraction | None) -> None:
        """Copies the remaining packets and the chapters: all of them, or those that begin before `end` seconds."""
        while self._next_packet is not None:
            if end is None or _start_time(self._next_packet) < end:
                self._copy(self._next_packet)
            elif _start_time(self._next_packet) > end + 10:  # tracks are interleaved more finely than that
                break
            self._next_packet = next(self._packets, None)
        chapters = self._input.chapters()
        if end is not None:
            chapters = [c for c in chapters if c["start"] * (c["time_base"] or 1) < end]
            for chapter in chapters:
                chapter["end"] = min(chapter["end"], int(end / (chapter["time_base"] or 1)))
        self._output.set_chapters(chapters)

    def _copy(self, packet: Packet[Stream]) -> None:
        index, target = packet.stream.index, self._targets[packet.stream.index]
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
        """Closes the source's file. Idempotent."""
        self._input.close()


def end_of_frame(origin: Path, last: Fraction) -> tuple[Fraction | None, bool]:
    """Finds the end of the video frame of `origin` that is shown from `last` seconds on.

    Returns:
        The end in seconds, None where it is unknown; and True if another frame follows.
    """
    end: Fraction | None = None
    later: list[Fraction] = []
    with av.open(file_url(origin), metadata_errors="replace") as container:
        video = main_video_stream(container)
        if video is None or video.time_base is None:
            return None, False
        for stream in container.streams:
            if stream is not video:
                stream.discard = Discard.all
        try:
            container.seek(int(last / video.time_base), stream=video)
            for packet in container.demux(video):
                pts = packet.pts if packet.pts is not None else packet.dts
                if pts is None or packet.is_discard:
                    continue
                time = pts * video.time_base
                if time == last and packet.duration:
                    end = last + packet.duration * video.time_base
                if time > last:
                    later.append(time)
                if len(later) > _MAX_REORDERED:
                    break
        except av.FFmpegError:
            pass  # a damaged end: what was found before counts
    return (min(later), True) if later else (end, False)


def _can_hold(stream: Stream, format_name: str) -> bool:
    """True if a container of that format takes this track, which is tried on one in memory."""
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


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


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.lower() not in _NOT_COPIED_TAGS}
