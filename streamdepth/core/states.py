"""What becomes of a stream while it runs: each change is noted once, with its reason, and told to who listens."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger(__name__)

_KEPT = 200


class StreamState(enum.StrEnum):
    """Where a stream stands. Files are `live` too while they are read; only sources that can lose touch stall."""

    CLOSED = "closed"
    """Not open yet."""
    CONNECTING = "connecting"
    """Being opened for the first time."""
    LIVE = "live"
    """Frames come."""
    STALLED = "stalled"
    """Open, but the last frame is older than the stream's rate explains."""
    RECONNECTING = "reconnecting"
    """Lost, for a reason that may pass; being opened again."""
    ENDED = "ended"
    """Over as it should be: the end of a file, a limit, or the user's wish."""
    FAILED = "failed"
    """Given up: the reason will not pass, or has not in time."""

    @property
    def is_over(self) -> bool:
        """Whether no frame will come any more."""
        return self in (StreamState.ENDED, StreamState.FAILED)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One event in the life of a stream."""

    state: StreamState
    at: float
    """`time.monotonic()`."""
    reason: str = ""
    """For people; without secrets, empty where there is nothing to say."""


class StateHistory:
    """The states of one stream. Thread-safe; remembers the latest changes, and counts all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = deque([StateChange(StreamState.CLOSED, time.monotonic())], _KEPT)
        self._listeners: list[Callable[[StateChange], None]] = []
        self._reconnects = self._abandoned = 0

    def add_listener(self, listener: Callable[[StateChange], None]) -> None:
        """`listener` gets every change from now on, on the thread where it happens, and must be quick.

        What it raises is logged and touches nothing else.
        """
        with self._lock:
            self._listeners.append(listener)

    def enter(self, state: StreamState, reason: str = "") -> None:
        """Notes a change of the state or of its reason. What repeats the current state for no new reason is none."""
        with self._lock:
            before, known = self._changes[-1].state, self._changes[-1].reason
            if state is before and reason in ("", known):
                return
            self._reconnects += before is StreamState.RECONNECTING and state is StreamState.LIVE
            change = StateChange(state, time.monotonic(), reason)
            self._changes.append(change)
            listeners = list(self._listeners)
        for listener in listeners:
            _tell(listener, change)

    def count_abandoned_reader(self) -> None:
        """Counts a reader that hung inside a library and was left behind."""
        with self._lock:
            self._abandoned += 1

    @property
    def current(self) -> StateChange:
        """The latest change."""
        with self._lock:
            return self._changes[-1]

    @property
    def changes(self) -> tuple[StateChange, ...]:
        """The latest changes, at most 200, oldest first."""
        with self._lock:
            return tuple(self._changes)

    @property
    def reconnects(self) -> int:
        """How often a lost stream came back."""
        with self._lock:
            return self._reconnects

    @property
    def abandoned_readers(self) -> int:
        """How many readers hung inside a library and were left behind, with one thread each."""
        with self._lock:
            return self._abandoned


def _tell(listener: Callable[[StateChange], None], change: StateChange) -> None:
    try:
        listener(change)
    except Exception:
        _log.warning("a listener failed when a stream's state became '%s'", change.state, exc_info=True)
