"""A model that is exchanged for another, or for another size of it, while streams go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from streamdepth.core.buffer import StuckThreadError, Worker
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 15.0
"""How long `close` waits for a model that is being loaded."""

T = TypeVar("T")


class HotSwapEstimator(Estimator, Generic[T]):
    """The model that `choose` asks for, made by `load`.

    The first is loaded when it is first needed. Another one is loaded on a thread of its own while the old one goes on,
    and takes its place between two batches. One that cannot be loaded is told to `failed`, which should take the choice
    back, or it is tried again; the old one stays.
    """

    def __init__(
        self,
        choose: Callable[[], T],
        load: Callable[[T], Estimator],
        failed: Callable[[T, BaseException], None] = lambda _choice, _error: None,
    ) -> None:
        self._choose, self._load, self._failed = choose, load, failed
        self._current: tuple[T, Estimator] | None = None
        self._asked: T = choose()
        self._loader: Worker | None = None
        self._lock = threading.Lock()
        """Of what the loader's thread changes: what is next, whether it loads, and what it was asked for."""
        self._next: tuple[T, Estimator] | None = None
        self._is_loading = self._is_closed = False
        self._retired: list[Estimator] = []

    @property
    def current(self) -> T | None:
        """What the model at work was chosen by; None before it is loaded."""
        return self._current[0] if self._current else None

    @property
    def is_switching(self) -> bool:
        """Whether another model is on its way."""
        with self._lock:
            return self._is_loading or self._next is not None

    @property
    def _loaded(self) -> Estimator:
        if self._current is None:
            self._current = self._asked, self._load(self._asked)
        return self._current[1]

    @property
    def max_in_flight(self) -> int:
        return self._loaded.max_in_flight

    @property
    def info(self) -> ModelInfo:
        return self._loaded.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.start(frames)()

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        self._switch()
        results, retired = self._loaded.start(frames), list(self._retired)

        def wait() -> list[Estimate]:
            self._let_go(retired)  # batches are waited for in order: nobody waits for these any more
            return results()

        return wait

    def warm_up(self, width: int, height: int) -> None:
        self._loaded.warm_up(width, height)

    def _let_go(self, retired: Sequence[Estimator]) -> None:
        for old in retired:
            old.close()
        self._retired = [old for old in self._retired if old not in retired]

    def _switch(self) -> None:
        wanted = self._choose()
        with self._lock:
            if self._next is not None:
                self._retired.append(self._loaded)
                self._current, self._next = self._next, None
            if wanted == self._asked or self._is_loading:
                return
            self._asked, self._is_loading = wanted, True
        self._loader = Worker("model loader", lambda: self._prepare(wanted), lambda error: self._done(wanted, error))
        self._loader.start()

    def _prepare(self, choice: T) -> None:
        estimator = self._load(choice)
        with self._lock:
            if not self._is_closed:
                self._next = choice, estimator
                return
        estimator.close()

    def _done(self, choice: T, error: BaseException | None) -> None:
        try:
            if error is not None:
                self._failed(choice, error)
        except Exception:
            _log.warning("whoever hears that a model cannot be had failed", exc_info=True)
        with self._lock:
            self._is_loading = False
            if error is not None and self._current is not None:
                self._asked = self._current[0]

    def reset(self, stream: str) -> None:
        self._loaded.reset(stream)

    def close(self) -> None:
        if self._loader is not None:
            try:
                self._loader.join(time.monotonic() + CLOSE_SECONDS)
            except StuckThreadError as stuck:
                _log.error("%s", stuck)
        with self._lock:
            self._is_closed = True
            pairs = [pair for pair in (self._current, self._next) if pair]
            self._current, self._next = None, None
        self._let_go([*self._retired, *(estimator for _, estimator in pairs)])
