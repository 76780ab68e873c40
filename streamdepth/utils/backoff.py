"""Waiting times between attempts to connect."""

from __future__ import annotations

import random

_FIRST_LIMIT_SECONDS = 0.5
_CONNECTED_SECONDS, _HEALTHY_SECONDS = 1.0, 10.0


class Backoff:
    """Exponential backoff with full jitter: waits of up to 0.5 s, then up to 1, 2, 4... `max_seconds`.

    Jitter keeps many clients of one server from coming back at the same moment (Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, max_seconds: float = 30.0) -> None:
        self._max_seconds = max_seconds
        self._limit_seconds = _FIRST_LIMIT_SECONDS
        self._is_first = True

    def next_wait_seconds(self) -> float:
        """Returns how long to wait before the next attempt, at random below a limit that doubles each time."""
        if self._is_first:
            self._is_first = False
            return random.uniform(0, _FIRST_LIMIT_SECONDS)
        self._limit_seconds = min(2 * self._limit_seconds, self._max_seconds)
        return random.uniform(0, self._limit_seconds)

    def note_connection(self, seconds: float) -> None:
        """Records a connection that lasted for `seconds`.

        After 1 s or more the next attempt comes soon; after 10 s or more all limits start from the beginning.
        """
        self._is_first = self._is_first or seconds >= _CONNECTED_SECONDS
        if seconds >= _HEALTHY_SECONDS:
            self._limit_seconds = _FIRST_LIMIT_SECONDS
