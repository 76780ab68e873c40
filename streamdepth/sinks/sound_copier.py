"""Copies the sound of a live stream beside a new video."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from streamdepth.core.live_sound import LiveSound, SoundPacket
from streamdepth.sinks.copied_tracks import add_track, can_hold

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream


class SoundCopier:
    """Copies the packets of a live stream's sound into `output`, from the time of the first frame written there on.

    The output begins at 0 then. Make it before the first packet goes into `output`.

    Args:
        sound: the stream's sound.
        output: the open output.
        on_notice: called with a sentence where `output` cannot hold the sound.
        clip_start: seconds on the clock of the sound at time 0 of the frames.
        is_streamed: `output` goes through a pipe, so that its head cannot be completed later.
    """

    has_timed_tracks = False
    """The video begins with its first frame, and the sound follows it."""

    def __init__(
        self,
        sound: LiveSound,
        output: OutputContainer,
        on_notice: Callable[[str], None],
        *,
        clip_start: Fraction = Fraction(0),
        is_streamed: bool = False,
    ) -> None:
        self._sound, self._output, self._clip_start = sound, output, clip_start
        self._format = open_format(sound.header)
        self._target = self._add_track(on_notice, is_streamed=is_streamed)
        self._start: Fraction | None = None
        self._taken, self._earliest_dts = 0, 0
        self._ahead: deque[SoundPacket] = deque()

    def _add_track(self, on_notice: Callable[[str], None], *, is_streamed: bool) -> Stream | None:
        stream, holder = self._format.streams.audio[0], self._output.format.name
        if can_hold(stream, holder, is_streamed=is_streamed):
            return add_track(self._output, stream, is_streamed=is_streamed)
        on_notice(f"the sound ({stream.codec_context.name}) is left out: {holder} cannot hold it; .mkv can hold most")
        return None

    def start(self, seconds: Fraction) -> Fraction:
        """Sets the time of the first frame. Returns the seconds to add to the times of frames."""
        self._start = seconds + self._clip_start
        return -seconds

    def copy_until(self, seconds: Fraction) -> None:
        """Copies the packets received so far that begin less than `seconds` after the first frame."""
        if self._start is None or self._target is None:
            return
        packets, self._taken = self._sound.packets_after(self._taken)
        self._ahead.extend(packets)
        while self._ahead and self._ahead[0].time - self._start < seconds:
            packet = self._ahead.popleft()
            if packet.time >= self._start:
                self._copy(packet, self._target)

    def _copy(self, sound: SoundPacket, target: Stream) -> None:
        assert self._start is not None
        self._output.start_encoding()  # only then the target's clock is final
        packet = make_packet(sound, sound.time - self._start, target)
        packet.dts = packet.pts = max(packet.pts or 0, self._earliest_dts)
        self._earliest_dts = packet.pts + 1
        self._output.mux_one(packet)

    def finish(self, end: Fraction | None) -> None:
        """Copies the remaining packets that begin before `end`; None: all of them."""
        self.copy_until(Fraction(2**40) if end is None else end)

    def close(self) -> None:
        """Ends the copying. Idempotent."""
        self._format.close()


def open_format(header: bytes) -> InputContainer:
    """Returns the open container of a `LiveSound` header, whose only track has the format of the sound."""
    return av.open(io.BytesIO(header), "r", format="nut")


def make_packet(sound: SoundPacket, time: Fraction, target: Stream) -> av.Packet[Stream]:
    """Returns a packet for a track, which is played at `time` seconds."""
    packet: av.Packet[Stream] = av.Packet(sound.data)
    packet.stream = target
    packet.time_base = target.time_base or Fraction(1, 1000)
    packet.pts = packet.dts = round(time / packet.time_base)
    packet.duration = round(sound.duration / packet.time_base)
    packet.is_keyframe = True
    return packet
