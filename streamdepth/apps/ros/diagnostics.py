"""The state of the depth for the diagnostics of the ROS 2 node."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamdepth.core.types import DepthFrame

OK, WARN, ERROR, STALE = range(4)
"""Levels of diagnostic_msgs/DiagnosticStatus."""
_STALE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DiagnosticStatus:
    """A status with the fields of diagnostic_msgs/DiagnosticStatus."""

    level: int
    text: str
    values: dict[str, str]


class Diagnostics:
    """Collects facts of the frames that were published. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._error, self._count = "", 0
            self._published_at: deque[float] = deque(maxlen=30)
            self._latency_seconds = self._known = float("nan")

    def on_frame(self, item: DepthFrame) -> None:
        """Records a frame that was just published."""
        now = time.monotonic()
        known = float(np.isfinite(item.depth).mean())
        with self._lock:
            self._count += 1
            self._published_at.append(now)
            self._latency_seconds, self._known = now - item.frame.captured_at, known

    def on_error(self, text: str) -> None:
        """Records the error that ended the depth."""
        with self._lock:
            self._error = text

    def status(self, *, is_active: bool, notices: Sequence[str] = ()) -> DiagnosticStatus:
        """Returns the status now; notices of the source make it a warning."""
        with self._lock:
            times = list(self._published_at)
            values = {"frames": str(self._count)}
            if len(times) > 1:
                values["rate"] = f"{(len(times) - 1) / max(times[-1] - times[0], 1e-9):.1f} Hz"
            if times:
                values["latency"] = f"{1000 * self._latency_seconds:.0f} ms"
                values["known depth"] = f"{100 * self._known:.0f} %"
            error, age = self._error, time.monotonic() - times[-1] if times else float("inf")
        if error:
            return DiagnosticStatus(ERROR, error, values)
        if not is_active:
            return DiagnosticStatus(OK, "not active", values)
        if age > _STALE_SECONDS:
            text = "no depth was published" + ("" if times else " yet; do pictures come?")
            return DiagnosticStatus(STALE, text, values)
        if values["known depth"] == "0 %":
            return DiagnosticStatus(WARN, "the depth is unknown: its meters are withheld, or nothing is seen", values)
        if notices:
            return DiagnosticStatus(WARN, notices[-1], values)
        return DiagnosticStatus(OK, "depth is published", values)
