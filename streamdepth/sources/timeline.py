"""One clock per stream: timestamps that increase."""

from __future__ import annotations

from fractions import Fraction

_JUMP_SECONDS, _LIVE_JUMP_SECONDS = 1, 10


class Timeline:
    """Makes timestamps strictly increasing, in one time base, and leaves healthy ones exactly as they are.

    A live stream cannot be ahead of the clock on the wall: when its timestamps jump ahead, its clock was set anew.
    """

    def __init__(self, time_base: Fraction, fps: Fraction | None, *, is_live: bool = False) -> None:
        self.time_base, self._is_live = time_base, is_live
        self.repaired = self.jumped = False
        self._step = max(1, round(1 / ((fps or 25) * time_base)))
        self._last: int | None = None
        self._arrived_at: float | None = None
        self._offset = 0
        self._resume_at: int | None = None

    def place(self, pts: int | None, time_base: Fraction, arrived_at: float | None = None) -> int:
        """Ticks of this timeline for a timestamp in another's ticks, or for one that is missing.

        arrived_at: `time.monotonic()` when the picture came; wanted of live streams.
        """
        before, self._arrived_at = self._arrived_at, arrived_at
        passed = arrived_at - before if self._is_live and arrived_at is not None and before is not None else None
        if pts is None:
            return self._keep(0 if self._last is None else self._last + self._step)
        ticks = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
        if self._resume_at is not None:
            self._offset, self._resume_at = self._resume_at - ticks, None
        ticks += self._offset
        if self._last is not None and passed is not None and self._is_ahead(ticks - self._last, passed):
            self.jumped = True
            ahead = max(self._step, round(passed / self.time_base))
            self._offset += self._last + ahead - ticks
            return self._keep(self._last + ahead)
        if self._last is None or ticks > self._last:
            return self._keep(ticks)
        self.repaired = True
        if (self._last - ticks) * self.time_base < _JUMP_SECONDS:
            return self._keep(self._last + 1)
        self._offset += self._last + self._step - ticks
        return self._keep(self._last + self._step)

    def _is_ahead(self, ticks: int, passed_seconds: float) -> bool:
        return ticks * self.time_base > passed_seconds + _LIVE_JUMP_SECONDS

    def resume(self, after_seconds: float) -> None:
        """The clock starts anew: the next timestamp lies so long after the last one."""
        if self._last is not None:
            self._resume_at = self._last + max(self._step, round(after_seconds / self.time_base))

    def _keep(self, ticks: int) -> int:
        self._last = ticks
        return ticks
