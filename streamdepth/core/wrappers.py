"""Stages around another one: they forward everything that a subclass does not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, Estimate, Frame, ModelInfo, StreamInfo


class WrappedSource(Source):
    """Reads another source, and shares its counters, notices, states and interruption.

    A subclass overrides `read`, and `on_open` to change the stream's facts.
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self.undelivered, self.notices, self.states = source.undelivered, source.notices, source.states
        self.interrupted = source.interrupted

    @property
    def drops_unread_frames(self) -> bool:
        return self._source.drops_unread_frames

    @property
    def can_begin_anew(self) -> bool:
        return self._source.can_begin_anew

    def on_open(self, info: StreamInfo) -> StreamInfo:
        """Called when the other source was opened with `info`; returns the facts of what this one reads."""
        return info

    def open(self) -> StreamInfo:
        return self.on_open(self._source.open())

    def wait_until_open(self) -> StreamInfo | None:
        info = self._source.wait_until_open()
        return info and self.on_open(info)

    def read(self) -> Frame | None:
        return self._source.read()

    def take_changed_info(self) -> StreamInfo | None:
        return self._source.take_changed_info()

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()


class LazyEstimator(Estimator):
    """Loads an estimator at its first use, so that a wrong input is reported before a slow model is loaded.

    A pipeline takes `loaded` and works with that directly.
    """

    def __init__(self, load: Callable[[], Estimator]) -> None:
        self._load = load
        self._loaded: Estimator | None = None

    def loaded(self) -> Estimator:
        """Returns the estimator, loaded now if it was not; raises as `load` does."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @property
    def max_in_flight(self) -> int:
        return self.loaded().max_in_flight

    @property
    def has_memory(self) -> bool:
        return self.loaded().has_memory

    @property
    def info(self) -> ModelInfo:
        return self.loaded().info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.loaded().estimate(frames)

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        return self.loaded().submit(frames)

    def warm_up(self, width: int, height: int) -> None:
        self.loaded().warm_up(width, height)

    def reset(self, stream: str) -> None:
        self.loaded().reset(stream)

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()


class WrappedSink(Sink):
    """Writes through another sink, and forwards all its hooks and properties.

    A subclass that knows the other sink gives it to `__init__`. One that makes it later, for example because its path
    is known only in `on_open`, calls `set_inner` before it calls this class's `on_open`, and again to replace it.
    """

    inner: Sink | None = None
    """The sink that everything is forwarded to."""

    def __init__(self, inner: Sink | None = None) -> None:
        super().__init__()
        if inner is not None:
            self.set_inner(inner)

    def set_inner(self, inner: Sink) -> None:
        """Forwards to `inner` from now on, whose notices become part of this sink's."""
        self.inner = inner
        self.can_drop_frames, self.needs_calling_thread = inner.can_drop_frames, inner.needs_calling_thread
        for notice in inner.notices:
            if notice not in self.notices:
                self.notices.append(notice)
        inner.notices = self.notices

    def check(self) -> None:
        if self.inner is not None:
            self.inner.check()

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return () if self.inner is None else self.inner.required_packages

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        assert self.inner is not None
        self.inner.open(info, model)

    def on_write(self, item: DepthFrame) -> None:
        assert self.inner is not None
        self.inner.write(item)

    def on_close(self) -> None:
        if self.inner is not None:
            self.inner.close()

    def on_discard(self) -> None:
        if self.inner is not None:
            self.inner.discard()

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self.inner is not None:
            self.inner.on_stream_changed(info)

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        if self.inner is not None:
            self.inner.on_stalled(last, seconds)

    def on_idle(self) -> None:
        if self.inner is not None:
            self.inner.on_idle()

    @property
    def bytes_to_finish(self) -> int:
        return self.inner.bytes_to_finish if self.inner is not None else 0

    @property
    def wants_stop(self) -> bool:
        return self.inner is not None and self.inner.wants_stop
