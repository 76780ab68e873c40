"""One clock for all tracks of a media file, which begins at 0 and never jumps or goes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError

from streamdepth.utils.containers import main_video_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_BACK_SECONDS, _BACK_REORDERED_SECONDS = Fraction(3, 10), Fraction(3, 2)
"""A track that goes back farther than this has a new clock. The second limit is for pictures without decoding times,
which are out of order."""
_MAX_REORDERED = 17
"""Number of packets at the beginning that may have no decoding time, as in Matroska: at most 16 are reordered."""
_AHEAD_SECONDS, _AHEAD_INDEXED_SECONDS = 10, 3600
"""If all tracks jump ahead farther than this, they have a new clock. The second is for formats with an index."""
_AHEAD_INTERVALS, _MIN_PACKETS = 20, 10
"""In formats with an index, a jump is also that many times longer than the longest interval among enough packets."""
_MAX_PENDING = 500
_WRAP_SECONDS = Fraction(2**33, 90000)
_WRAPPING_FORMATS = ("mpegts", "mpeg")
_DISCONTINUOUS_FORMAT = 0x200
"""libav's AVFMT_TS_DISCONT: formats whose files can be joined by `cat`."""


@dataclass(slots=True, eq=False)
class _Section:
    """A part of the file with one clock."""

    latest: Fraction
    """The latest decoding time so far, in seconds of the section's own clock."""
    offset: Fraction | None = None
    """Seconds to add to get times on the corrected clock; None until it is decided."""
    starts: dict[int, Fraction] = field(default_factory=dict)
    """Track -> its earliest presentation time in the section's own clock; collected until the offset is decided."""


@dataclass(slots=True)
class _Track:
    """The state of one track of sound or pictures."""

    section: _Section
    last: Fraction
    """The last packet's decoding time in the section's own clock."""
    interval: Fraction = Fraction(0)
    """Seconds between the last two packets."""
    usual_interval: Fraction = Fraction(0)
    """The shorter of the last two intervals, so that a single pause does not count."""
    longest: Fraction = Fraction(0)
    """The longest such interval."""
    packet_count: int = 1
    has_decoding_time: bool = False
    """True if `last` is a decoding time, False if it is a presentation time."""


