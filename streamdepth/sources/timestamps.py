"""One clock per stream: timestamps that increase."""

from __future__ import annotations

from fractions import Fraction

_JUMP_SECONDS, _LIVE_JUMP_SECONDS = 1, 10
_MOST_REPAIRS = 25
_WATCH_SECONDS, _PAUSE_SECONDS = 30, 2
_SLOWEST, _FASTEST = 0.67, 1.5


class TimestampCorrector:
    """Makes timestamps strictly increasing, in one time base, and leaves healthy ones exactly as they are.

    A live stream cannot be ahead of the clock on the wall: when its timestamps jump ahead, its clock was set anew. A
    live clock that stands still or runs at another speed than the wall's is not believed any more (`is_broken`); its
    pictures, and those without a timestamp, get the time of their arrival.
    """

    def __init__(self, time_base: Fraction, fps: Fraction | None, *, is_live: bool = False) -> None:
        self.time_base, self._is_live = time_base, is_live
        self.repaired = self.jumped = self.is_broken = False
        self._step = max(1, round(1 / ((fps or 25) * time_base)))
        self._last: int | None = None
        self._arrived_at: float | None = None
        self._offset = self._repairs = 0
        self._resume_at: int | None = None
        self._is_stamped = False
        self._speed = _Speed()

    def place(self, pts: int | None, time_base: Fraction, arrived_at: float | None = None) -> int:
        """Ticks of this timeline for a timestamp in another's ticks, or for one that is missing.

        arrived_at: `time.monotonic()` when the picture came; wanted of live streams.
        """
        before, self._arrived_at = self._arrived_at, arrived_at
        passed = arrived_at - before if self._is_live and arrived_at is not None and before is not None else None
        ahead = self._step if passed is None else max(1, round(passed / self.time_base))
        if pts is None or self.is_broken:
            self._resume_at, self._is_stamped = None, False
            return self._keep(0 if self._last is None else self._last + ahead)
        ticks = self._keep(self._believed(pts, time_base, passed, ahead))
        if self._is_live and arrived_at is not None:
            is_off = self._speed.is_off(float(ticks * self.time_base), arrived_at)
            self.is_broken = is_off or self._repairs > _MOST_REPAIRS
        return ticks

    def _believed(self, pts: int, time_base: Fraction, passed: float | None, ahead: int) -> int:
        ticks = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
        if passed is not None and not self._is_stamped and self._last is not None and self._resume_at is None:
            self._resume_at = self._last + max(self._step, ahead)  # the first pictures came without
        self._is_stamped = True
        if self._resume_at is not None:
            self._offset, self._resume_at = self._resume_at - ticks, None
        ticks += self._offset
        if self._last is not None and passed is not None and self._is_ahead(ticks - self._last, passed):
            self.jumped = True
            return self._shifted(ticks, self._last + max(self._step, ahead))
        if self._last is None or ticks > self._last:
            self._repairs = 0
            return ticks
        self.repaired = True
        self._repairs += 1
        if (self._last - ticks) * self.time_base < _JUMP_SECONDS:
            return self._last + 1
        return self._shifted(ticks, self._last + max(self._step, ahead))

    def _shifted(self, ticks: int, to: int) -> int:
        """From here on the stream's clock is off by as much as `ticks` from where it should be."""
        self._offset += to - ticks
        return to

    def _is_ahead(self, ticks: int, passed_seconds: float) -> bool:
        return ticks * self.time_base > passed_seconds + _LIVE_JUMP_SECONDS

    def resume(self, after_seconds: float) -> None:
        """The clock starts anew: the next timestamp lies so long after the last one."""
        if self._last is not None:
            self._resume_at = self._last + max(self._step, round(after_seconds / self.time_base))
        self._speed = _Speed()

    def _keep(self, ticks: int) -> int:
        self._last = ticks
        return ticks


class _Speed:
    """Compares a live clock with the wall's over half a minute at a time; pauses do not count."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._arrived_at = 0.0
        self._times_off = 0

    def is_off(self, seconds: float, arrived_at: float) -> bool:
        """seconds: on the stream's clock. True when it ran too slow or too fast twice in a row."""
        pause, self._arrived_at = arrived_at - self._arrived_at, arrived_at
        if self._start is None or pause > _PAUSE_SECONDS:
            self._start = seconds, arrived_at
            return False
        passed = arrived_at - self._start[1]
        if passed >= _WATCH_SECONDS:
            speed = (seconds - self._start[0]) / passed
            self._times_off = 0 if _SLOWEST <= speed <= _FASTEST else self._times_off + 1
            self._start = seconds, arrived_at
        return self._times_off > 1
