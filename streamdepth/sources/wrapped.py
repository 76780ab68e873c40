"""What sources have in common that change another one."""

from __future__ import annotations

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo


class WrappedSource(Source):
    """Another source as it is, with its losses, notices, states and interruption: what a subclass does not change."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self.lost, self.notices, self.states = source.lost, source.notices, source.states
        self.interrupted = source.interrupted

    @property
    def drops_unread_frames(self) -> bool:
        return self._source.drops_unread_frames

    def _opened(self, info: StreamInfo) -> StreamInfo:
        """The other source is open, and `info` is what it gives: begins, and tells what this one gives."""
        return info

    def open(self) -> StreamInfo:
        return self._opened(self._source.open())

    def wait_until_open(self) -> StreamInfo | None:
        info = self._source.wait_until_open()
        return info and self._opened(info)

    def read(self) -> Frame | None:
        return self._source.read()

    def take_changed_info(self) -> StreamInfo | None:
        return self._source.take_changed_info()

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()
