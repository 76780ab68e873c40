"""Times of pictures from files that store only in which order they are decoded."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from streamdepth.utils.containers import has_unknown_order

if TYPE_CHECKING:
    import av
    from av.packet import Packet
    from av.video.stream import VideoStream


class DisplayTimes:
    """Gives the nth picture that is shown the nth time of the packets, where these come in another order.

    That is so for H.264 in AVI. Pictures of other files keep their times.

    Args:
        stream: the decoded track.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._is_needed = has_unknown_order(stream)
        self._times: deque[int] = deque()

    def add(self, packet: Packet[Any]) -> None:
        """Takes note of the time of the next packet to decode."""
        if self._is_needed and packet.size and packet.pts is not None:
            self._times.append(packet.pts)

    def discard_last(self) -> None:
        """Forgets a packet that gives no picture."""
        if self._times:
            self._times.pop()

    def assign(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Returns the next picture, with its time."""
        if self._times:
            frame.pts = self._times.popleft()
        return frame
