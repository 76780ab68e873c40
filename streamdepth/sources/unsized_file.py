"""Recognizes a file whose server states no length, and which therefore looks like a live stream."""

from __future__ import annotations

import time
from fractions import Fraction

from streamdepth.sources.decoder import DecodedFrame

_LONGEST_INTERVAL_SECONDS = 1.0
"""Longest interval between two frames that is counted: timestamps of live streams jump."""
_LIVE_SPEED = 2.0
"""Seconds of video that come in a second at most, on average, after the first burst of a live stream."""
_LONGEST_BURST_SECONDS = 10.0
"""Most seconds of video that a server of a live stream sends at once to a new client, from its buffer."""
_SLACK_SECONDS = 1.0


class ReceivedVideo:
    """Amount of video that one connection brought, and the time that it took."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._first_time: Fraction | None = None
        self._last_time: Fraction | None = None
        self._frame_count = 0
        self._seconds = 0.0
        self._passed_seconds = 0.0

    def add(self, frame: DecodedFrame) -> None:
        """Counts a frame; one without a timestamp says nothing about the time."""
        self._frame_count += 1
        self._passed_seconds = frame.decoded_at - self._started_at
        if frame.pts is None:
            return
        now = frame.pts * frame.time_base
        if self._last_time is None:
            self._first_time = now
        else:
            self._seconds += min(max(0.0, float(now - self._last_time)), _LONGEST_INTERVAL_SECONDS)
        self._last_time = now

    def is_of_file(self, previous: ReceivedVideo | None) -> bool:
        """True if no live stream would have come so fast.

        A connection that was no longer than the first burst of a live stream is one of a file if the connection before
        it, `previous`, brought the same frames.
        """
        lead = self._seconds - _LIVE_SPEED * self._passed_seconds
        is_repeated = previous is not None and self._extent == previous._extent
        return lead > _LONGEST_BURST_SECONDS or (is_repeated and lead > _SLACK_SECONDS)

    @property
    def _extent(self) -> tuple[Fraction | None, Fraction | None, int]:
        return self._first_time, self._last_time, self._frame_count
