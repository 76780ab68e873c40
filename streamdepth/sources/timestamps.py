"""Correction of timestamps, so that those of one stream always increase."""

from __future__ import annotations

from fractions import Fraction

_JUMP_SECONDS, _LIVE_JUMP_SECONDS = 1, 10
_MAX_REPAIRS = 25
_USUAL_FPS = 25
_CHECK_SECONDS, _PAUSE_SECONDS = 30, 2
_SLOWEST, _FASTEST = 0.67, 1.5


class TimestampCorrector:
    """Makes the timestamps of one stream strictly increasing, in one time base; healthy ones stay exactly as they are.

    A live stream cannot run ahead of the wall clock: timestamps that jump ahead mean that its clock was reset. A live
    clock that stands still, or runs at another speed than the wall clock, is rejected; its frames, and frames without a
    timestamp, get the time of their arrival.
    """

    def __init__(self, time_base: Fraction, fps: Fraction | None, *, is_live: bool = False) -> None:
        self.time_base, self._is_live = time_base, is_live
        self.has_repairs = False
        """True once a timestamp did not increase and was replaced."""
        self.has_jumped = False
        """True once a live clock jumped ahead and was corrected."""
        self.is_clock_rejected = False
        """True once the stream's own clock is no longer used."""
        self._interval = max(1, round(1 / ((fps or _USUAL_FPS) * time_base)))
        self._last: int | None = None
        self._arrived_at: float | None = None
        self._offset = self._repairs_in_row = 0
        self._resume_at: int | None = None
        self._has_timestamps = False
        self._speed_check = _ClockSpeedCheck()

    def correct(self, pts: int | None, time_base: Fraction, arrived_at: float | None = None) -> int:
        """Returns the corrected timestamp of the next frame, in ticks of this object's time base.

        Args:
            pts: the timestamp as it came, in ticks of `time_base`; None when it is missing.
            arrived_at: `time.monotonic()` when the frame came; needed for live streams.
        """
        previous, self._arrived_at = self._arrived_at, arrived_at
        passed = arrived_at - previous if self._is_live and arrived_at is not None and previous is not None else None
        step = self._interval if passed is None else max(1, round(passed / self.time_base))
        if pts is None or self.is_clock_rejected:
            self._resume_at, self._has_timestamps = None, False
            self._last = 0 if self._last is None else self._last + step
            return self._last
        self._last = self._correct_own(pts, time_base, passed, step)
        if self._is_live and arrived_at is not None:
            is_off = self._speed_check.is_off(float(self._last * self.time_base), arrived_at)
            self.is_clock_rejected = is_off or self._repairs_in_row > _MAX_REPAIRS
        return self._last

    def _correct_own(self, pts: int, time_base: Fraction, passed: float | None, step: int) -> int:
        """Corrects a timestamp of the stream's own clock; `step` is the usual distance to the last one in ticks."""
        ticks = pts if time_base == self.time_base else round(pts * time_base / self.time_base)
        if passed is not None and not self._has_timestamps and self._last is not None and self._resume_at is None:
            self._resume_at = self._last + max(self._interval, step)  # the first frames came without timestamps
        self._has_timestamps = True
        if self._resume_at is not None:
            self._offset, self._resume_at = self._resume_at - ticks, None
        ticks += self._offset
        if self._last is not None and passed is not None and self._is_ahead(ticks - self._last, passed):
            self.has_jumped = True
            return self._shift_to(self._last + max(self._interval, step), ticks)
        if self._last is None or ticks > self._last:
            self._repairs_in_row = 0
            return ticks
        self.has_repairs = True
        self._repairs_in_row += 1
        if (self._last - ticks) * self.time_base < _JUMP_SECONDS:
            return self._last + 1
        return self._shift_to(self._last + max(self._interval, step), ticks)

    def _shift_to(self, target: int, ticks: int) -> int:
        """Moves the stream's clock so that `ticks` becomes `target`, for this frame and all later ones."""
        self._offset += target - ticks
        return target

    def _is_ahead(self, ticks: int, passed_seconds: float) -> bool:
        return ticks * self.time_base > passed_seconds + _LIVE_JUMP_SECONDS

    def resume(self, after_seconds: float) -> None:
        """Expects a new clock, as after a reconnect: the next timestamp lies `after_seconds` after the last one."""
        if self._last is not None:
            self._resume_at = self._last + max(self._interval, round(after_seconds / self.time_base))
        self._speed_check = _ClockSpeedCheck()


class _ClockSpeedCheck:
    """Compares a live clock with the wall clock over half a minute at a time; pauses do not count."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._arrived_at = 0.0
        self._times_off = 0

    def is_off(self, seconds: float, arrived_at: float) -> bool:
        """True when the clock, which now says `seconds`, ran too slow or too fast twice in a row."""
        pause, self._arrived_at = arrived_at - self._arrived_at, arrived_at
        if self._start is None or pause > _PAUSE_SECONDS:
            self._start = seconds, arrived_at
            return False
        passed = arrived_at - self._start[1]
        if passed >= _CHECK_SECONDS:
            speed = (seconds - self._start[0]) / passed
            self._times_off = 0 if _SLOWEST <= speed <= _FASTEST else self._times_off + 1
            self._start = seconds, arrived_at
        return self._times_off > 1
