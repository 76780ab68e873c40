"""Reduced precision checks itself: the first pictures are computed in float32 too, and the verdict is remembered."""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from streamdepth.estimators.engines import Delegate, Engine, Outputs, failures_explained
from streamdepth.estimators.engines.cache import cache_folder
from streamdepth.estimators.engines.torch_engine import as_outputs

_log = logging.getLogger(__name__)

LIMIT = 0.05
"""Of `difference`: bfloat16 differs by 0.01 from float32 in the networks known here."""
_CHECKED_RUNS = 2
_LEAST_SPREAD = 0.1


def difference(reduced: Tensor, exact: Tensor) -> float:
    """How far two maps are apart, (N, h, w) both: the mean difference as a share of the exact one's spread.

    The spread is the mean distance from the median, or a tenth of the mean size where that is more, so that a picture
    of a flat wall does not count as a failure. Infinite where `reduced` is not finite and `exact` is.
    """
    known = exact.isfinite()
    if not known.any():
        return 0.0
    wanted, found = exact[known].double(), reduced[known].double()
    spread = max(float((wanted - wanted.median()).abs().mean()), _LEAST_SPREAD * float(wanted.abs().mean()))
    apart = float((found - wanted).abs().mean())
    if math.isnan(apart):
        return math.inf
    return apart / spread if spread else float(apart > 0)


class Verdict:
    """The greatest difference seen of one network, engine, precision and device, kept between runs of the program."""

    def __init__(self, key: str) -> None:
        self._path = cache_folder() / "precision" / f"{key}.json"

    def read(self) -> float | None:
        """None when there is none, or it cannot be read."""
        try:
            return float(json.loads(self._path.read_text())["difference"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, found: float) -> None:
        """A verdict that cannot be kept is found anew."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as file:
                json.dump({"difference": found}, file)
            Path(name).replace(self._path)
        except OSError as error:
            _log.debug("the verdict on reduced precision is not kept: %s", error)


class CheckedEngine(Delegate):
    """`engine` until it proves further than `limit` from float32, then what `exact` makes.

    reference: the network in float32 on the CPU, of which nobody else may change anything; it is let go of after the
    first two runs, and never used when `verdict` holds a result. limit: of `difference`.
    """

    def __init__(
        self, engine: Engine, exact: Callable[[], Engine], reference: nn.Module, *, limit: float, verdict: Verdict
    ) -> None:
        super().__init__(engine)
        self._limit, self._verdict = limit, verdict
        self._exact: Callable[[], Engine] | None = exact
        self._reference: nn.Module | None = reference
        self._differences: list[float] = []
        known = verdict.read()
        if known is not None:
            self._judge(known)

    def start(self, pixels: Tensor) -> Callable[[], Outputs]:
        if self._reference is None:
            return self._engine.start(pixels)
        outputs = self._engine.run(pixels)
        self._show()
        if self.precision == "float32":
            self._reference = self._exact = None
            return lambda: outputs
        wanted = self._in_float32(pixels)
        self._differences.append(difference(outputs[0], wanted[0]))
        if self._differences[-1] > self._limit or len(self._differences) == _CHECKED_RUNS:
            found = max(self._differences)
            self._verdict.write(found)
            self._judge(found)
            if found > self._limit:
                return self._engine.start(pixels)  # as a later run does, which knows from the beginning
        return lambda: outputs

    def warm_up(self, pixels: Tensor) -> None:
        """What is not a picture is no evidence: nothing is checked."""
        self._engine.warm_up(pixels)
        self._show()

    def _in_float32(self, pixels: Tensor) -> Outputs:
        assert self._reference is not None
        with failures_explained(self.device, pixels.shape), torch.inference_mode():
            return as_outputs(self._reference.to(self.device)(pixels))

    def _judge(self, found: float) -> None:
        exact, self._exact, self._reference = self._exact, None, None
        text = f"{self.precision} differs from float32 by {found:.1%} of the depth's spread"
        if found <= self._limit:
            _log.info("%s", text)
            self.reason = f"{self._engine.reason}; {text}"
            return
        assert exact is not None
        _log.warning(
            "%s, more than %s; float32 is used instead (--set model.precision_limit=...)", text, f"{self._limit:.1%}"
        )
        reason = f"{self._engine.reason}; {text}, so that float32 is used"
        self._engine.close()
        self._use(exact())
        self.reason = reason

    def close(self) -> None:
        self._reference = self._exact = None
        super().close()
