"""One clock per stream: timestamps that increase."""

from __future__ import annotations

from fractions import Fraction

_JUMP_SECONDS = 1


class Timeline:
    """Makes timestamps strictly increasing, in one time base, and leaves healthy ones exactly as they are."""

    def __init__(self, time_base: Fraction, fps: Fraction | None) -> None:
        self.time_base = time_base
        self.repaired = False
        self._step = max(1, round(1 / ((fps or 25) * time_base)))
        self._last: int | None = None
        self._offset = 0
        self._resume_at: int | None = None

    def place(self, pts: int | None, time_base: Fraction) -> int:
        """Ticks of this timeline for a timestamp in another's ticks, or for one that is missing."""
        if pts is None:
            return self._keep(0 if self._last is None else self._last + self._step)
        ticks = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
        if self._resume_at is not None:
            self._offset, self._resume_at = self._resume_at - ticks, None
        ticks += self._offset
        if self._last is None or ticks > self._last:
            return self._keep(ticks)
        self.repaired = True
        if (self._last - ticks) * self.time_base < _JUMP_SECONDS:
            return self._keep(self._last + 1)
        self._offset += self._last + self._step - ticks
        return self._keep(self._last + self._step)

    def resume(self, after_seconds: float) -> None:
        """The clock starts anew: the next timestamp lies so long after the last one."""
        if self._last is not None:
            self._resume_at = self._last + max(self._step, round(after_seconds / self.time_base))

    def _keep(self, ticks: int) -> int:
        self._last = ticks
        return ticks
