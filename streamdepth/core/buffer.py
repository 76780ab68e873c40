"""Crossing threads: `FrameBuffer` carries items and errors from one to another, `Worker` owns one, `Workers` all."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from streamdepth.core.errors import StreamDepthError

T = TypeVar("T")
WhenFull = Literal["wait", "drop_oldest"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How much one lane of a buffer holds, and what happens when it is full."""

    size: int
    when_full: WhenFull = "wait"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a buffer holds at least one item, not {self.size}")


@dataclass(slots=True)
class _Lane(Generic[T]):
    policy: QueuePolicy
    items: deque[T] = field(default_factory=deque)
    closed: bool = False
    error: BaseException | None = None
    dropped: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= self.policy.size

    def pop_error(self) -> BaseException:
        """An error that is also a variable where it is raised holds itself, by its traceback."""
        assert self.error is not None
        error, self.error = self.error, None
        return error


class FrameBuffer(Generic[T]):
    """A bounded queue with one lane per stream.

    When a lane is full, `put` waits (files lose nothing) or drops the lane's oldest item and counts it (live streams
    stay fresh), as the lane's policy says. An error given to `close` is raised by `take` after the items before it, as
    that very object.
    """

    def __init__(self, *lanes: QueuePolicy) -> None:
        self._lanes = [_Lane[T](policy) for policy in lanes]
        self._next = 0
        self._changed = threading.Condition()

    def put(self, item: T, lane: int = 0) -> bool:
        """Adds `item`; waits while a waiting lane is full. False when the lane is closed: the item was not taken."""
        with self._changed:
            own = self._lanes[lane]
            while own.policy.when_full == "wait" and own.is_full and not own.closed:
                self._changed.wait()
            if own.closed:
                return False
            if own.is_full:
                own.items.popleft()
                own.dropped += 1
            own.items.append(item)
            self._changed.notify_all()
            return True

    def take(self, most: int = 1, *, fill: bool = False, within: float | None = None) -> list[T]:
        """Waits for a first item, then takes up to `most` that are there: one of each lane in turn, then again.

        With `fill`, waits for `most` items unless a lane holds all it can. An empty list means that all is over
        (`is_over`), or that nothing came `within` seconds. Raises the error that closed a lane, once, when that lane is
        drained.
        """
        deadline = None if within is None else time.monotonic() + within
        with self._changed:
            while True:
                self._raise_error()
                ready = sum(len(lane.items) for lane in self._lanes)
                is_offline = deadline is not None and time.monotonic() >= deadline
                if ready >= most or self.is_closed or is_offline or (ready and not (fill and self._can_grow())):
                    taken = [self._pop() for _ in range(min(most, ready))]
                    self._changed.notify_all()
                    return taken
                self._changed.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def settle(self, policy: QueuePolicy, lane: int = 0) -> None:
        """Another policy of a lane from now on, once it is known what comes there."""
        with self._changed:
            self._lanes[lane].policy = policy
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Every lane is closed; what is left can still be taken."""
        with self._changed:
            return all(lane.closed for lane in self._lanes)

    @property
    def is_over(self) -> bool:
        """Every lane is closed, and nothing is left to be taken or raised."""
        with self._changed:
            return self.is_closed and not any(lane.items or lane.error for lane in self._lanes)

    def _can_grow(self) -> bool:
        return not any(lane.is_full for lane in self._lanes) and not self.is_closed

    def _raise_error(self) -> None:
        for lane in self._lanes:
            if lane.error is not None and not lane.items:
                raise lane.pop_error()

    def _pop(self) -> T:
        while not self._lanes[self._next].items:
            self._next = (self._next + 1) % len(self._lanes)
        item = self._lanes[self._next].items.popleft()
        self._next = (self._next + 1) % len(self._lanes)
        return item

    def close(self, error: BaseException | None = None, lane: int | None = None) -> None:
        """Ends one lane, or all; items already there can still be taken. Only a lane's first `close` counts."""
        with self._changed:
            for own in self._lanes if lane is None else [self._lanes[lane]]:
                if not own.closed:
                    own.closed, own.error = True, error
            self._changed.notify_all()

    def clear(self) -> list[int]:
        """Closes all lanes and throws their items and errors away; returns how many items of each lane."""
        self.close()
        with self._changed:
            counts = [len(lane.items) for lane in self._lanes]
            for lane in self._lanes:
                lane.items.clear()
                lane.error = None
            self._changed.notify_all()
            return counts

    def __len__(self) -> int:
        with self._changed:
            return sum(len(lane.items) for lane in self._lanes)

    @property
    def dropped(self) -> list[int]:
        """Of each lane: items dropped because they were its oldest when it was full."""
        with self._changed:
            return [lane.dropped for lane in self._lanes]


class StuckThreadError(StreamDepthError):
    """A thread did not end in time; it is left behind as a daemon."""


class Worker:
    """Owns one thread that runs `work`; `done` is called at its end, with its exception or None, whatever happens."""

    def __init__(self, name: str, work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        # Only the thread holds `work` and `done`, and lets go of them at its end: mostly they hold this worker.
        self._thread = threading.Thread(target=_run, args=(work, done), name=f"streamdepth {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def has_ended(self, deadline: float) -> bool:
        """Waits until `deadline` on the monotonic clock. True where it has not begun, too."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Waits, however long it takes; signals are heard meanwhile."""
        while not self.has_ended(time.monotonic() + 1):
            pass

    def join(self, deadline: float) -> None:
        """Waits until `deadline` on the monotonic clock. Raises StuckThreadError past it."""
        if not self.has_ended(deadline):
            raise StuckThreadError(f"the thread '{self._thread.name}' did not end in time and was left behind")


def _run(work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
    try:
        work()
    except BaseException as error:
        done(error)
    else:
        done(None)


class Workers:
    """All threads of one run, started here and waited for together."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._patient: list[Worker] = []

    def start(self, name: str, work: Callable[[], None], done: Callable[[BaseException | None], None]) -> Worker:
        """One that ends soon once it is told to."""
        self._workers.append(Worker(name, work, done))
        self._workers[-1].start()
        return self._workers[-1]

    def finish(self, name: str, work: Callable[[], None]) -> None:
        """One that completes something, however long it takes, and raises nothing. Called by the others too."""
        worker = Worker(name, work, lambda _: None)
        self._patient.append(worker)
        worker.start()

    def join(self, seconds: float) -> None:
        """Waits for all of them; those of `start` that do not end in `seconds` are left behind, with an error log."""
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            try:
                worker.join(deadline)
            except StuckThreadError as stuck:
                _log.error("%s", stuck)
        for worker in self._patient:
            worker.wait()
