"""The state that all routes of a running server share."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

from streamdepth.apps.web.broadcast import Broadcaster
from streamdepth.apps.web.schemas import StatusOut
from streamdepth.apps.web.session import WebSession
from streamdepth.apps.web.status import build_status

_STATUS_CACHE_SECONDS = 0.5


@dataclass(slots=True)
class AppState:
    """State shared by all requests; used on the event loop's thread only.

    It holds the session, its broadcasts, connected browser cameras, snapshot locks and a cached status.
    """

    session: WebSession
    broadcaster: Broadcaster
    connected_cameras: set[str] = field(default_factory=set)
    """Names of the streams that a browser's camera feeds now."""
    snapshot_locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """A lock for each stream: writing many snapshots at once would take the threads of all other requests."""
    _status_count: int = 0
    _cached_status: tuple[float, str] | None = None
    """Time of `time.monotonic()`, and the status as JSON."""

    def status(self) -> StatusOut:
        """Builds a fresh status."""
        self._status_count += 1
        viewers = {name: stream.viewers for name, stream in self.broadcaster.streams.items()}
        return build_status(self.session, viewers, self._status_count)

    def status_json(self) -> str:
        """Returns a status of the last half second as JSON, one for all viewers."""
        now = time.monotonic()
        if self._cached_status is None or now - self._cached_status[0] > _STATUS_CACHE_SECONDS:
            self._cached_status = now, self.status().model_dump_json()
        return self._cached_status[1]
