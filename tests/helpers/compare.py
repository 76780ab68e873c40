"""Comparison of two media files: the times of their pictures, and the bytes and times of their other tracks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from streamdepth.utils.containers import main_video_stream, open_media_file


@dataclass
class Track:
    """One track besides the video."""

    kind: str
    codec: str
    language: str | None
    payloads: list[bytes]
    times: list[Fraction]
    """Seconds, one per packet."""


@dataclass
class Contents:
    """The content of one file."""

    times: list[Fraction]
    """Seconds, one per decoded frame, in the order they are shown."""
    size: tuple[int, int]
    tracks: list[Track]
    tick: Fraction
    """Seconds per tick of the video's clock."""

    @property
    def origin(self) -> Fraction:
        """Time of the earliest picture or sound in seconds, which outputs begin with; 0 where sound begins before 0."""
        firsts = [track.times[0] for track in self.tracks if track.kind == "audio" and track.times]
        return max(min([*firsts, *self.times[:1]], default=Fraction(0)), Fraction(0))


@dataclass
class Comparison:
    """The contents of a source and of the output made from it."""

    source: Contents
    output: Contents

    @property
    def frame_counts(self) -> tuple[int, int]:
        return len(self.source.times), len(self.output.times)

    @property
    def pts_equal(self) -> bool:
        return [time - self.source.origin for time in self.source.times] == self.output.times

    @property
    def largest_shift(self) -> Fraction:
        """Largest distance in seconds between a frame's time since the source's origin and its time in the output."""
        pairs = zip(self.source.times, self.output.times, strict=True)
        return max((abs(a - self.source.origin - b) for a, b in pairs), default=Fraction(0))

    @property
    def tracks_equal(self) -> bool:
        """True if both files have the same other tracks with the same packets."""
        return [(t.kind, t.payloads) for t in self.source.tracks] == [(t.kind, t.payloads) for t in self.output.tracks]

    @property
    def largest_track_shift(self) -> Fraction:
        """Largest distance in seconds between a packet's time in the source and in the output, in the other tracks."""
        shifts = [
            abs(a - self.source.origin - b)
            for s, o in zip(self.source.tracks, self.output.tracks, strict=True)
            for a, b in zip(s.times, o.times, strict=True)
        ]
        return max(shifts, default=Fraction(0))


def compare_streams(source: str | Path, output: str | Path) -> Comparison:
    """Reads both files; frames and packets that a damaged file has lost are missing in its contents."""
    return Comparison(read_contents(source), read_contents(output))


def read_contents(path: str | Path) -> Contents:
    with open_media_file(path) as container:
        video = main_video_stream(container)
        assert video is not None
        tracks = {s.index: _track(s) for s in container.streams if s.type in ("audio", "subtitle")}
        times: list[Fraction] = []
        try:
            for packet in container.demux():
                if packet.stream is video:
                    times += [f.pts * f.time_base for f in packet.decode()]
                elif packet.stream_index in tracks and packet.size:
                    tracks[packet.stream_index].payloads.append(bytes(packet))
                    tracks[packet.stream_index].times.append((packet.pts or 0) * packet.time_base)
        except av.FFmpegError:
            pass  # a damaged file: what came before counts
        return Contents(times, (video.width, video.height), list(tracks.values()), video.time_base or Fraction(0))


def _track(stream: av.stream.Stream) -> Track:
    return Track(stream.type, stream.codec_context.name, stream.language, [], [])
