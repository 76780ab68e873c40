"""The states of a stream while it runs, and the history of its changes."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger(__name__)

_MAX_CHANGES = 200
"""Number of changes that a history keeps."""


class StreamState(enum.StrEnum):
    """The state of a stream. Files are `live` too while they are read; only cameras and network streams stall.

    >>> sd.StreamState.FAILED.is_over, sd.StreamState.STALLED.is_over
    (True, False)
    """

    CLOSED = "closed"
    """The source is not open yet."""
    CONNECTING = "connecting"
    """The source is being opened for the first time."""
    LIVE = "live"
    """Frames arrive."""
    STALLED = "stalled"
    """The source is open, but the next frame is overdue by the stream's rate."""
    RECONNECTING = "reconnecting"
    """The source was lost for a reason that may be temporary, and is being opened again."""
    ENDED = "ended"
    """The stream ended normally: end of file, a limit, or stopped by the user."""
    FAILED = "failed"
    """The stream was given up: the reason is permanent, or the source did not come back in time."""

    @property
    def is_over(self) -> bool:
        """True if no frame will come any more."""
        return self in (StreamState.ENDED, StreamState.FAILED)


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of a stream's state, or of the reason for it.

    >>> source = sd.from_frames([np.zeros((48, 64, 3), np.uint8)])
    >>> _ = list(sd.stream(source))
    >>> [change.state.value for change in source.states.changes]
    ['closed', 'connecting', 'live', 'ended']
    """

    state: StreamState
    at: float
    """`time.monotonic()` of the change."""
    reason: str = ""
    """A sentence for people, without credentials; empty where there is nothing to say."""


class StateHistory:
    """The current state of one stream, its latest changes, and counts of reconnects and abandoned readers.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = deque([StateChange(StreamState.CLOSED, time.monotonic())], _MAX_CHANGES)
        self._listeners: list[Callable[[StateChange], None]] = []
        self._reconnects = self._abandoned_readers = 0

    def add_listener(self, listener: Callable[[StateChange], None]) -> None:
        """Calls `listener` with every change from now on, on the thread where it happens.

        It must be quick; an exception that it raises is logged and stops nothing.
        """
        with self._lock:
            self._listeners.append(listener)

    def enter(self, state: StreamState, reason: str = "") -> None:
        """Records a change of the state or of its reason; does nothing if both are as before."""
        with self._lock:
            previous = self._changes[-1]
            if state is previous.state and reason in ("", previous.reason):
                return
            self._reconnects += previous.state is StreamState.RECONNECTING and state is StreamState.LIVE
            change = StateChange(state, time.monotonic(), reason)
            self._changes.append(change)
            listeners = list(self._listeners)
        for listener in listeners:
            _call(listener, change)

    def count_abandoned_reader(self) -> None:
        """Counts a reader that hung inside a library and was left behind."""
        with self._lock:
            self._abandoned_readers += 1

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
        """The number of times that the stream was lost and came back."""
        with self._lock:
            return self._reconnects

    @property
    def abandoned_readers(self) -> int:
        """The number of readers that hung inside a library and were left behind, each with a thread."""
        with self._lock:
            return self._abandoned_readers


def _call(listener: Callable[[StateChange], None], change: StateChange) -> None:
    try:
        listener(change)
    except Exception:
        _log.warning("a listener failed when a stream's state became '%s'", change.state, exc_info=True)
