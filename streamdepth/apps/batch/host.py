"""What runs in a process of its own on a cluster: one model, and what it is asked to do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any

from streamdepth import factory
from streamdepth.apps.batch.cluster import Place
from streamdepth.apps.batch.work import Outcome, convert
from streamdepth.config import Settings
from streamdepth.core.errors import SourceError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo

_PRECISIONS = ("float32", "float16", "bfloat16")


class Host:
    """Holds a model at `place`; an actor of Ray. folder: the current one, which relative paths begin at."""

    def __init__(self, settings: Settings, place: Place, folder: str) -> None:
        import torch  # what takes long is done while other hosts start too

        with suppress(FileNotFoundError):  # all files may lie elsewhere
            os.chdir(folder)
        self._settings = settings.model_copy(update=_of_place(place, settings) | {"throughput": True})
        self._estimator: Estimator | None = None
        self._share = 0.0
        if place.cores:
            torch.set_num_threads(place.cores)
            _keep_to(place)

    def load(self, changes: dict[str, Any]) -> ModelInfo:
        """Loads the model, with `changes` to the settings. Raises as `factory.make_estimator` does."""
        self._estimator = factory.make_estimator(self._settings.model_copy(update=changes))
        return self._estimator.info

    def judge(self, source: str) -> tuple[ModelInfo, dict[str, Any]]:
        """Loads the model and computes the first pictures of a file, after which engine and precision are decided.

        What other hosts must `load` with to compute the same comes with it.
        """
        from streamdepth.estimators.onnx_file import is_exported

        self.load({})
        assert self._estimator is not None
        batch = self._settings.batch
        frames = self._first(source, 2 * batch)
        for begin in range(0, len(frames), batch):
            self._estimator.estimate(frames[begin : begin + batch])
        info = self._estimator.info
        decided = {"engine": info.engine, "precision": info.precision, "precision_limit": None}
        return info, decided if info.precision in _PRECISIONS and not is_exported(self._settings.model) else {}

    def _first(self, source: str, count: int) -> list[Frame]:
        """The first frames of a file; none of a camera, which can be opened once only."""
        if not factory.is_file(source):
            return []
        try:
            with closing(factory.make_source(source, self._settings)) as opened:
                opened.open()
                return [frame for _ in range(count) if (frame := opened.read())]
        except SourceError:
            return []  # its own run says what is wrong with it

    def looks_at(self, width: int, height: int) -> tuple[int, int] | None:
        """(width, height) in px to which the model shrinks a frame of this size before all else; None: it does not."""
        card = getattr(self._estimator, "card", None)
        if card is None or not card.shrinks_first:
            return None
        rows, columns = card.spec.output_size(height, width)
        return columns, rows

    def estimate(self, batches: Sequence[Sequence[Frame]]) -> list[list[Estimate]]:
        """Each batch as if it were alone. Raises InferenceError."""
        assert self._estimator is not None
        under_way = deque[Callable[[], list[Estimate]]]()
        results = []
        for batch in batches:
            under_way.append(self._estimator.start(batch))
            if len(under_way) == self._estimator.max_in_flight:
                results.append(under_way.popleft()())
        return results + [wait() for wait in under_way]

    def convert(self, settings: Settings) -> Outcome:
        """One whole file, here."""
        assert self._estimator is not None
        self._share = 0.0
        return convert(settings, self._estimator, self._moved)

    def _moved(self, share: float) -> None:
        self._share = share

    def share(self) -> float:
        """How much of the file is done, 0 to 1; to be asked beside `convert`."""
        return self._share

    def process(self) -> int:
        """Its number on its machine."""
        return os.getpid()


def _of_place(place: Place, settings: Settings) -> dict[str, Any]:
    if place.has_gpu:
        return {"device": "cuda"}  # Ray shows it one GPU only
    return {"device": "cpu" if settings.device == "auto" else settings.device, "threads": place.cores}


def _keep_to(place: Place) -> None:
    """Each host of a machine has cores of its own; runtimes that pin threads would else choose the same."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        first = place.number * place.cores
        os.sched_setaffinity(0, allowed[first : first + place.cores] or allowed)
