"""The newest frame of a live stream with its depth, for programs that read at their own pace."""

from __future__ import annotations

import threading
import time

from streamdepth.api import DepthStream
from streamdepth.core.errors import SourceLostError
from streamdepth.core.threads import WorkerThread
from streamdepth.core.types import DepthFrame

_CLOSE_SECONDS = 10.0


def age_seconds(item: DepthFrame) -> float:
    """Returns the time since a frame of a live stream was captured."""
    return time.monotonic() - item.frame.captured_at


class LatestFrame:
    """Reads a stream on a thread of its own and keeps its newest frame.

    >>> latest = LatestFrame(sd.stream("samples/room.mp4", max_frames=3))
    >>> latest.wait(60).frame.size
    (640, 360)
    >>> latest.close()

    Args:
        frames: the stream; it is closed with this object.
    """

    def __init__(self, frames: DepthStream) -> None:
        self._frames = frames
        self._changed = threading.Condition()
        self._item: DepthFrame | None = None
        self._is_unread = False
        self._error: BaseException | None = None
        self._thread = WorkerThread("latest frame", self._read, self._on_ended)
        self._thread.start()

    def _read(self) -> None:
        for item in self._frames:
            with self._changed:
                self._item, self._is_unread = item, True
                self._changed.notify_all()

    def _on_ended(self, error: BaseException | None) -> None:
        with self._changed:
            self._error = error or SourceLostError("the stream has ended; open it again", code="ended")
            self._changed.notify_all()

    def wait(self, timeout_seconds: float) -> DepthFrame:
        """Returns the newest frame if `wait` has not returned it yet, else waits for the next one.

        Raises:
            TimeoutError: if none came in time.
            StreamDepthError: the error that ended the stream; SourceLostError ("ended") if it came to its end.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_unread or self._error, timeout_seconds):
                raise TimeoutError(f"no new frame with depth came within {1000 * timeout_seconds:.0f} ms")
            if not self._is_unread:
                assert self._error is not None
                raise self._error
            assert self._item is not None
            self._is_unread = False
            return self._item

    def peek(self, max_age_seconds: float) -> DepthFrame:
        """Returns the newest frame at once. Its age counts from its capture and includes the time for its depth.

        Raises:
            TimeoutError: if it is older than `max_age_seconds`.
            RuntimeError: if there is no frame yet.
            StreamDepthError: the error that ended the stream, as `wait` raises it.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            item = self._item
        if item is None:
            raise RuntimeError("the stream has given no frame yet; wait for the first one")
        age = age_seconds(item)
        if age > max_age_seconds:
            raise TimeoutError(
                f"the newest frame with depth is {1000 * age:.0f} ms old, and {1000 * max_age_seconds:.0f} ms "
                "are allowed; take a smaller model or size, or allow more"
            )
        return item

    def close(self) -> None:
        """Ends the stream and closes its source. Idempotent. Raises StuckThreadError if that takes too long."""
        self._frames.stop()
        self._thread.join(time.monotonic() + _CLOSE_SECONDS)
        self._frames.close()
