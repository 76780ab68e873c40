"""Scheduling priorities of threads that libraries raise without being asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def usual_priority() -> Iterator[None]:
    """Gives threads that became real-time ones meanwhile the scheduling policy back that the caller had before.

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
    """Returns the kernel's numbers of this process's threads of a real-time policy."""
    found = set()
    for name in os.listdir("/proc/self/task"):
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(name))
    return found
