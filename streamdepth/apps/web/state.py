"""What the routes of one running server share."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

from streamdepth.apps.web.hub import Hub
from streamdepth.apps.web.schemas import StatusOut
from streamdepth.apps.web.served import Served
from streamdepth.apps.web.status import status_of

_FRESH_SECONDS = 0.5


@dataclass(slots=True)
class State:
    """Of the event loop's thread."""

    served: Served
    hub: Hub
    cameras: set[str] = field(default_factory=set)
    """Streams that a browser's camera feeds just now."""
    keeping: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Of each stream, one snapshot is written at a time: many would take the threads of all other answers."""
    _made: int = 0
    _told: tuple[float, str] | None = None

    def status(self) -> StatusOut:
        """Of now."""
        self._made += 1
        return status_of(self.served, {name: feed.viewers for name, feed in self.hub.feeds.items()}, self._made)

    def status_json(self) -> str:
        """Of just now: one for all viewers."""
        now = time.monotonic()
        if self._told is None or now - self._told[0] > _FRESH_SECONDS:
            self._told = now, self.status().model_dump_json()
        return self._told[1]
