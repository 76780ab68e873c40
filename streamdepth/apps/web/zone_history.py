"""The depth in the zones of a stream over the last two minutes, for the page's plots."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streamdepth.apps.web.frame_history import HISTORY_SECONDS
from streamdepth.geometry.zone_monitor import ZoneState


@dataclass(slots=True)
class WatchedZone:
    """A zone with its newest state."""

    state: ZoneState
    entered: int = 0
    """Number of times that something entered it."""
    nearest: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=HISTORY_SECONDS))
    """Whole seconds on the clock of the frames, and the nearest depth of the last frame of each."""


class ZoneHistories:
    """The zones of one stream with their history. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zones: list[WatchedZone] = []

    def add_states(self, states: Sequence[ZoneState]) -> None:
        """Adds the states of all zones at the next frame; zones without a state are forgotten."""
        with self._lock:
            known = {watched.state.zone: watched for watched in self._zones}
            self._zones = [_updated(known.get(state.zone) or WatchedZone(state), state) for state in states]

    def zones(self, names: Iterable[str]) -> list[WatchedZone]:
        """Returns the zones of these names that the newest frame has, in its order."""
        names = set(names)
        with self._lock:
            zones = [watched for watched in self._zones if watched.state.zone.name in names]
            return [WatchedZone(z.state, z.entered, z.nearest.copy()) for z in zones]


def _updated(watched: WatchedZone, state: ZoneState) -> WatchedZone:
    watched.state = state
    watched.entered += state.event is not None and state.event.kind == "entered"
    second = int(state.time)
    if watched.nearest and watched.nearest[-1][0] == second:
        watched.nearest.pop()
    watched.nearest.append((second, state.depth.nearest))
    return watched
