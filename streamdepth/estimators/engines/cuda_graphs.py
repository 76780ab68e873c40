"""A network whose work is recorded once as a CUDA graph and replayed from then on, without Python between its steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from streamdepth.estimators.engines import SizeCache

_log = logging.getLogger(__name__)

Outputs: TypeAlias = tuple[Tensor, ...]
Network: TypeAlias = Callable[[Tensor], Outputs]

WARM_UP_CALLS = 3
"""Calls after which a network is recorded: by then cuDNN has chosen its algorithms and memory has been set aside."""
_MAX_DIFFERENCE = 0.01
"""Largest mean difference of a replay from the network, as a share of the output's mean size."""


def record_cuda_graph(network: Network, pixels: Tensor) -> Network:
    """Records `network` for inputs of the shape of `pixels`; returns what replays it. Raises RuntimeError.

    Other threads may work on the GPU meanwhile.
    """
    held = pixels.clone(memory_format=torch.preserve_format)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = network(held)

    def replay(pixels: Tensor) -> Outputs:
        held.copy_(pixels)
        graph.replay()
        return tuple(output.clone() for output in outputs)  # the next replay writes over them

    return replay


class RecordedNetwork:
    """Calls a network, and from the fourth call with inputs of a shape on a recording of it.

    A network that cannot be recorded, because it decides by values on the GPU, or whose recording gives something else
    is called as it is for good, which is logged.

    Args:
        network: maps (N, 3, H, W) to a tuple of tensors.
        record: makes a recording for inputs like the one that it is given.
        lane: tells work that may run at the same time apart, such as the current CUDA stream; each has a recording.
    """

    def __init__(
        self,
        network: Network,
        record: Callable[[Network, Tensor], Network] = record_cuda_graph,
        lane: Callable[[], int] = lambda: torch.cuda.current_stream().cuda_stream,
    ) -> None:
        self._network, self._record, self._lane = network, record, lane
        self._calls: Counter[tuple[int, ...]] = Counter()
        self._recordings: dict[tuple[int, int], SizeCache[Network]] = {}
        """By lane and number of pictures, those of the sizes used last."""
        self._is_refused = False

    def __call__(self, pixels: Tensor) -> Outputs:
        if self._is_refused:
            return self._network(pixels)
        key = (self._lane(), *pixels.shape)
        self._calls[key] += 1
        if self._calls[key] <= WARM_UP_CALLS:
            return self._network(pixels)
        recordings = self._recordings.setdefault((key[0], len(pixels)), SizeCache())
        size = pixels.shape[-2], pixels.shape[-1]
        if size in recordings:
            return recordings.get_or_make(size, lambda: self._network)(pixels)
        return self._try_recording(recordings, size, pixels)

    def _try_recording(self, recordings: SizeCache[Network], size: tuple[int, int], pixels: Tensor) -> Outputs:
        outputs = self._network(pixels)
        try:
            recording = self._record(self._network, pixels)
            if _differ(outputs, recording(pixels)):
                raise RuntimeError("its recording gives something else")
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            _log.warning("this network cannot run as a CUDA graph, and runs without: %s", reason)
            self._is_refused = True
            self._recordings.clear()
        else:
            recordings.get_or_make(size, lambda: recording)
        return outputs


def _differ(wanted: Outputs, found: Outputs) -> bool:
    return any(
        float((a - b).float().abs().mean()) > _MAX_DIFFERENCE * float(a.float().abs().mean()) + 1e-6
        for a, b in zip(wanted, found, strict=True)
    )
