"""One network, several runtimes: each engine runs a torch module on the runtime it is named after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from streamdepth.errors import InferenceError


class Engine(ABC):
    """Runs one network."""

    name: str
    """`torch`, `openvino`..."""
    device: torch.device
    """Where `run` takes its input and leaves its output."""
    precision: str
    """What the network computes in: `float32`, `bfloat16`, `float16`."""
    reason: str = "it was asked for"
    """Why this engine runs, a short sentence for people."""

    @abstractmethod
    def run(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) float32 on `device`, normalised for the network -> its outputs, float32 on `device`.

        Raises InferenceError.
        """

    def close(self) -> None:
        """Lets go of everything. Idempotent."""


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
