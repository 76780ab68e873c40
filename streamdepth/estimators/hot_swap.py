"""A model that is exchanged for another, or for another input size, while streams go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.threads import StuckThreadError, WorkerThread
from streamdepth.core.types import Estimate, Frame, ModelInfo

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 15.0
"""Longest time that `close` waits for a model that is being loaded."""

Choice = TypeVar("Choice")


class HotSwapEstimator(Estimator, Generic[Choice]):
    """Runs the model that `load` makes for the current result of `choose`, which is called before each batch.

    The first model is loaded when it is first needed. When `choose` returns something else, the new model is loaded on
    a thread of its own while the old one goes on, and takes its place between two batches. Where it cannot be loaded,
    the old one stays and `on_load_failed` is called with the choice and the error; it should make `choose` return to
    what works, or loading is tried again.
    """

    def __init__(
        self,
        choose: Callable[[], Choice],
        load: Callable[[Choice], Estimator],
        on_load_failed: Callable[[Choice, BaseException], None] = lambda _choice, _error: None,
    ) -> None:
        self._choose, self._load, self._on_load_failed = choose, load, on_load_failed
        self._current: tuple[Choice, Estimator] | None = None
        self._requested: Choice = choose()
        self._loader: WorkerThread | None = None
        self._lock = threading.Lock()
        """Guards what the loading thread changes too: `_next`, `_is_loading` and `_requested`."""
        self._next: tuple[Choice, Estimator] | None = None
        self._is_loading = self._is_closed = False
        self._retired: list[Estimator] = []

    @property
    def current(self) -> Choice | None:
        """The choice that the running model was loaded for; None before the first is loaded."""
        return self._current[0] if self._current else None

    @property
    def is_switching(self) -> bool:
        """True while another model is being loaded, or is loaded and not used yet."""
        with self._lock:
            return self._is_loading or self._next is not None

    @property
    def _loaded(self) -> Estimator:
        if self._current is None:
            self._current = self._requested, self._load(self._requested)
        return self._current[1]

    @property
    def max_in_flight(self) -> int:
        return self._loaded.max_in_flight

    @property
    def has_memory(self) -> bool:
        return self._loaded.has_memory

    @property
    def info(self) -> ModelInfo:
        return self._loaded.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        self._swap()
        future = self._loaded.submit(frames)
        return _FirstAfterSwap(future, self) if self._retired else future

    def warm_up(self, width: int, height: int) -> None:
        self._loaded.warm_up(width, height)

    def _close_retired(self, retired: Sequence[Estimator]) -> None:
        for estimator in retired:
            estimator.close()
        self._retired = [estimator for estimator in self._retired if estimator not in retired]

    def _swap(self) -> None:
        """Puts the next model in place if it is loaded, and starts to load another one if one is chosen."""
        wanted = self._choose()
        with self._lock:
            if self._next is not None:
                self._retired.append(self._loaded)
                self._current, self._next = self._next, None
            if wanted == self._requested or self._is_loading:
                return
            self._requested, self._is_loading = wanted, True
        self._loader = WorkerThread(
            "model loader", lambda: self._load_next(wanted), lambda error: self._on_loader_ended(wanted, error)
        )
        self._loader.start()

    def _load_next(self, choice: Choice) -> None:
        estimator = self._load(choice)
        with self._lock:
            if not self._is_closed:
                self._next = choice, estimator
                return
        estimator.close()

    def _on_loader_ended(self, choice: Choice, error: BaseException | None) -> None:
        try:
            if error is not None:
                self._on_load_failed(choice, error)
        except Exception:
            _log.warning("the callback for a model that cannot be loaded failed", exc_info=True)
        with self._lock:
            self._is_loading = False
            if error is not None and self._current is not None:
                self._requested = self._current[0]

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
        self._close_retired([*self._retired, *(estimator for _, estimator in pairs)])


class _FirstAfterSwap:
    """A batch of the new model, after which nobody waits for the models that were replaced before it.

    Results are asked for in the order in which batches were submitted, so that those models can be closed then.
    """

    def __init__(self, future: Future[list[Estimate]], owner: HotSwapEstimator[Choice]) -> None:
        self._future, self._owner, self._retired = future, owner, list(owner._retired)

    def result(self) -> list[Estimate]:
        self._owner._close_retired(self._retired)
        return self._future.result()
