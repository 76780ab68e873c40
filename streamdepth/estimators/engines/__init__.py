"""Engines: each runs one network on the runtime that it is named after.

Nothing here imports torch before it is needed, because OpenVINO and ONNX Runtime run a converted network without it.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import InferenceError, MissingDependencyError, ModelLoadError
from streamdepth.core.futures import CompletedFuture, Future

if TYPE_CHECKING:
    from torch import Tensor

FloatArray: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = "FloatArray | Tensor"
"""Values that go into a network or come out of it: torch's tensors on the engine torch, numpy's arrays on others."""
Outputs: TypeAlias = tuple[Pixels, ...]
"""A network's outputs, the batch first in each."""

CompiledT = TypeVar("CompiledT")

_MAX_SIZES = 4


class SizeCache(OrderedDict[tuple[int, int], CompiledT]):
    """The compiled networks of the four input sizes used last, by (height, width) in px."""

    def get_or_make(
        self,
        size: tuple[int, int],
        make: Callable[[], CompiledT],
        on_evicted: Callable[[CompiledT], object] = lambda _: None,
    ) -> CompiledT:
        """Returns the network for `size`, made if there is none; `on_evicted` is called with one that is dropped."""
        if size not in self:
            self[size] = make()
            if len(self) > _MAX_SIZES:
                on_evicted(self.popitem(last=False)[1])
        self.move_to_end(size)
        return self[size]


class EngineOptions(TypedDict, total=False):
    """The options of `make_engine` besides the network."""

    engine: str
    device: str
    precision: str
    precision_limit: float | None
    compile: bool
    threads: int | None
    for_throughput: bool


class Engine(ABC):
    """Runs one network. A new engine implements `run`; one whose runtime works in the background `submit` too."""

    name: str
    """The runtime: `torch`, `openvino` or `onnx`."""
    device: str = "cpu"
    """The device of inputs and outputs, as torch names it: `cpu`, `cuda`, `cuda:1` or `mps`."""
    precision: str
    """The type that the network computes in: `float32`, `bfloat16`, `float16` or `int8`."""
    max_in_flight: int = 1
    """The number of batches that keep it busy: more than one if `submit` returns before the work is done."""
    reason: str = "it was asked for"
    """Why this engine was chosen, a short sentence for people."""

    @property
    def runs_on(self) -> str:
        """The device that computes, as `--device` names it; other engines than torch take and give arrays anyway."""
        return self.device

    @abstractmethod
    def run(self, pixels: Pixels) -> Outputs:
        """Computes the outputs of one batch, float32 on `device`. Raises InferenceError.

        pixels: (N, 3, H, W) float32, normalized for the network; every engine takes arrays and tensors.
        """

    def submit(self, pixels: Pixels) -> Future[Outputs]:
        """Begins to compute one batch and returns at once where the runtime can.

        Up to `max_in_flight` batches may be in flight; their results are asked for once each, in the order in which
        they were submitted. Raises InferenceError, here or when the result is asked for.
        """
        return CompletedFuture(self.run(pixels))

    def warm_up(self, pixels: Pixels) -> None:
        """Prepares for inputs of this size, so that the first batch is as fast as the others. Raises as `run` does."""
        self.run(pixels)

    def cuda_stream(self) -> AbstractContextManager[object]:
        """Returns the CUDA stream for one batch, so that its copies overlap with the computation of others.

        It is entered around all work on `device` for that batch: before `submit`, and again for its result. On other
        devices entering it does nothing.
        """
        return nullcontext()

    def upload(self, pictures: Sequence[Image]) -> npt.NDArray[np.uint8] | Tensor:
        """Copies N pictures of one size to `device`: (N, H, W, 3) uint8."""
        return np.stack(pictures)

    def download(self, values: Pixels) -> FloatArray:
        """Returns values as an array of numpy; they are complete when this returns."""
        return as_array(values)

    def keep(self, depth: Pixels) -> Tensor | None:
        """Returns (N, h, w) depth on the device, complete for all streams, NaN where it is not finite.

        None where depth is to be downloaded: on all but CUDA.
        """
        if isinstance(depth, np.ndarray) or not depth.is_cuda:
            return None
        import torch

        kept = torch.where(depth.isfinite(), depth, torch.nan)
        torch.cuda.current_stream(depth.device).synchronize()
        # Others read it on the default stream: its memory is not given away before they have.
        kept.record_stream(torch.cuda.default_stream(depth.device))
        return kept

    def close(self) -> None:
        """Releases everything. Idempotent."""


def as_array(values: Pixels) -> FloatArray:
    """Returns values as a contiguous array, which shares the memory of an array or a tensor on the CPU."""
    if not isinstance(values, np.ndarray):
        values = values.detach().cpu().float().numpy()
    return np.ascontiguousarray(values, np.float32)


def closed_engine_error() -> InferenceError:
    """Builds the error for a batch that is given to a closed engine."""
    return InferenceError("the engine was closed; make a new one", code="closed")


def import_engine_package(name: str, extra: str) -> Any:
    """Imports a package that the engine `extra` needs.

    Raises MissingDependencyError, and ModelLoadError with the code "broken-dependency" if the package does not load.
    """
    try:
        return import_module(name)
    except ImportError as error:
        if find_spec(name) is None:
            raise MissingDependencyError(name, extra, f"the engine {extra}") from error
        raise ModelLoadError(
            f"the package {name} is there and cannot be loaded ({error}); install it anew, or use --engine torch",
            code="broken-dependency",
        ) from error


def inference_error(error: Exception, device: str, shape: Sequence[int]) -> InferenceError:
    """Converts torch's RuntimeError or a MemoryError; shape: of the batch that was worked on, for the message."""
    torch = sys.modules.get("torch")  # no error of torch comes from where it was never imported
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return InferenceError(
            f"{device} ran out of memory on {tuple(shape)}; try a smaller --size or --batch", code="out-of-memory"
        )
    return InferenceError(f"the network failed on {tuple(shape)}: {error}")
