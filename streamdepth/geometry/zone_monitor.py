"""The depth in a zone over time: its trend, and the moments at which something entered or left the zone."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame
from streamdepth.core.zones import Unit, Zone, ZoneDepth, measure_zone, unit_of

HOLD_SECONDS = 0.3
MARGIN = 0.1
TREND_SECONDS = 1.0
"""Time over which the trend is measured."""
_TREND_FRAMES = 12
"""Largest number of frames of that time that are looked at."""
_LEARNING_SECONDS = 1.0
"""Time at the beginning of a shot in which the background of a zone without `near` is measured."""
_FARTHEST_M = 1000.0
"""What is beyond it, such as sky, is as far as this."""
_EPSILON_SECONDS = 1e-6
"""Frame times are sums of rounded numbers."""


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """Something entered a zone, or left it."""

    kind: Literal["entered", "left"]
    time: float
    """Time of the first frame in which it was in, or was out, in seconds on the clock of the frames."""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """The depth in a zone at one frame, and what has become of the zone."""

    zone: Zone
    index: int
    """Index of the frame."""
    time: float
    """Time of the frame in seconds."""
    unit: Unit
    """Unit of all depth here: m for metric depth, % of the range for relative depth, where 100 is near."""
    depth: ZoneDepth
    trend: float
    """Change of the nearest depth per second, in `unit`; NaN until half a second of it is known.

    It is the median slope between all pairs of frames of the last second (Theil and Sen), which outliers do not change.
    What comes nearer has a negative trend in meters, and a positive one in percent.
    """
    is_occupied: bool
    """True from `entered` to `left`."""
    event: ZoneEvent | None = None
    """The event that became certain with this frame."""


class ZoneMonitor:
    """Watches a zone of one stream, frame by frame.

    Something is in the zone once its nearest depth is nearer than `zone.near`, and until it is farther than that by a
    `margin`. A zone without `near` measures its background in the first second of a shot; it is the median of the
    nearest depth, and what is nearer by two margins is in the zone. A background that gives way is measured again.
    Either must last for `hold_seconds` to be an event, so that flicker at the border makes none. Unknown depth changes
    nothing.

    >>> monitor = ZoneMonitor(sd.Zone.parse("middle=240,120,160,120"))
    >>> states = [monitor.update(item) for item in sd.stream("samples/room.mp4", max_frames=3)]
    >>> [state.index for state in states], states[0].unit, states[0].is_occupied
    ([0, 1, 2], '%', False)

    Args:
        zone: the zone to watch.
        hold_seconds: time for which something must be in, or out, before it counts.
        margin: difference of depth between entering and leaving: 0.1 is 10 % of a distance in meters, or 10 percent of
            the range.
    """

    def __init__(self, zone: Zone, *, hold_seconds: float = HOLD_SECONDS, margin: float = MARGIN) -> None:
        self.zone = zone
        self._margin = margin
        self._gate = _Gate(hold_seconds)
        self._background = _Background(hold_seconds)
        self._recent: deque[tuple[float, float]] = deque()
        """Time and nearest depth of the frames of the last second."""

    def update(self, item: DepthFrame) -> ZoneState:
        """Takes the next frame of the stream, and returns the state of the zone in it.

        Raises ConfigError ("zone-unit") if `zone.near` has another unit than the depth.
        """
        time, unit, depth = item.frame.time, unit_of(item.kind), measure_zone(self.zone, item)
        if self.zone.unit not in (None, unit):
            raise ConfigError(
                f"the zone {self.zone} gives its depth in {self.zone.unit}, and depth is in {unit} here; use {unit}",
                code="zone-unit",
            )
        if item.cut or (self._recent and time < self._recent[-1][0]):
            self._recent.clear()
            self._background.forget()
            self._gate.forget()
        self._recent.append((time, depth.nearest))
        while self._recent[0][0] < time - TREND_SECONDS - _EPSILON_SECONDS:
            self._recent.popleft()
        event = self._detect(time, self._closeness(depth.nearest, unit), unit)
        trend = _trend(self._recent)
        return ZoneState(self.zone, item.frame.index, time, unit, depth, trend, self._gate.is_occupied, event)

    def _detect(self, time: float, closeness: float, unit: Unit) -> ZoneEvent | None:
        if math.isnan(closeness):
            return None
        if self.zone.near is not None:
            limit = self._closeness(self.zone.near, unit)
        elif (background := self._background.update(time, closeness)) is not None:
            limit = background + 2
        else:
            return None
        began = self._gate.update(time, closeness, limit)
        return None if began is None else ZoneEvent("entered" if self._gate.is_occupied else "left", began)

    def _closeness(self, depth: float, unit: Unit) -> float:
        """Returns how near a depth is, counted in margins: 1 more is nearer by one margin."""
        if unit == "m":
            return -math.log(min(max(depth, 1e-6), _FARTHEST_M)) / math.log(1 + self._margin)
        return depth / (100 * self._margin)


class _Gate:
    """Decides if something is in: hysteresis in value, by one margin, and then in time."""

    def __init__(self, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._is_near = self.is_occupied = False
        self._since: float | None = None
        """Time since when `_is_near` is not what `is_occupied` says."""

    def forget(self) -> None:
        """Forgets a change that did not last long enough yet."""
        self._since = None

    def update(self, time: float, closeness: float, limit: float) -> float | None:
        """Returns the time at which a change began that has lasted long enough now; None without one."""
        self._is_near = closeness > (limit - 1 if self._is_near else limit)
        if self._is_near == self.is_occupied:
            self._since = None
            return None
        began = self._since = time if self._since is None else self._since
        if time - began < self._hold_seconds - _EPSILON_SECONDS:
            return None
        self.is_occupied, self._since = self._is_near, None
        return began


class _Background:
    """The closeness of a zone with nothing in it."""

    def __init__(self, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self.forget()

    def forget(self) -> None:
        """Begins to measure anew."""
        self._known: float | None = None
        self._values: list[float] = []
        self._since: float | None = None
        """Time since when it is measured, or since when what is seen is farther than it."""

    def update(self, time: float, closeness: float) -> float | None:
        """Takes the closeness of a frame; returns that of the background, None while it is measured."""
        if self._known is None:
            self._values.append(closeness)
            self._since = time if self._since is None else self._since
            if time - self._since >= _LEARNING_SECONDS - _EPSILON_SECONDS:
                self._known, self._since = float(np.median(self._values)), None
        elif closeness >= self._known - 1:
            self._since = None
        else:
            self._since = time if self._since is None else self._since
            if time - self._since >= self._hold_seconds - _EPSILON_SECONDS:
                self.forget()
        return self._known


def _trend(recent: deque[tuple[float, float]]) -> float:
    """Returns the median of the slopes between all pairs of (time, depth), NaN where less than half a second is known.

    Source: Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968.
    """
    known = np.array([pair for pair in recent if math.isfinite(pair[1])]).reshape(-1, 2)
    if len(known) < 3 or known[-1, 0] - known[0, 0] < TREND_SECONDS / 2 - _EPSILON_SECONDS:
        return math.nan
    known = known[:: -(-len(known) // _TREND_FRAMES)]
    first, second = np.triu_indices(len(known), 1)
    times, depths = (known[second] - known[first]).T
    return float(np.median(depths / times))
