"""How long to wait before the next attempt."""

from __future__ import annotations

import random

_FIRST_SECONDS = 0.5
_UP_SECONDS, _HEALTHY_SECONDS = 1.0, 10.0


class Backoff:
    """Exponential backoff with full jitter: up to 0.5 s, then up to 1, 2, 4... `max_seconds`.

    Jitter keeps many clients of one server from coming back at the same moment (Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, max_seconds: float = 30.0) -> None:
        self._most = max_seconds
        self._longest = _FIRST_SECONDS
        self._is_first = True

    def next_wait_seconds(self) -> float:
        """How long to wait before the next attempt."""
        if self._is_first:
            self._is_first = False
            return random.uniform(0, _FIRST_SECONDS)
        self._longest = min(2 * self._longest, self._most)
        return random.uniform(0, self._longest)

    def note_connection(self, seconds: float) -> None:
        """The connection held for so long. From 1 s on the next attempt is soon, from 10 s on all waits begin anew."""
        self._is_first = self._is_first or seconds >= _UP_SECONDS
        if seconds >= _HEALTHY_SECONDS:
            self._longest = _FIRST_SECONDS
