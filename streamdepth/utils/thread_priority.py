"""Restores scheduling priorities of threads that libraries change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def usual_priority() -> Iterator[None]:
    """Resets threads that become real-time threads within the block to the caller's scheduling policy.

    SVT-AV1, run as root, makes the thread that opens it and all of its own real-time ones (SCHED_FIFO, priority 99):
    they and every thread started later would take the processor from all other programs. Does nothing but on Linux.

    >>> with usual_priority():
    ...     pass
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _real_time_threads()
    try:
        yield
    finally:
        for thread in _real_time_threads() - before:
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, policy, parameters)


def _real_time_threads() -> set[int]:
    """Returns the thread ids of this process's threads with a real-time policy."""
    found = set()
    for name in os.listdir("/proc/self/task"):
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(name))
    return found
