"""Threads that report how they ended and that can be waited for with a deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from streamdepth.core.errors import StreamDepthError

_log = logging.getLogger(__name__)

T = TypeVar("T")
_NAME_PREFIX = "streamdepth "


class StuckThreadError(StreamDepthError):
    """A thread did not end in time; it is left behind as a daemon."""

    default_code = "stuck-thread"


class WorkerThread:
    """Runs `work` on a thread of its own, then calls `on_ended` there with the exception that ended it, or None."""

    def __init__(self, name: str, work: Callable[[], None], on_ended: Callable[[BaseException | None], None]) -> None:
        # Only the thread holds `work` and `on_ended`, and forgets them at its end: mostly they hold this object.
        self._thread = threading.Thread(target=_run, args=(work, on_ended), name=f"{_NAME_PREFIX}{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def has_ended(self, deadline: float) -> bool:
        """Waits until `deadline` on the monotonic clock. Returns True if the thread has ended, or never started."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Waits until the thread has ended, however long it takes; signals are handled meanwhile."""
        while not self.has_ended(time.monotonic() + 1):
            pass

    def join(self, deadline: float) -> None:
        """Waits until `deadline` on the monotonic clock. Raises StuckThreadError past it."""
        if not self.has_ended(deadline):
            raise StuckThreadError(f"the thread '{self._thread.name}' did not end in time and was left behind")


def _run(work: Callable[[], None], on_ended: Callable[[BaseException | None], None]) -> None:
    try:
        work()
    except BaseException as error:
        on_ended(error)
    else:
        on_ended(None)


def call_interruptibly(work: Callable[[], T]) -> T:
    """Returns what `work` returns, or raises what it raises, while signals such as Ctrl-C are handled at once.

    Python handles signals between two steps of the main thread only; a library that converts a model there would keep
    them waiting for seconds. So `work` runs on another thread, which an exception of a signal leaves behind. Called on
    any other thread than the main one, it just calls `work`.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    def on_ended(error: BaseException | None) -> None:
        if error is not None:
            errors.append(error)

    thread = WorkerThread("work", lambda: results.append(work()), on_ended)
    thread.start()
    thread.wait()
    if errors:
        raise errors.pop()
    return results.pop()


def has_unfinished_threads() -> bool:
    """True if a `WorkerThread` is still running; the end of Python would stop it in the middle of its work."""
    return any(thread.name.startswith(_NAME_PREFIX) for thread in threading.enumerate())


class ThreadGroup:
    """All threads of one run, started here and joined together."""

    def __init__(self) -> None:
        self._threads: list[WorkerThread] = []
        self._completing: list[WorkerThread] = []

    def start(
        self, name: str, work: Callable[[], None], on_ended: Callable[[BaseException | None], None]
    ) -> WorkerThread:
        """Starts a thread that ends soon once its work is told to stop."""
        thread = WorkerThread(name, work, on_ended)
        self._threads.append(thread)
        thread.start()
        return thread

    def start_completing(self, name: str, work: Callable[[], None]) -> None:
        """Starts a thread that completes something, however long it takes, and raises nothing. Thread-safe."""
        thread = WorkerThread(name, work, lambda _: None)
        self._completing.append(thread)
        thread.start()

    def join(self, seconds: float, *, is_leaving_expected: bool = False) -> bool:
        """Waits for all threads. Returns False if some of them are left behind.

        Threads of `start_completing` may take as long as they need. Threads of `start` that do not end within `seconds`
        are left behind, which is logged as an error unless it is expected.
        """
        deadline, have_ended = time.monotonic() + seconds, True
        for thread in self._threads:
            try:
                thread.join(deadline)
            except StuckThreadError as stuck:
                have_ended = False
                _log.log(logging.DEBUG if is_leaving_expected else logging.ERROR, "%s", stuck)
        for thread in self._completing:
            thread.wait()
        return have_ended
