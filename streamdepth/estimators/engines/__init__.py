"""One network, several runtimes: each engine runs a torch module on the runtime it is named after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypedDict, TypeVar

import numpy as np
import torch
from torch import Tensor

from streamdepth.core.arrays import Image
from streamdepth.core.errors import InferenceError, MissingDependencyError, ModelLoadError

Outputs = tuple[Tensor, ...]

Made = TypeVar("Made")

_SIZES_KEPT = 4


class BySize(OrderedDict[tuple[int, int], Made]):
    """Networks that are made for one input size each, by (height, width): of the four sizes used last."""

    def of(
        self, size: tuple[int, int], make: Callable[[], Made], dropped: Callable[[Made], object] = lambda _: None
    ) -> Made:
        """The one for `size`, made where there is none; `dropped` is told of one that is no longer kept."""
        if size not in self:
            self[size] = make()
            if len(self) > _SIZES_KEPT:
                dropped(self.popitem(last=False)[1])
        self.move_to_end(size)
        return self[size]


class EngineOptions(TypedDict, total=False):
    """What `make_engine` takes besides the network."""

    engine: str
    device: str
    precision: str
    precision_limit: float | None
    compile: bool
    threads: int | None
    for_throughput: bool


class Engine(ABC):
    """Runs one network."""

    name: str
    """`torch`, `openvino`..."""
    device: torch.device
    """Where `run` takes its input and leaves its output."""
    precision: str
    """What the network computes in: `float32`, `bfloat16`, `float16`, `int8`."""
    max_in_flight: int = 1
    """How many calls of `start` keep it busy: more than one where that returns before the work is done."""
    reason: str = "it was asked for"
    """Why this engine runs, a short sentence for people."""

    @abstractmethod
    def run(self, pixels: Tensor) -> Outputs:
        """(N, 3, H, W) float32 on `device`, normalised for the network -> its outputs, float32 on `device`.

        Raises InferenceError.
        """

    def start(self, pixels: Tensor) -> Callable[[], Outputs]:
        """Begins `run` and returns at once where the runtime can; what it returns waits for the outputs, once.

        `max_in_flight` may be under way, waited for in the order they were begun. Raises InferenceError, here or there.
        """
        outputs = self.run(pixels)
        return lambda: outputs

    def warm_up(self, pixels: Tensor) -> None:
        """Makes ready for input of this size, so that the first `run` is as fast as the others. Raises as `run`."""
        self.run(pixels)

    def lane(self) -> AbstractContextManager[object]:
        """Where one picture's work is queued, apart from the others', so that copies overlap with computing.

        To be entered around all that is done on `device` for one call of `start` and for what it returns.
        """
        return nullcontext()

    def upload(self, pictures: Sequence[Image]) -> Tensor:
        """N pictures of one size, (H, W, 3) -> (N, H, W, 3) uint8 on `device`."""
        return torch.from_numpy(np.stack(pictures)).to(self.device)

    def download(self, values: Tensor) -> Tensor:
        """To the CPU, complete when this returns."""
        return values.cpu()

    def close(self) -> None:
        """Lets go of everything. Idempotent."""


class Delegate(Engine):
    """Runs another engine, which may be replaced on the way."""

    def __init__(self, engine: Engine) -> None:
        self._use(engine)

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self._show()

    def _show(self) -> None:
        """What the engine says of itself, which it may learn at its first run only."""
        e = self._engine
        self.name, self.device, self.precision, self.reason = e.name, e.device, e.precision, e.reason
        self.max_in_flight = e.max_in_flight

    def run(self, pixels: Tensor) -> Outputs:
        return self.start(pixels)()

    def lane(self) -> AbstractContextManager[object]:
        return self._engine.lane()

    def upload(self, pictures: Sequence[Image]) -> Tensor:
        return self._engine.upload(pictures)

    def download(self, values: Tensor) -> Tensor:
        return self._engine.download(values)

    def close(self) -> None:
        self._engine.close()


def import_package(name: str, extra: str) -> Any:
    """What the engine `extra` needs. Raises MissingDependencyError, and ModelLoadError for one that is broken."""
    try:
        return import_module(name)
    except ImportError as error:
        if find_spec(name) is None:
            raise MissingDependencyError(name, extra, f"the engine {extra}") from error
        raise ModelLoadError(
            f"the package {name} is there and cannot be loaded ({error}); install it anew, or use --engine torch"
        ) from error


@contextmanager
def failures_explained(device: torch.device, shape: Sequence[int]) -> Iterator[None]:
    """torch's errors as InferenceError. shape: of what is worked on."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise InferenceError(
            f"{device} ran out of memory on {tuple(shape)}; try a smaller --size or --batch"
        ) from error
    except RuntimeError as error:
        raise InferenceError(f"the network failed on {tuple(shape)}: {error}") from error
