from __future__ import annotations

import threading
import time

import pytest

from streamdepth.core.threads import StuckThreadError, ThreadGroup, WorkerThread


def test_a_thread_reports_its_end_and_its_error() -> None:
    ends: list[BaseException | None] = []
    error = RuntimeError("broken")

    def fail() -> None:
        raise error

    for work in (lambda: None, fail):
        worker = WorkerThread("test", work, ends.append)
        worker.start()
        worker.join(time.monotonic() + 5)
    assert ends == [None, error]


def test_a_stuck_thread_is_an_error() -> None:
    release = threading.Event()
    worker = WorkerThread("test", lambda: release.wait(20), lambda _: None)
    worker.start()
    with pytest.raises(StuckThreadError, match="streamdepth test"):
        worker.join(time.monotonic() + 0.05)
    release.set()
    worker.join(time.monotonic() + 5)


def test_a_group_waits_for_what_completes_and_leaves_what_is_stuck(caplog: pytest.LogCaptureFixture) -> None:
    release, completed = threading.Event(), threading.Event()
    threads = ThreadGroup()
    stuck = threads.start("stuck", lambda: release.wait(20), lambda _: None)
    threads.start_completing("slow", lambda: (time.sleep(0.2), completed.set()))
    threads.join(0.05)
    assert completed.is_set()
    assert "'streamdepth stuck' did not end in time" in caplog.text
    release.set()
    stuck.join(time.monotonic() + 5)
    caplog.clear()
