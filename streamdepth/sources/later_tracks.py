"""Pictures that a decoder of one track leaves out, because they come in other tracks after its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from av.stream import Disposition

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream


class LaterTracks:
    """Counts the pictures of video tracks that begin after the decoded one has ended.

    They come from recordings that were joined, and whose tracks have different numbers. Tracks that run beside the
    decoded one, such as other channels, do not count.

    Args:
        stream: the decoded track.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._last_position = 0
        self._first_positions: dict[int, int] = {}
        self._counts: Counter[int] = Counter()

    def add(self, packet: Packet[Any]) -> None:
        """Takes note of the next packet of the container."""
        stream, position = packet.stream, packet.pos
        if stream.type != "video" or not packet.size or position is None:
            return
        # By bytes, because a track's last packet comes only when its next one begins or the file ends.
        if stream.index == self._stream.index:
            self._last_position = max(self._last_position, position)
        elif not stream.disposition & Disposition.attached_pic:
            self._first_positions.setdefault(stream.index, position)
            self._counts[stream.index] += 1

    @property
    def picture_count(self) -> int:
        """Number of pictures in such tracks so far."""
        return sum(self._counts[i] for i, first in self._first_positions.items() if first > self._last_position)
