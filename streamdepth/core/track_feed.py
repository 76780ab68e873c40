"""Sound and subtitles of a stream that can be read only once, on their way from its decoder to an output."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_MAX_UNCLAIMED_BYTES = 64_000_000
_PASSED_ON = ("audio", "subtitle")


class PictureTime(NamedTuple):
    """The time at which a picture of the stream is shown, in seconds of the stream's clock."""

    time: Fraction
    duration: Fraction
    """Seconds for which it is shown; 0 where the stream does not say."""


class TrackFeed:
    """Packets of sound and subtitles that a decoder has read from a pipe, for the one output that copies them.

    Without an output that takes them, up to 64 MB are kept, and then all are discarded. Thread-safe: the decoder adds
    on its thread what the output takes on another.

    Args:
        container: the open container.
        start_seconds: time of the container's own clock that became 0.
        close_input: closes what the container reads; called once the decoder and the output have both ended.
    """

    def __init__(
        self, container: InputContainer, start_seconds: Fraction, close_input: Callable[[], None] = lambda: None
    ) -> None:
        self.container, self.start_seconds, self._close_input = container, start_seconds, close_input
        self.video: Any = None
        """The video track whose pictures are decoded."""
        self.is_ended = False
        """True once the decoder has read its last packet."""
        self._items: deque[Packet[Any] | PictureTime] = deque()
        self._size_bytes = 0
        self._is_claimed = self._is_given_up = False
        self._lock = threading.Lock()

    @property
    def has_tracks(self) -> bool:
        """True if there is sound or text besides the picture."""
        return any(stream.type in _PASSED_ON for stream in self.container.streams)

    def add(self, packet: Packet[Any]) -> None:
        """Adds a packet of any track, with its corrected times; of the picture only its time is kept."""
        item: Packet[Any] | PictureTime | None = None
        if packet.stream is self.video:
            item = picture_time(packet)
        elif packet.stream.type in _PASSED_ON and packet.size:
            item = packet
        with self._lock:
            if item is None or self._is_given_up:
                return
            self._items.append(item)
            self._size_bytes += packet.size if item is packet else 100
            if not self._is_claimed and self._size_bytes > _MAX_UNCLAIMED_BYTES:
                self._items.clear()
                self._is_given_up = True

    def claim(self) -> bool:
        """Reserves the packets for one output. Returns False if another has them or they were given up."""
        with self._lock:
            is_free = not (self._is_claimed or self._is_given_up)
            self._is_claimed |= is_free
            return is_free

    def take(self) -> Packet[Any] | PictureTime | None:
        """Returns the next packet, or the time of the next picture; None if there is nothing yet, or nothing more."""
        with self._lock:
            return self._items.popleft() if self._items else None

    def end(self) -> None:
        """Called by the decoder after the last packet; the packets that are there can still be taken."""
        self.is_ended = True

    def release_source(self) -> None:
        """Called when the source is closed: if no output has claimed the feed, the container is closed, too."""
        self.is_ended = True
        with self._lock:
            is_claimed, self._is_given_up = self._is_claimed, not self._is_claimed
        if not is_claimed:
            self.close()

    def close(self) -> None:
        """Closes the container, for the output that has claimed the feed; not before the decoder has ended.

        Idempotent.
        """
        with self._lock:
            self._is_given_up, self._is_claimed = True, False
            self._items.clear()
        if self.is_ended:
            self.container.close()
            self._close_input()


def picture_time(packet: Packet[Any]) -> PictureTime | None:
    """Returns when the picture of a packet is shown; None for one that is not shown."""
    pts = packet.pts if packet.pts is not None else packet.dts
    if pts is None or not packet.size or packet.is_discard:
        return None
    return PictureTime(pts * packet.time_base, (packet.duration or 0) * packet.time_base)