class MediaClock:
    """Maps the timestamps of a file's packets to one clock for all tracks.

    The earliest track of pictures or sound begins at 0, and the others at their true distances from it. If the file's
    own clock goes back, or jumps ahead in all tracks, as in joined recordings, the tracks continue where they ended:
    all of them by the same offset, and the longest one without a gap.

    The result depends only on the packets and their order: each reader of the same file gets the same clock.
    """

    def __init__(self, container: InputContainer) -> None:
        video = main_video_stream(container)
        leading = [s for s in (video, *container.streams.audio) if s is not None]
        starts = [s.start_time * s.time_base for s in leading if s.start_time is not None and s.time_base is not None]
        self._wraps = container.format.name in _WRAPPING_FORMATS
        self.start_seconds = min((t + self._wrap_seconds(t, starts[0]) for t in starts), default=Fraction(0))
        """Time of the file's own clock that becomes 0."""
        self.has_jumps = False
        """True once the file's clock went back or jumped ahead, and was corrected."""
        self._leading = {s.index for s in leading}
        self.is_indexed = not container.format.flags & _DISCONTINUOUS_FORMAT
        """True for formats whose files cannot be joined by `cat`, such as MP4."""
        self._max_pause_seconds = _AHEAD_INDEXED_SECONDS if self.is_indexed else _AHEAD_SECONDS
        self._sections = [_Section(self.start_seconds, -self.start_seconds)]
        self._tracks: dict[int, _Track] = {}
        self._ends: dict[int, Fraction] = {}
        """Track -> the time at which its latest packet ends, in the corrected clock."""
        self._pending: list[tuple[Packet[Any], _Section]] = []

    def correct(self, packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
        """Yields the packets of all tracks in their order, with corrected timestamps.

        After a jump a few packets are held back until the offset of the new clock is known.
        """
        try:
            for packet in packets:
                self._unwrap(packet)
                section = self._find_section(packet)
                if section.offset is None or self._pending:
                    self._pending.append((packet, section))
                    if self._is_decidable():
                        yield from self._release()
                else:
                    yield self._shift(packet, section)
        except (FFmpegError, ValueError):
            yield from self._release()
            raise
        yield from self._release()

    def _wrap_seconds(self, time: Fraction, reference: Fraction) -> Fraction:
        """Returns the seconds to add to a time of MPEG's clock, which wraps after 26 hours, to be near a reference."""
        if not self._wraps or abs(time - reference) < _WRAP_SECONDS / 2:
            return Fraction(0)
        return _WRAP_SECONDS if time < reference else -_WRAP_SECONDS

    def _unwrap(self, packet: Packet[Any]) -> None:
        # libav does this, too, but not for tracks that begin just before and just after the clock begins anew.
        reference = self._sections[-1].latest
        if packet.pts is not None:
            packet.pts += int(self._wrap_seconds(packet.pts * packet.time_base, reference) / packet.time_base)
        if packet.dts is not None:
            packet.dts += int(self._wrap_seconds(packet.dts * packet.time_base, reference) / packet.time_base)

    def _find_section(self, packet: Packet[Any]) -> _Section:
        newest = self._sections[-1]
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None or not packet.size:
            return newest
        index, time = packet.stream.index, ticks * packet.time_base
        track = self._tracks.get(index)
        if index not in self._leading or track is None:
            section = min(self._sections[-2:], key=lambda s: abs(time - s.latest))
        else:
            section = self._follow(track, packet, time)
        if index in self._leading:
            self._update(index, section, packet, time)
        return section

    def _follow(self, track: _Track, packet: Packet[Any], time: Fraction) -> _Section:
        """Returns the section in which a track continues: its own, one begun by another track, or a new one."""
        own, newest = track.section, self._sections[-1]
        distance = abs(time - newest.latest)
        if own is not newest and distance < min(
            Fraction(_AHEAD_SECONDS), abs(time - track.last - track.usual_interval)
        ):
            return newest
        if not self._is_back(track, packet, time) and not self._is_ahead(track, time):
            return own
        if newest.offset is None:
            self._decide(newest)
        self.has_jumps = True
        self._sections = [newest, _Section(time)]
        return self._sections[-1]

    def _is_back(self, track: _Track, packet: Packet[Any], time: Fraction) -> bool:
        back = track.last - time
        if packet.dts is None:
            return back > _BACK_REORDERED_SECONDS and track.packet_count > _MAX_REORDERED
        return back > _BACK_SECONDS and track.has_decoding_time

    def _is_ahead(self, track: _Track, time: Fraction) -> bool:
        ahead = time - max(track.section.latest, track.last)
        is_unusual = track.packet_count >= _MIN_PACKETS and ahead > _AHEAD_INTERVALS * track.longest
        return ahead > self._max_pause_seconds and (is_unusual or not self.is_indexed)

    def _update(self, index: int, section: _Section, packet: Packet[Any], time: Fraction) -> None:
        section.latest = max(section.latest, time)
        track = self._tracks.get(index)
        if track is None:
            track = self._tracks[index] = _Track(section, time)
        elif track.section is section:
            interval = abs(time - track.last)
            track.usual_interval = min(interval, track.interval or interval)
            track.interval = interval
            track.longest = max(track.longest, track.interval)
        track.section, track.last, track.has_decoding_time = section, time, packet.dts is not None
        track.packet_count += 1
        shown = time if packet.pts is None else packet.pts * packet.time_base
        duration = self._duration(packet, track)
        if section.offset is None:
            section.starts[index] = min(shown, section.starts.get(index, shown))
        else:
            end = shown + duration + section.offset
            self._ends[index] = max(end, self._ends.get(index, end))

    def _duration(self, packet: Packet[Any], track: _Track) -> Fraction:
        duration = (packet.duration or 0) * packet.time_base
        # In formats with an index, a packet before a jump lasts until the jump's end.
        return duration if 0 < duration < self._max_pause_seconds else track.usual_interval

    def _is_decidable(self) -> bool:
        newest = self._sections[-1]
        is_complete = all(track.section is newest for track in self._tracks.values())
        return is_complete or len(self._pending) >= _MAX_PENDING

    def _decide(self, section: _Section) -> None:
        """Sets the offset with which no track of the new section begins before its end in the one before."""
        gaps = [self._ends[i] - start for i, start in section.starts.items() if i in self._ends]
        section.offset = max(gaps, default=max(self._ends.values()) - min(section.starts.values()))

    def _release(self) -> Iterator[Packet[Any]]:
        pending, self._pending = self._pending, []
        if self._sections[-1].offset is None:
            self._decide(self._sections[-1])
        for packet, section in pending:
            if packet.size and packet.pts is not None and packet.stream.index in self._leading:
                duration = self._duration(packet, self._tracks[packet.stream.index])
                end = packet.pts * packet.time_base + duration + (section.offset or 0)
                self._ends[packet.stream.index] = max(end, self._ends.get(packet.stream.index, end))
            yield self._shift(packet, section)

    def _shift(self, packet: Packet[Any], section: _Section) -> Packet[Any]:
        if packet.is_discard and self.has_jumps:  # FFmpeg discards fragments of MP4 whose times were there before
            packet = _copy_to_keep(packet)
        ticks = round((section.offset or 0) / packet.time_base) if section.offset else 0
        if ticks and packet.pts is not None:
            packet.pts += ticks
        if ticks and packet.dts is not None:
            packet.dts += ticks
        return packet


def _copy_to_keep(packet: Packet[Any]) -> Packet[Any]:
    """Returns a copy of a packet without the mark that makes decoders discard its frame."""
    copy: Packet[Any] = av.Packet(packet.size)
    copy.update(bytes(packet))
    copy.stream, copy.time_base, copy.is_keyframe = packet.stream, packet.time_base, packet.is_keyframe
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    for data in packet.iter_sidedata():
        copy.set_sidedata(data)
    return copy
