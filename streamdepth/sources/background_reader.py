"""Reading on a background thread that can be abandoned, for libraries that may hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from streamdepth.core.buffer import FrameBuffer, QueuePolicy
from streamdepth.core.threads import StuckThreadError, WorkerThread
from streamdepth.sources.decoder import DecodedFrame


class Connection(Protocol):
    """An open connection to a camera or server."""

    @property
    def failure(self) -> Exception | None:
        """The error that ended the connection; None while it is open, and when it just ended."""

    def read(self) -> DecodedFrame | None:
        """Returns the next frame; None at the end. Raises SourceLostError."""

    def close(self) -> None:
        """Releases the connection."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)


class BackgroundReader(Generic[ConnectionT]):
    """Opens, reads and closes one connection, all on the same background thread; reads one frame ahead.

    Every wait for the thread has a limit. A thread that hangs inside a library is abandoned by `stop`; should the
    library ever return, the thread closes the connection and ends.
    """

    def __init__(self, connect: Callable[[], ConnectionT]) -> None:
        self._connect = connect
        self._opened: FrameBuffer[ConnectionT] = FrameBuffer(QueuePolicy(1))
        self._frames: FrameBuffer[DecodedFrame] = FrameBuffer(QueuePolicy(1))
        self._worker = WorkerThread("reader", self._run, self._on_ended)

    def open(self, within_seconds: float) -> ConnectionT | None:
        """Returns the connection once it is open; None after `within_seconds` or `interrupt`.

        Raises what `connect` raises.
        """
        self._worker.start()
        opened = self._opened.take(timeout=within_seconds)
        return opened[0] if opened else None

    def read(self, within_seconds: float) -> DecodedFrame | None:
        """Returns the next frame; None when there is none after `within_seconds`, or at the end (`is_over`).

        Raises SourceLostError.
        """
        frames = self._frames.take(timeout=within_seconds)
        return frames[0] if frames else None

    @property
    def is_ending(self) -> bool:
        """True once the connection has ended, failed or was interrupted: the thread ends soon."""
        return self._frames.is_closed

    @property
    def is_over(self) -> bool:
        """True once the connection has ended and all its frames were read."""
        return self._frames.is_over

    def interrupt(self) -> None:
        """Ends every wait for a frame or for the connection. Thread-safe."""
        self._frames.clear()  # first, so that a caller whose `open` returns sees `is_ending`
        self._opened.clear()

    def stop(self, within_seconds: float) -> bool:
        """Ends the thread; False when it still runs after `within_seconds` and was abandoned."""
        self.interrupt()
        try:
            self._worker.join(time.monotonic() + within_seconds)
        except StuckThreadError:
            return False
        return True

    def _run(self) -> None:
        connection = self._connect()
        try:
            is_wanted = self._opened.put(connection)
            while is_wanted and (frame := connection.read()) is not None:
                is_wanted = self._frames.put(frame)
        finally:
            connection.close()

    def _on_ended(self, error: BaseException | None) -> None:
        self._frames.close(error)
        self._opened.close(error)
