"""Makes Ctrl-C (SIGINT), SIGTERM and a closed terminal (SIGHUP) end a run early, with complete files."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask a command to end: Ctrl-C, `kill`, and a terminal that was closed."""


@contextmanager
def stop_on_interrupt(stop: Callable[[], None], is_complete: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Calls `stop` at the first of STOP_SIGNALS within the block; a second one raises KeyboardInterrupt.

    Does nothing outside of the main thread, where Python does not deliver signals. A signal that was ignored when the
    block began, as SIGHUP is below `nohup`, stays ignored.

    Args:
        stop: ends the work early and cleanly.
        is_complete: True once all results are in place; then signals change nothing any more.
    """
    was_stopped = False

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal was_stopped
        if is_complete():
            return
        if was_stopped:
            raise KeyboardInterrupt
        was_stopped = True
        stop()

    with _handling_stop_signals(on_signal):
        yield


@contextmanager
def interrupt_on_stop_signals() -> Iterator[None]:
    """Makes all of STOP_SIGNALS raise KeyboardInterrupt within the block. Does nothing outside of the main thread."""
    with _handling_stop_signals(signal.default_int_handler):
        yield


@contextmanager
def _handling_stop_signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}
    handled = [number for number in STOP_SIGNALS if previous[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number])


def exit_on_stop_signals() -> None:
    """Makes SIGTERM and SIGHUP raise SystemExit, so that blocks are left in order and unfinished files removed."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in STOP_SIGNALS:
        if number is not signal.SIGINT and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


def ignore_stop_signals() -> None:
    """Ignores STOP_SIGNALS from now on, once a command has done its work and only the interpreter is ending."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
