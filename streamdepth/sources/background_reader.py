"""Reading on a thread that can be left behind, for libraries that may hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from streamdepth.core.buffer import FrameBuffer, QueuePolicy, StuckThreadError, Worker
from streamdepth.sources.decoder import DecodedFrame


class Connection(Protocol):
    """An open connection to a camera or server."""

    def read(self) -> DecodedFrame | None:
        """The next picture; None at the end. Raises SourceLostError."""

    def close(self) -> None:
        """Lets go of it."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)


class BackgroundReader(Generic[ConnectionT]):
    """Opens, reads and closes one feed, all on the same thread; reads one picture ahead.

    Whoever waits for it does so with a limit, and may `leave` it for good: should the library ever come back, the
    thread closes the feed and ends.
    """

    def __init__(self, connect: Callable[[], ConnectionT]) -> None:
        self._connect = connect
        self._opened: FrameBuffer[ConnectionT] = FrameBuffer(QueuePolicy(1))
        self._pictures: FrameBuffer[DecodedFrame] = FrameBuffer(QueuePolicy(1))
        self._worker = Worker("reader", self._run, self._ended)

    def open(self, within: float) -> ConnectionT | None:
        """The feed, once it is open; None when it is not `within` seconds, or after `interrupt`.

        Raises what `connect` raises.
        """
        self._worker.start()
        opened = self._opened.take(within=within)
        return opened[0] if opened else None

    def read(self, within: float) -> DecodedFrame | None:
        """The next picture; None when there is none `within` seconds, or at the end (`is_over`).

        Raises SourceLostError.
        """
        taken = self._pictures.take(within=within)
        return taken[0] if taken else None

    @property
    def is_ending(self) -> bool:
        """The feed has ended, failed or was interrupted: the thread ends soon."""
        return self._pictures.is_closed

    @property
    def is_over(self) -> bool:
        """So it is, and all that came before was read."""
        return self._pictures.is_over

    def interrupt(self) -> None:
        """Ends every wait for it, on any thread."""
        self._pictures.clear()  # first: who no longer waits for `open` sees that it is ending
        self._opened.clear()

    def leave(self, within: float) -> bool:
        """Ends it. False when it has not ended `within` seconds: then its thread was left behind."""
        self.interrupt()
        try:
            self._worker.join(time.monotonic() + within)
        except StuckThreadError:
            return False
        return True

    def _run(self) -> None:
        connection = self._connect()
        try:
            is_wanted = self._opened.put(connection)
            while is_wanted and (picture := connection.read()) is not None:
                is_wanted = self._pictures.put(picture)
        finally:
            connection.close()

    def _ended(self, error: BaseException | None) -> None:
        self._pictures.close(error)
        self._opened.close(error)
