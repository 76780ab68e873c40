"""Base class of cameras and network streams, which may stall, disconnect and come back; no read of one hangs."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Generic

from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.states import StreamState
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.background_reader import BackgroundReader, ConnectionT
from streamdepth.sources.decoded_source import TimestampedSource
from streamdepth.sources.reconnect_timing import RetrySchedule, StallDetector, is_same_rate, root_cause
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.redact import redact_text

_GRACE_SECONDS = 1.0
_POLL_SECONDS = 0.2


class LiveSource(TimestampedSource, Generic[ConnectionT]):
    """A source whose connection may be lost for a while.

    - **live**: frames come. **stalled**: the latest one is older than two intervals and a second.
    - **reconnecting**: the connection ended or broke, or gave nothing for `timeout_seconds`. It is opened again after
      waits as given by `Backoff`, at once when `_seems_back` notices its return, for up to `reconnect_seconds` (0:
      never).
    - **failed**: that time is used up, or the reason is permanent (`_is_permanent`). `read` raises SourceLostError.

    The library is called on the thread of a `BackgroundReader` only. When it overruns its own limits, that thread is
    abandoned and counted (`states.abandoned_readers`), at most one for each loss.
    """

    def __init__(self, name: str, *, timeout_seconds: float, reconnect_seconds: float) -> None:
        super().__init__(name)
        self.timeout_seconds, self.reconnect_seconds = timeout_seconds, reconnect_seconds
        self._reader: BackgroundReader[ConnectionT] | None = None
        self._connection: ConnectionT | None = None
        self._info: StreamInfo | None = None
        self._changed_info: StreamInfo | None = None
        self._backoff = Backoff()
        self._stall_detector = StallDetector()
        self._connected_at = 0.0
        self._lock = threading.RLock()

    # A subclass defines its connection:

    def _prepare(self) -> None:
        """Resets the subclass before `open` makes its first attempt. Raises ConfigError."""

    @abstractmethod
    def _connect(self) -> ConnectionT:
        """Opens a connection, on the reader's thread, within `_open_limit_seconds`. Raises SourceError."""

    @abstractmethod
    def _stream_info(self, connection: ConnectionT) -> StreamInfo:
        """Returns the info of the stream that `connection` gives."""

    @abstractmethod
    def _is_permanent(self, error: Exception, attempts: int) -> bool:
        """True if waiting does not help against `error`, which occurred in `attempts` attempts since the loss."""

    @abstractmethod
    def _explain(self, error: Exception) -> str:
        """Returns the reason of an error in words for people."""

    def _error_code(self, error: Exception) -> str | None:
        """Returns the code of the SourceError that `error` becomes; None for the default of its class."""
        return error.code if isinstance(error, SourceError) and error.code != error.default_code else None

    def _seems_back(self, error: Exception | None) -> bool:
        """True if an attempt is worth making now; asked often while waiting after `error`, so it must be cheap."""
        return False

    def _count_losses(self, connection: ConnectionT) -> None:
        """Adds the frames that a closed `connection` lost to `undelivered`."""

    def _has_ended(self, connection: ConnectionT) -> bool:
        """True if `connection`, which is not live, came to its proper end. Raises SourceLostError for a damaged one."""
        return False

    def _check_is_live(self, connection: ConnectionT) -> None:
        """Raises SourceLostError if `connection`, which ended by itself, shows that its stream is not live."""

    @property
    def _has_fixed_rate(self) -> bool:
        """True if frames are timed at a rate that the user has given, not by their arrival."""
        return False

    @property
    def _silence_limit_seconds(self) -> float:
        """Longest time without a frame before the connection counts as lost."""
        return self.timeout_seconds

    @property
    def _open_limit_seconds(self) -> float:
        """Longest time that `_connect` may take."""
        return self.timeout_seconds

    # Opening:

    @property
    def drops_unread_frames(self) -> bool:
        return self._is_live

    @property
    def _is_live(self) -> bool:
        return self._info is not None and self._info.is_live

    def open(self) -> StreamInfo:
        info = self._open_with(self._start_reader)
        assert info is not None
        return info

    def wait_until_open(self) -> StreamInfo | None:
        return self._open_with(self._start_reader_or_wait)

    def _open_with(self, start: Callable[[], ConnectionT | None]) -> StreamInfo | None:
        with self._lock:
            self._interrupt_reader()
            self._stop_reader()
            self._prepare()
            self._backoff, self._info, self._changed_info = Backoff(), None, None
            self.states.enter(StreamState.CONNECTING)
            try:
                connection = start()
            except SourceError as error:
                self.states.enter(StreamState.FAILED, redact_text(str(error)))
                raise
            if connection is None:
                return None
            self._info = self._stream_info(connection)
            is_timed_by_arrival = self._info.is_live and not self._has_fixed_rate
            self._start_clock(self._info.time_base, self._info.fps, is_live=is_timed_by_arrival)
            self._on_connected(self._info.fps)
            return self._info

    def _start_reader_or_wait(self) -> ConnectionT | None:
        """Opens a connection, retrying as after a loss until it succeeds; None when interrupted. Raises SourceError."""
        try:
            return self._start_reader()
        except SourceError as error:
            if self.interrupted.is_set():
                return None
            if self._is_permanent(root_cause(error), 1):
                raise
            failure = root_cause(error)
        self.states.enter(StreamState.CONNECTING, self._explain(failure))
        return self._retry(failure)

    def _start_reader(self) -> ConnectionT:
        """Opens a connection on a new reader. Raises SourceError."""
        reader = self._reader = BackgroundReader(self._connect)
        try:
            connection = None
            if not self.interrupted.is_set():
                connection = reader.open(self._open_limit_seconds + _GRACE_SECONDS)
            if connection is None:
                raise self._no_connection_error()
        except SourceError:
            self._stop_reader()
            raise
        self._connection = connection
        return connection

    def _no_connection_error(self) -> SourceError:
        if self.interrupted.is_set():
            return SourceOpenError(f"{self.name} was interrupted while it was being opened", code="interrupted")
        return SourceTimeoutError(
            f"{self.name} did not answer within {self._open_limit_seconds:g} seconds; check the address and the "
            "network, or allow more time"
        )

    def _stop_reader(self) -> None:
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        # A reader that hangs has had its grace while it was waited for.
        if reader is not None and not reader.stop(_GRACE_SECONDS if reader.is_ending else 0.0):
            self.states.count_abandoned_reader()
        if connection is not None:
            self._count_losses(connection)

    def _on_connected(self, fps: Fraction | None) -> None:
        self._connected_at = time.monotonic()
        self._stall_detector.restart(fps)
        self.states.enter(StreamState.LIVE)

    # Reading:

    def read(self) -> Frame | None:
        with self._lock:
            try:
                frame = self._read_or_reconnect()
            except SourceLostError as error:
                self._stop_reader()
                self.states.enter(StreamState.FAILED, redact_text(str(error)))
                raise
            if frame is None:
                self._stop_reader()
            return frame

    def _read_or_reconnect(self) -> Frame | None:
        while self._reader is not None and self._connection is not None:
            if frame := self._await_frame(self._reader):
                return frame
            if self.interrupted.is_set():
                return None
            if self._reader.is_over and not self._is_live and self._has_ended(self._connection):
                return None
            self._reconnect()
        return None

    def _await_frame(self, reader: BackgroundReader[ConnectionT]) -> Frame | None:
        """Returns the next frame; None if the connection has ended or was silent for longer than its limits."""
        started_at = time.monotonic()
        for limit in (self._stall_limit_seconds, self._silence_limit_seconds + _GRACE_SECONDS):
            since = max(started_at, self._stall_detector.last_frame_at)
            decoded = reader.read(max(0.0, since + limit - time.monotonic()))
            if decoded is not None:
                self._stall_detector.on_frame(decoded.decoded_at)
                self.states.enter(StreamState.LIVE)
                return self._make_frame(decoded)
            if reader.is_over:
                break
            if self.state is not StreamState.STALLED:
                self.states.enter(StreamState.STALLED, f"no picture for {time.monotonic() - since:.1f} seconds")
        return None

    @property
    def _stall_limit_seconds(self) -> float:
        return min(self._stall_detector.limit_seconds, self._silence_limit_seconds)

    # Reconnecting:

    def _reconnect(self) -> None:
        """Opens the connection again; returns without one when interrupted. Raises SourceLostError."""
        assert self._reader is not None
        assert self._connection is not None
        failure = self._connection.failure if self._reader.is_over else SourceTimeoutError("its reader hangs")
        if failure is None and self._is_live:
            self._check_is_live(self._connection)
        self._stop_reader()
        if not self._is_live or not self.reconnect_seconds:
            raise self._lost_error(failure)
        self.states.enter(StreamState.RECONNECTING, self._reason(failure))
        self._backoff.note_connection(time.monotonic() - self._connected_at)
        if connection := self._retry(failure):
            self._resume(connection)

    def _retry(self, failure: Exception | None) -> ConnectionT | None:
        """Tries to connect until it succeeds; None when interrupted. Raises SourceError when it gives up."""
        schedule = RetrySchedule(self.reconnect_seconds, self._backoff)
        while (wait := schedule.next_wait_seconds()) is not None and not self._wait(wait, failure):
            try:
                return self._start_reader()
            except SourceError as error:
                failure = root_cause(error)
            if self._is_permanent(failure, schedule.count_failure(failure)):
                raise self._final_error(failure)
        if self.interrupted.is_set():
            return None
        raise self._final_error(failure or SourceTimeoutError("the stream ended"), schedule)

    def _wait(self, seconds: float, failure: Exception | None) -> bool:
        """Waits for `seconds`, or until the connection seems to be back; True when interrupted."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0 and not self.interrupted.wait(min(remaining, _POLL_SECONDS)):
            if self._seems_back(failure):
                break
        return self.interrupted.is_set()

    def _resume(self, connection: ConnectionT) -> None:
        new, old = self._stream_info(connection), self._info
        assert old is not None
        if (new.width, new.height) != (old.width, old.height) or not is_same_rate(new.fps, old.fps):
            self._info = self._changed_info = replace(new, is_live=old.is_live, time_base=old.time_base)
        self._timestamps.resume(time.monotonic() - self._stall_detector.last_frame_at)
        self._on_connected(new.fps)

    def _reason(self, failure: Exception | None) -> str:
        return self._explain(failure) if failure else "the stream ended"

    def _final_error(self, failure: Exception, schedule: RetrySchedule | None = None) -> SourceError:
        """Returns the error for giving up, after the attempts of `schedule` or, if that is None, at once."""
        if self._info is not None:
            return self._lost_error(failure, f" and did not come back {schedule}" if schedule else "")
        effort = f" {schedule}" if schedule else ""
        message = f"{self.name} could not be opened{effort}: {self._explain(failure)}"
        error = SourceOpenError(message, code=self._error_code(failure))
        error.__cause__ = failure
        return error

    def _lost_error(self, failure: Exception | None, effort: str = "") -> SourceLostError:
        message = f"{self.name} was lost after {self._index} frames{effort}: {self._reason(failure)}"
        error = SourceLostError(message, code=self._error_code(failure) if failure else None)
        error.__cause__ = failure
        return error

    def take_changed_info(self) -> StreamInfo | None:
        info, self._changed_info = self._changed_info, None
        return info

    # Ending:

    def interrupt(self) -> None:
        super().interrupt()
        self._interrupt_reader()

    def _interrupt_reader(self) -> None:
        if reader := self._reader:
            reader.interrupt()

    def close(self) -> None:
        self.interrupt()
        with self._lock:
            self._stop_reader()
            super().close()
        if self.state is not StreamState.CLOSED and not self.state.is_over:
            self.states.enter(StreamState.ENDED)
