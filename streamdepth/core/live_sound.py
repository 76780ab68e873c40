"""Sound of a live stream on its way from the source to any number of outputs, on the clock of the pictures."""

from __future__ import annotations

import threading
from collections import deque
from fractions import Fraction
from typing import NamedTuple

_KEPT_SECONDS = 60
_MAX_BYTES = 64_000_000
_MAX_UNALIGNED = 2000
"""Most packets that wait for a connection's first picture; more would come only if no picture had a time."""
_SMALLEST_SHIFT_SECONDS = Fraction(1, 50)
"""Smaller changes of the pictures' clock are repairs of single pictures, which sound does not follow."""


class SoundPacket(NamedTuple):
    """A piece of encoded sound."""

    time: Fraction
    """Seconds at which it is heard."""
    duration: Fraction
    """Seconds; 0 where the stream does not say."""
    data: bytes


class LiveSound:
    """The encoded sound of one live stream, of which the last minute is kept. Thread-safe.

    Args:
        header: a NUT file whose only track has the format of the sound.
    """

    def __init__(self, header: bytes) -> None:
        self.header = header
        self._packets: deque[SoundPacket] = deque()
        self._count = self._size_bytes = 0
        self._lock = threading.Lock()

    def add(self, packet: SoundPacket) -> None:
        """Adds a packet, whose time is on the clock of the stream's frames."""
        with self._lock:
            self._packets.append(packet)
            self._count += 1
            self._size_bytes += len(packet.data)
            while packet.time - self._packets[0].time > _KEPT_SECONDS or self._size_bytes > _MAX_BYTES:
                self._size_bytes -= len(self._packets.popleft().data)

    def packets_after(self, number: int) -> tuple[list[SoundPacket], int]:
        """Returns the packets that came after the first `number` ones and are still kept, and the number so far."""
        with self._lock:
            count = min(self._count - number, len(self._packets))
            return list(self._packets)[len(self._packets) - count :], self._count


class SoundFeed:
    """The sound of one connection, whose clock is that of its pictures. Thread-safe.

    A reader adds packets on its thread. Each is brought to the clock of the stream's frames, and waits until that is
    known for the connection.

    Args:
        header: see `LiveSound`.
    """

    def __init__(self, header: bytes) -> None:
        self.header = header
        self._sound: LiveSound | None = None
        self._offset: Fraction | None = None
        self._waiting: deque[SoundPacket] = deque(maxlen=_MAX_UNALIGNED)
        self._lock = threading.Lock()

    @property
    def is_aligned(self) -> bool:
        """True once the clock of the stream's frames is known for this connection."""
        return self._offset is not None

    def attach(self, sound: LiveSound) -> bool:
        """Passes packets on to `sound`. Returns False, and passes none on, where that has another format."""
        with self._lock:
            self._sound = sound if sound.header == self.header else None
            return self._sound is not None

    def add(self, packet: SoundPacket) -> None:
        """Adds a packet, whose time is on the clock of the connection."""
        with self._lock:
            self._waiting.append(packet)
            self._pass_on()

    def align(self, offset: Fraction) -> None:
        """Sets the seconds to add to times of the connection to get times on the clock of the stream's frames."""
        with self._lock:
            if self._offset is None or abs(offset - self._offset) > _SMALLEST_SHIFT_SECONDS:
                self._offset = offset
            self._pass_on()

    def _pass_on(self) -> None:
        while self._sound is not None and self._offset is not None and self._waiting:
            packet = self._waiting.popleft()
            self._sound.add(packet._replace(time=packet.time + self._offset))
