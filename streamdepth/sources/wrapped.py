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
    def passes_by(self) -> bool:
        return self._source.passes_by

    def _opened(self, info: StreamInfo) -> StreamInfo:
        """The other source is open, and `info` is what it gives: begins, and tells what this one gives."""
        return info

    def open(self) -> StreamInfo:
        return self._opened(self._source.open())

    def await_open(self) -> StreamInfo | None:
        info = self._source.await_open()
        return info and self._opened(info)

    def read(self) -> Frame | None:
        return self._source.read()

    def renewed(self) -> StreamInfo | None:
        return self._source.renewed()

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()
