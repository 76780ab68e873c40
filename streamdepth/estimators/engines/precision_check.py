"""The check of reduced precision: the first pictures are computed in float32 too, and the result is recorded."""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamdepth.estimators.engines import Engine, FloatArray, Pixels, as_array, inference_error
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.utils.cache import cache_folder, make_cache_subfolder

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 0.05
"""Largest accepted `relative_difference`: bfloat16 differs by 0.01 from float32 in the networks known here."""
_CHECKED_BATCHES = 2
_RECORDED_RUNS = 5
_MIN_RELATIVE_SPREAD = 0.1


def relative_difference(reduced: FloatArray, exact: FloatArray) -> float:
    """Returns the mean difference of two maps, (N, h, w) both, as a share of the spread of the exact one.

    The spread is the mean distance from the median, or a tenth of the mean size if that is more, so that a picture of
    a flat wall does not count as a failure. Infinite where `reduced` is not finite and `exact` is.
    """
    known = np.isfinite(exact)
    if not known.any():
        return 0.0
    expected, actual = exact[known].astype(np.float64), reduced[known].astype(np.float64)
    deviation = float(np.abs(expected - np.median(expected)).mean())
    spread = max(deviation, _MIN_RELATIVE_SPREAD * float(np.abs(expected).mean()))
    difference = float(np.abs(actual - expected).mean())
    if math.isnan(difference):
        return math.inf
    return difference / spread if spread else float(difference > 0)


class DifferenceRecord:
    """A file in the cache folder with the differences that the latest runs measured.

    key: names a network, engine, precision and device in the file's name.
    """

    def __init__(self, key: str) -> None:
        self._path = cache_folder() / "precision" / f"{key}.json"

    def read(self) -> list[float]:
        """Returns the largest difference of each run, the latest last; empty if none can be read."""
        try:
            return [float(difference) for difference in json.loads(self._path.read_text())["differences"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def add(self, difference: float) -> None:
        """Records the largest difference of a run. Where that fails, the next run measures it again."""
        try:
            make_cache_subfolder(self._path.parent.name)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as file:
                json.dump({"differences": [*self.read(), difference][-_RECORDED_RUNS:]}, file)
            Path(name).replace(self._path)
        except OSError as error:
            _log.debug("the difference of reduced precision is not recorded: %s", error)


class PrecisionCheck:
    """Compares a network's first outputs in reduced precision with float32.

    Odd pictures, such as test patterns, may differ more than all others. So a difference above the limit decides for
    its own run only, and later runs measure again until most of the latest ones were below it.

    Args:
        reference: the network in float32 on the CPU, which nothing else may change.
        make_float32: builds the engine that takes over where the difference is above the limit.
        limit: largest accepted `relative_difference`.
        record: remembers the differences between runs of the program.
    """

    def __init__(
        self, reference: LazyModule, make_float32: Callable[[], Engine], *, limit: float, record: DifferenceRecord
    ) -> None:
        self.make_float32, self.limit = make_float32, limit
        self._reference, self._record = reference, record
        self._differences: list[float] = []

    def recorded_difference(self) -> float | None:
        """Returns the median of earlier runs; None if there is none, or if it is above the limit."""
        differences = self._record.read()
        median = statistics.median_high(differences) if differences else math.inf
        return median if median <= self.limit else None

    def compare(self, pixels: Pixels, depth: Pixels) -> float | None:
        """Compares one batch, and returns the largest difference, recorded, once enough is known; None before that."""
        self._differences.append(relative_difference(as_array(depth), self._exact_depth(pixels, depth)))
        if self._differences[-1] <= self.limit and len(self._differences) < _CHECKED_BATCHES:
            return None
        self._record.add(max(self._differences))
        return max(self._differences)

    def _exact_depth(self, pixels: Pixels, depth: Pixels) -> FloatArray:
        """Computes depth in float32, on the device of `depth`. Raises InferenceError.

        The network is brought back to the CPU afterwards, where others convert it.
        """
        import torch

        from streamdepth.estimators.engines.torch_engine import as_outputs

        device = depth.device if isinstance(depth, torch.Tensor) else torch.device("cpu")
        try:
            with torch.inference_mode():
                return as_array(as_outputs(self._reference.get().to(device)(torch.as_tensor(pixels, device=device)))[0])
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, str(device), pixels.shape) from error
        finally:
            self._reference.get().to("cpu")
