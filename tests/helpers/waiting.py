"""Waiting for events on another thread or in another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object]) -> None:
    """Waits until `condition()` is true; fails after a minute, which suffices on a busy machine."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waits_for(event: threading.Event, at: int | None = None) -> Callable[..., None]:
    """A callback that waits for an event, at one index or always."""

    def wait(*arguments: object) -> None:
        assert at not in (None, *arguments) or event.wait(30)

    return wait
