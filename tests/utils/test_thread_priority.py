"""Threads have the priority that the user gave them, whatever encoders would like."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

import pytest

from streamdepth.sinks.encoders import EncodingOptions, encodes
from streamdepth.utils.thread_priority import usual_priority

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have policies on Linux")


def _policies() -> dict[str, int]:
    """Returns thread id -> scheduling policy of this process's threads, those of libraries among them."""
    found = {}
    for name in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it has ended
            found[name] = os.sched_getscheduler(int(name))
    return found


def test_an_av1_encoder_leaves_every_thread_as_it_was() -> None:
    before = _policies()
    assert encodes("libsvtav1", (128, 96), EncodingOptions("av1"))
    assert {name: policy for name, policy in _policies().items() if policy != before.get(name, os.SCHED_OTHER)} == {}


def test_a_thread_made_real_time_gets_its_policy_back() -> None:
    def run() -> None:
        with usual_priority():
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            except PermissionError:
                seen.append(-1)
        seen.append(os.sched_getscheduler(0))

    seen: list[int] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if -1 in seen:
        pytest.skip("only root may ask for real-time threads")
    assert seen == [os.SCHED_OTHER]
