"""One model on several devices at once, each of which computes its share of the batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from streamdepth.core.device_map import DeviceMap, for_depth_field
from streamdepth.core.errors import ConfigError
from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo


class SeveralDevicesEstimator(Estimator):
    """Gives each batch to the next of several copies of one model, and closes them with itself.

    Depth on a GPU comes to the first one, so that what follows finds all of a stream in one place. Raises ConfigError
    ("option-conflict") for a model with memory, each copy of which would miss most of a stream.
    """

    def __init__(self, copies: Sequence[Estimator]) -> None:
        if any(copy.has_memory for copy in copies):
            raise ConfigError(
                f"{copies[0].info.name} remembers earlier frames, and so runs on one device; name one of them",
                code="option-conflict",
            )
        self._copies = list(copies)
        self._next = cycle(self._copies)

    @property
    def max_in_flight(self) -> int:
        return sum(copy.max_in_flight for copy in self._copies)

    @property
    def info(self) -> ModelInfo:
        infos = [copy.info for copy in self._copies]
        return replace(infos[0], device=",".join(info.device for info in infos))

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        return _OnFirstDevice(next(self._next).submit(frames), self._copies[0].info.device)

    def warm_up(self, width: int, height: int) -> None:
        for copy in self._copies:
            copy.warm_up(width, height)

    def reset(self, stream: str) -> None:
        for copy in self._copies:
            copy.reset(stream)

    def close(self) -> None:
        for copy in self._copies:
            copy.close()


@dataclass(frozen=True, slots=True)
class _OnFirstDevice:
    """The future estimates of one batch, whose depth on another GPU is brought to the first."""

    estimates: Future[list[Estimate]]
    device: str

    def result(self) -> list[Estimate]:
        return [self._moved(estimate) for estimate in self.estimates.result()]

    def _moved(self, estimate: Estimate) -> Estimate:
        depth = estimate.stored_depth
        if not isinstance(depth, DeviceMap):
            return estimate
        return replace(estimate, depth=for_depth_field(DeviceMap(depth.tensor.to(self.device))))
