"""What cameras and network streams share: they stall, vanish and come back, and are read so that nothing hangs."""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Generic

from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.states import StreamState
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.background_reader import BackgroundReader, ConnectionT
from streamdepth.sources.decoder import TimestampedSource
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.redact import redact_text

_STALL_INTERVALS, _STALL_SECONDS = 2, 1.0
_GRACE_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_MEMORY_SECONDS = 30.0
_OTHER_RATE = 0.1


class LiveSource(TimestampedSource, Generic[ConnectionT]):
    """A source that may be lost for a while.

    - **live**: pictures come. **stalled**: the last one is older than two intervals and a second.
    - **reconnecting**: the connection ended or broke, or gave nothing for `timeout_seconds`. It is opened again after
      waits as `Backoff` says, at once when `_is_back` sees it return, for up to `reconnect_seconds` (0: never).
    - **failed**: those are used up, or the reason will not pass (`_is_final`). `read` raises SourceLostError.

    The library is called on a `Reader`'s thread only. When it overruns its own limits, the thread is left behind and
    counted (`states.abandoned`), one for each loss at most.
    """

    def __init__(self, name: str, *, timeout_seconds: float, reconnect_seconds: float) -> None:
        super().__init__()
        self.name = name
        self.timeout_seconds, self.reconnect_seconds = timeout_seconds, reconnect_seconds
        self._reader: BackgroundReader[ConnectionT] | None = None
        self._connection: ConnectionT | None = None
        self._info: StreamInfo | None = None
        self._renewed: StreamInfo | None = None
        self._backoff = Backoff()
        self._fresh_at = self._live_since = 0.0
        self._interval_seconds = 0.0
        self._lock = threading.RLock()

    def _prepare(self) -> None:
        """Begins anew, before the first attempt to connect. Raises ConfigError."""

    @abstractmethod
    def _connect(self) -> ConnectionT:
        """Opens it, on the reader's thread, within `_opening_seconds`. Raises SourceError."""

    @abstractmethod
    def _describe(self, connection: ConnectionT) -> StreamInfo:
        """What `feed` gives."""

    @abstractmethod
    def _is_final(self, error: Exception, times: int) -> bool:
        """Whether this, met so many times since the stream was lost, will not pass."""

    @abstractmethod
    def _fault(self, connection: ConnectionT) -> Exception | None:
        """What ended `feed`; None when it just ended."""

    @abstractmethod
    def _explain(self, fault: Exception) -> str:
        """A reason for people."""

    def _is_back(self, after: Exception | None) -> bool:
        """A cheap look, made while waiting after that fault: True when the next attempt is worth making now."""
        return False

    def _settle(self, connection: ConnectionT) -> None:
        """`feed` is done with: counts what it has lost."""

    def _at_end(self, connection: ConnectionT) -> bool:
        """Whether `feed`, which is not live, has ended as it should. Raises SourceLostError for a damaged one."""
        return False

    @property
    def _silence_seconds(self) -> float:
        """How long no picture may come."""
        return self.timeout_seconds

    @property
    def _opening_seconds(self) -> float:
        return self.timeout_seconds

    @property
    def drops_unread_frames(self) -> bool:
        return self._is_live

    def open(self) -> StreamInfo:
        info = self._open(self._begin_reading)
        assert info is not None
        return info

    def wait_until_open(self) -> StreamInfo | None:
        return self._open(self._await_feed)

    def _open(self, begin: Callable[[], ConnectionT | None]) -> StreamInfo | None:
        with self._lock:
            self._interrupt_reader()
            self._end_reading()
            self._prepare()
            self._backoff = Backoff()
            self.states.enter(StreamState.CONNECTING)
            try:
                connection = begin()
            except SourceError as error:
                self.states.enter(StreamState.FAILED, redact_text(str(error)))
                raise
            return None if connection is None else self._begin(connection)

    def _begin(self, connection: ConnectionT) -> StreamInfo:
        self._info, self._renewed = self._describe(connection), None
        self._start_clock(self._info.time_base, self._info.fps, is_live=self._info.is_live)
        self._note_live(self._info.fps)
        return self._info

    def _await_feed(self) -> ConnectionT | None:
        try:
            return self._begin_reading()
        except SourceError as error:
            if self.interrupted.is_set():
                return None
            if self._is_final(_cause(error), 1):
                raise
            fault = _cause(error)
        self.states.enter(StreamState.CONNECTING, self._explain(fault))
        return self._try_again(fault, self._never_there)

    def _begin_reading(self) -> ConnectionT:
        reader = self._reader = BackgroundReader(self._connect)
        try:
            connection = None if self.interrupted.is_set() else reader.open(self._opening_seconds + _GRACE_SECONDS)
            if connection is None:
                if self.interrupted.is_set():
                    raise SourceOpenError(f"{self.name} was interrupted while it was being opened")
                raise SourceTimeoutError(
                    f"{self.name} did not answer within {self._opening_seconds:g} seconds; check the address and the "
                    "network, or allow more time"
                )
        except SourceError:
            self._end_reading()
            raise
        self._connection = connection
        return connection

    def _end_reading(self) -> None:
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        # One that hangs has had its grace, while it was waited for.
        if reader is not None and not reader.leave(_GRACE_SECONDS if reader.is_ending else 0.0):
            self.states.count_abandoned_reader()
        if connection is not None:
            self._settle(connection)

    def _note_live(self, fps: Fraction | None) -> None:
        self._fresh_at = self._live_since = time.monotonic()
        self._interval_seconds = float(1 / fps) if fps else 0.0
        self.states.enter(StreamState.LIVE)

    def read(self) -> Frame | None:
        with self._lock:
            try:
                frame = self._next()
            except SourceLostError as error:
                self._end_reading()
                self.states.enter(StreamState.FAILED, redact_text(str(error)))
                raise
            if frame is None:
                self._end_reading()
            return frame

    def _next(self) -> Frame | None:
        while self._reader is not None and self._connection is not None:
            if frame := self._await(self._reader):
                return frame
            if self.interrupted.is_set() or (
                self._reader.is_over and not self._is_live and self._at_end(self._connection)
            ):
                return None
            self._reconnect()
        return None

    def _await(self, reader: BackgroundReader[ConnectionT]) -> Frame | None:
        """The next frame; None when the feed has ended, or gave nothing for so long that it must hang."""
        began = time.monotonic()
        for limit in (self._stall_seconds, self._silence_seconds + _GRACE_SECONDS):
            since = max(began, self._fresh_at)
            picture = reader.read(within=max(0.0, since + limit - time.monotonic()))
            if picture is not None:
                self._note_fresh(picture.decoded_at)
                return self._frame(picture)
            if reader.is_over:
                break
            if self.state is not StreamState.STALLED:
                self.states.enter(StreamState.STALLED, f"no picture for {time.monotonic() - since:.1f} seconds")
        return None

    @property
    def _is_live(self) -> bool:
        return self._info is not None and self._info.is_live

    @property
    def _stall_seconds(self) -> float:
        return min(_STALL_INTERVALS * self._interval_seconds + _STALL_SECONDS, self._silence_seconds)

    def _note_fresh(self, at: float) -> None:
        """The longest interval of late is what may be expected: some streams come in bursts."""
        passed = max(0.0, at - self._fresh_at)
        self._interval_seconds = max(passed, self._interval_seconds * math.exp(-passed / _MEMORY_SECONDS))
        self._fresh_at = at
        self.states.enter(StreamState.LIVE)

    def _reconnect(self) -> None:
        """Opens it again; returns without, when interrupted. Raises SourceLostError."""
        assert self._reader is not None
        assert self._connection is not None
        fault = self._fault(self._connection) if self._reader.is_over else SourceTimeoutError("its reader hangs")
        reason = self._explain(fault) if fault else "the stream ended"
        self._end_reading()
        if not self._is_live or not self.reconnect_seconds:
            raise self._lost(reason, fault)
        self.states.enter(StreamState.RECONNECTING, reason)
        self._backoff.note_connection(time.monotonic() - self._live_since)
        if connection := self._try_again(fault, self._gone):
            self._resume(connection)

    def _try_again(
        self, fault: Exception | None, given_up: Callable[[Exception, str], SourceError]
    ) -> ConnectionT | None:
        """Another feed; None when interrupted. Raises what `given_up` makes of the last fault and all effort."""
        deadline, faults = time.monotonic() + self.reconnect_seconds, Counter[type[Exception]]()
        while (left := deadline - time.monotonic()) > 0 and not self._pause(
            self._backoff.next_wait_seconds(), left, fault
        ):
            try:
                return self._begin_reading()
            except SourceError as error:
                fault = _cause(error)
            faults[type(fault)] += 1
            if self._is_final(fault, faults[type(fault)]):
                raise given_up(fault, "")
        if self.interrupted.is_set():
            return None
        effort = f" in {self.reconnect_seconds:g} seconds ({faults.total()} attempts)"
        raise given_up(fault or SourceTimeoutError("the stream ended"), effort)

    def _pause(self, seconds: float, most: float, after: Exception | None) -> bool:
        """Waits for so long, or until it seems to be back. True when interrupted."""
        end = time.monotonic() + min(seconds, most)
        while (left := end - time.monotonic()) > 0 and not self.interrupted.wait(min(left, _LOOK_SECONDS)):
            if self._is_back(after):
                break
        return self.interrupted.is_set()

    def _resume(self, connection: ConnectionT) -> None:
        new, old = self._describe(connection), self._info
        assert old is not None
        if (new.width, new.height) != (old.width, old.height) or _is_other_rate(new.fps, old.fps):
            self._info = self._renewed = replace(new, is_live=old.is_live, time_base=old.time_base)
        self._timeline.resume(time.monotonic() - self._fresh_at)
        self._note_live(new.fps)

    def _never_there(self, fault: Exception, effort: str) -> SourceError:
        error = SourceOpenError(f"{self.name} could not be opened{effort}: {self._explain(fault)}")
        error.__cause__ = fault
        return error

    def _gone(self, fault: Exception, effort: str) -> SourceError:
        return self._lost(self._explain(fault), fault, effort and f" and did not come back{effort}")

    def _lost(self, reason: str, fault: Exception | None, effort: str = "") -> SourceLostError:
        lost = SourceLostError(f"{self.name} was lost after {self._index} frames{effort}: {reason}")
        lost.__cause__ = fault
        return lost

    def take_changed_info(self) -> StreamInfo | None:
        info, self._renewed = self._renewed, None
        return info

    def interrupt(self) -> None:
        super().interrupt()
        self._interrupt_reader()

    def _interrupt_reader(self) -> None:
        if reader := self._reader:
            reader.interrupt()

    def close(self) -> None:
        self.interrupt()
        with self._lock:
            self._end_reading()
            super().close()
        if self.state is not StreamState.CLOSED and not self.state.is_over:
            self.states.enter(StreamState.ENDED)


def _cause(error: SourceError) -> Exception:
    """What a library said, where one did; without its traceback, which would hold who remembers it."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return cause.with_traceback(None)


def _is_other_rate(new: Fraction | None, old: Fraction | None) -> bool:
    return bool(new and old and abs(new / old - 1) > _OTHER_RATE)
