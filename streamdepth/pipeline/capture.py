"""The first step of each stream: its source is opened and read, and its states are noted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from streamdepth.core.errors import ConfigError
from streamdepth.core.states import StateChange, StreamState
from streamdepth.core.types import Frame
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import Captured, Stream
from streamdepth.utils.redact import redact_text

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


class Capture:
    """Reads one stream. `max_frames` and `max_seconds` (on the source's clock) end it early."""

    def __init__(
        self, lane: int, stream: Stream, stats: Stats, *, max_frames: int | None, max_seconds: float | None
    ) -> None:
        self.lane, self.stream, self._stats = lane, stream, stats
        self._max_frames, self._max_seconds = max_frames, max_seconds
        self._count = 0
        self._first_seconds: float | None = None
        self._origin: tuple[int, int] | None = None
        stream.source.states.add_listener(self._log)

    def _log(self, change: StateChange) -> None:
        is_trouble = change.state in (StreamState.STALLED, StreamState.RECONNECTING)
        why = f": {change.reason}" if change.reason else ""
        _log.log(logging.WARNING if is_trouble else logging.INFO, "%s %s%s", self.stream.title, change.state, why)

    def open(self, *, waits: bool = False) -> bool:
        """Opens the source; `waits` for one that may come later, False when interrupted meanwhile.

        Raises SourceError, and ConfigError where the stream is live and its stabilizer for files.
        """
        source = self.stream.source
        source.states.enter(StreamState.CONNECTING)
        try:
            self.stream.info = source.wait_until_open() if waits else source.open()
            self._check()
        except Exception as error:
            self.end(error)
            raise
        return self.stream.info is not None

    def _check(self) -> None:
        if self.stream.info and self.stream.info.is_live and self.stream.stabilizer.is_offline:
            raise ConfigError(
                f"'{self.stream.title}' is live, and offline smoothing and the range per-shot are for files; use "
                "smooth default and range auto"
            )

    def run(self, put: Callable[[Captured], bool], ready: threading.Event) -> None:
        """Reads until the end, a limit, or until `put` does not take a frame. Raises SourceError.

        A live stream begins when the model is `ready`: what passes by before that is let go, so that its first frame is
        fresh. It neither counts nor leaves a gap: numbers and times begin with that first frame.
        """
        first = self._first_fresh(ready) if self.stream.is_timely else None
        while self._count != self._max_frames:
            frame, first = self._read(first), None
            if frame is None:
                return
            self._count += 1
            self._stats.count("read", lane=self.lane)
            assert self.stream.info is not None
            if not put(Captured(self.lane, frame, self.stream.info)):
                self._stats.count("stopped", lane=self.lane)
                return

    def _first_fresh(self, ready: threading.Event) -> Frame | None:
        """What passes by as the model gets ready; None where all is still to be read."""
        source = self.stream.source
        while source.drops_unread_frames and not ready.is_set():
            frame = source.read()
            if frame is None or ready.is_set():
                return frame
        while not (ready.wait(_LOOK_SECONDS) or source.interrupted.is_set()):
            pass
        return None

    def _read(self, frame: Frame | None) -> Frame | None:
        """The next frame, or that one, as it goes on. Raises SourceError."""
        began = time.monotonic()
        frame = frame or self.stream.source.read()
        if frame is None:
            return None
        frame = self._counted_from_the_first(frame)
        self._first_seconds = frame.time if self._first_seconds is None else self._first_seconds
        if self._max_seconds is not None and frame.time - self._first_seconds >= self._max_seconds:
            return None
        self._stats.time("decode", time.monotonic() - began)
        self.stream.source.states.enter(StreamState.LIVE)
        self.stream.info = self.stream.source.take_changed_info() or self.stream.info
        return frame

    def _counted_from_the_first(self, frame: Frame) -> Frame:
        if not self.stream.source.drops_unread_frames:
            return frame
        self._origin = self._origin or (frame.index, frame.pts)
        index, pts = self._origin
        return replace(frame, index=frame.index - index, pts=frame.pts - pts) if index or pts else frame

    def end(self, error: BaseException | None) -> None:
        """Notes how it ended."""
        state = StreamState.FAILED if error else StreamState.ENDED
        self.stream.source.states.enter(state, redact_text(str(error)) if error else "")
