"""A bounded queue per stream that carries items, ends of streams and errors from one thread to another.

A live stream's queue drops its oldest item when the model or a sink is too slow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

T = TypeVar("T")
WhenFull = Literal["wait", "drop_oldest"]

_LONGEST_WAIT_SECONDS = 0.5
"""A signal that comes just before Python's main thread begins to wait is handled only when that wait ends."""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """The capacity of one stream's queue, and what `put` does when it is full. Raises ValueError for a size below 1."""

    size: int
    when_full: WhenFull = "wait"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a queue holds at least one item, not {self.size}")


LIVE_POLICY = QueuePolicy(1, "drop_oldest")
"""Policy for live streams, whose viewers get the newest frame; also while it is not known whether a stream is live."""


class StreamEnd(NamedTuple):
    """The end of one stream of a buffer, reported after the last of its items was taken."""

    stream_index: int
    error: BaseException | None
    """The reason if the stream failed, None at its regular end."""


@dataclass(slots=True)
class _Queue(Generic[T]):
    policy: QueuePolicy
    items: deque[T] = field(default_factory=deque)
    is_closed: bool = False
    end: StreamEnd | None = None
    """The end that is still to be reported by `take_ended`."""
    dropped: int = 0


class FrameBuffer(Generic[T]):
    """Queues of items, one per stream, between threads.

    When a queue is full, `put` waits (files lose nothing) or drops the queue's oldest item and counts it (live streams
    stay fresh), as its policy says. A stream that has ended is reported by `take_ended` after its last item was taken.
    An error given to `close` is raised by `take` after all items, as that very object.
    """

    def __init__(self, *policies: QueuePolicy) -> None:
        self._queues = [_Queue[T](policy) for policy in policies]
        self._changed = threading.Condition()
        self._count = 0
        """Items in all queues."""
        self._open_count = len(policies)
        self._ends_to_report = 0
        self._next_index = 0
        """The queue from which the next item is taken, if it has one."""
        self._error: BaseException | None = None

    def put(self, item: T, stream_index: int = 0) -> bool:
        """Adds `item`, and waits meanwhile where the policy says so. Returns False if the stream is closed."""
        with self._changed:
            queue = self._queues[stream_index]
            while queue.policy.when_full == "wait" and len(queue.items) >= queue.policy.size and not queue.is_closed:
                self._changed.wait()
            if queue.is_closed:
                return False
            if len(queue.items) >= queue.policy.size:
                queue.items.popleft()
                queue.dropped += 1
                self._count -= 1
            queue.items.append(item)
            self._count += 1
            self._changed.notify_all()
            return True

    def take(self, max_items: int = 1, *, wait_until_full: bool = False, timeout: float | None = None) -> list[T]:
        """Waits for a first item, then takes up to `max_items` that are there: one per stream in turn, then again.

        Args:
            max_items: the most that is returned.
            wait_until_full: waits for `max_items`, unless a queue is full before.
            timeout: seconds after which what is there is returned.

        Returns:
            The items; none when a stream has ended (`take_ended`), at the timeout, and when all is over (`is_over`).

        Raises:
            BaseException: the error given to `close`, once, after all items.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._is_ready(max_items, wait_until_full=wait_until_full):
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                self._changed.wait(min(_LONGEST_WAIT_SECONDS, remaining or _LONGEST_WAIT_SECONDS))
            if self._ends_to_report and self._has_drained_end():
                return []
            if self._error is not None and not self._count:
                raise self._pop_error()
            taken = self._pop(max_items)
            self._changed.notify_all()
            return taken

    def _is_ready(self, max_items: int, *, wait_until_full: bool) -> bool:
        """True if `take` need not wait."""
        if self._count >= max_items or not self._open_count:
            return True
        if self._ends_to_report and self._has_drained_end():
            return True
        return self._count > 0 and (not wait_until_full or self._has_full_queue())

    def _has_full_queue(self) -> bool:
        return any(len(queue.items) >= queue.policy.size for queue in self._queues)

    def _has_drained_end(self) -> bool:
        return any(queue.end is not None and not queue.items for queue in self._queues)

    def _pop(self, max_items: int) -> list[T]:
        taken: list[T] = []
        while self._count and len(taken) < max_items:
            queue = self._queues[self._next_index]
            self._next_index = (self._next_index + 1) % len(self._queues)
            if queue.items:
                taken.append(queue.items.popleft())
                self._count -= 1
        return taken

    def _pop_error(self) -> BaseException:
        """Returns the error and forgets it, since its traceback refers to this buffer: a reference cycle."""
        assert self._error is not None
        error, self._error = self._error, None
        return error

    def take_ended(self) -> Sequence[StreamEnd]:
        """Returns the streams that have ended and have no items left, each once."""
        with self._changed:
            ended = []
            for queue in self._queues:
                if queue.end is not None and not queue.items:
                    ended.append(queue.end)
                    queue.end = None
            self._ends_to_report -= len(ended)
            return ended

    def set_policy(self, policy: QueuePolicy, stream_index: int = 0) -> None:
        """Replaces the policy of one stream's queue from now on."""
        with self._changed:
            self._queues[stream_index].policy = policy
            self._changed.notify_all()

    def end_stream(self, stream_index: int, error: BaseException | None = None) -> None:
        """Closes one stream and lets `take_ended` report it. Does nothing if it is closed already."""
        with self._changed:
            queue = self._queues[stream_index]
            if not queue.is_closed:
                queue.is_closed, queue.end = True, StreamEnd(stream_index, error)
                self._open_count -= 1
                self._ends_to_report += 1
                self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Closes all streams; items that are there can still be taken. Only the first call counts."""
        with self._changed:
            if self._open_count:
                self._error = error
            for queue in self._queues:
                queue.is_closed = True
            self._open_count = 0
            self._changed.notify_all()

    def clear(self) -> list[int]:
        """Closes all streams and discards items, ends and errors. Returns the number of items of each stream."""
        with self._changed:
            self.close()
            counts = [len(queue.items) for queue in self._queues]
            for queue in self._queues:
                queue.items.clear()
                queue.end = None
            self._count = self._ends_to_report = 0
            self._error = None
            self._changed.notify_all()
            return counts

    @property
    def is_closed(self) -> bool:
        """True if every stream is closed; items that are there can still be taken."""
        with self._changed:
            return not self._open_count

    @property
    def is_over(self) -> bool:
        """True if every stream is closed, and nothing is left to be taken, reported or raised."""
        with self._changed:
            return not (self._open_count or self._count or self._ends_to_report or self._error)

    def __len__(self) -> int:
        with self._changed:
            return self._count

    @property
    def dropped(self) -> list[int]:
        """Number of items of each stream that were dropped because they were the oldest of a full queue."""
        with self._changed:
            return [queue.dropped for queue in self._queues]
