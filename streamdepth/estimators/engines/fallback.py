"""An engine that is replaced by a safer one where it proves unfit for the network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ModelLoadError
from streamdepth.core.futures import CompletedFuture, Future
from streamdepth.estimators.engines import Engine, FloatArray, Outputs, Pixels
from streamdepth.estimators.engines.precision_check import PrecisionCheck

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)


class FallbackEngine(Engine):
    """Runs `engine` until it proves unfit, and another one from then on.

    Two things make it unfit: it does not take the network, then the engine that `make_torch` builds takes its place;
    or its reduced precision is too far from float32, then the one of the check does.

    Args:
        engine: the engine to begin with.
        make_torch: builds the engine that can run every network; None where a failure is to be an error.
        check: compares the first outputs with float32; None where precision is not checked.
    """

    def __init__(
        self, engine: Engine, *, make_torch: Callable[[], Engine] | None = None, check: PrecisionCheck | None = None
    ) -> None:
        self._engine, self._make_torch, self._check = engine, make_torch, check
        self._failure = self._precision_note = ""
        self._copy_facts()
        if check is not None and (recorded := check.recorded_difference()) is not None:
            self._conclude_check(check, recorded)

    def _copy_facts(self) -> None:
        """Copies name, device, precision, `max_in_flight` and reason from the current engine.

        An engine may learn its precision only when it runs.
        """
        engine = self._engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision
        self.max_in_flight = engine.max_in_flight
        self.reason = (self._failure or engine.reason) + self._precision_note

    @property
    def runs_on(self) -> str:
        return self._engine.runs_on

    def run(self, pixels: Pixels) -> Outputs:
        return self.submit(pixels).result()

    def submit(self, pixels: Pixels) -> Future[Outputs]:
        try:
            future = self._submit_checked(pixels, self._check) if self._check else self._engine.submit(pixels)
        except ModelLoadError as error:
            self._fall_back_to_torch(error)
            future = self._engine.submit(pixels)
        self._copy_facts()
        return future

    def warm_up(self, pixels: Pixels) -> None:
        """Warms the engine up, and falls back to torch if it does not take the network.

        Precision is not checked, because this input is no real picture.
        """
        try:
            self._engine.warm_up(pixels)
        except ModelLoadError as error:
            self._fall_back_to_torch(error)
            self._engine.warm_up(pixels)
        self._copy_facts()

    def _fall_back_to_torch(self, error: ModelLoadError) -> None:
        if self._make_torch is None:
            raise error
        _log.warning("%s; torch is used instead", error)
        failed = self._engine
        self._engine = self._make_torch()
        self._failure = f"{failed.name} did not take the network"
        self._make_torch = self._check = None
        self._precision_note = ""

    def _submit_checked(self, pixels: Pixels, check: PrecisionCheck) -> Future[Outputs]:
        outputs = self._engine.submit(pixels).result()
        if self._engine.precision == "float32":
            self._check = None
            return CompletedFuture(outputs)
        difference = check.compare(pixels, outputs[0])
        if difference is not None:
            self._conclude_check(check, difference)
            if difference > check.limit:
                return self._engine.submit(pixels)  # as in later runs, which know it from the beginning
        return CompletedFuture(outputs)

    def _conclude_check(self, check: PrecisionCheck, difference: float) -> None:
        self._check = None
        found = f"{self._engine.precision} differs from float32 by {difference:.1%} of the depth's spread"
        if difference <= check.limit:
            _log.info("%s", found)
            self._precision_note = f"; {found}"
        else:
            _log.warning(
                "%s, more than %s; float32 is used in this run (--set model.precision_limit=...)",
                found,
                f"{check.limit:.1%}",
            )
            self._precision_note = f"; {found}, so that float32 is used in this run"
            self._engine.close()
            self._engine = check.make_float32()
        self._copy_facts()

    def cuda_stream(self) -> AbstractContextManager[object]:
        return self._engine.cuda_stream()

    def upload(self, pictures: Sequence[Image]) -> npt.NDArray[np.uint8] | Tensor:
        return self._engine.upload(pictures)

    def download(self, values: Pixels) -> FloatArray:
        return self._engine.download(values)

    def keep(self, depth: Pixels) -> Tensor | None:
        return self._engine.keep(depth)

    def close(self) -> None:
        self._check = None
        self._engine.close()
