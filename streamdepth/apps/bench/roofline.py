"""How much of the machine's arithmetic a network uses."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from streamdepth.estimators.engines.torch_engine import DTYPES

_SIDES = {"cpu": 1536, "mps": 4096, "cuda": 8192}
_REPEATS = 3


def flops(module: nn.Module, pixels: Tensor) -> int:
    """Of one run: two for every multiplication with addition in convolutions and products of matrices.

    The attention is written out as products of matrices, for the counter does not know the CPU's own.
    """
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        module(pixels)
    return int(counter.get_total_flops())


def matrix_flops_per_second(device: torch.device, precision: str) -> float:
    """Of a product of large square matrices, the best of a few; INT8 is compared with bfloat16."""
    side = _SIDES.get(device.type, 1536)
    dtype = DTYPES.get(precision, torch.bfloat16)
    a = torch.randn(side, side, device=device).to(dtype)
    a @ a
    times = []
    for _ in range(_REPEATS):
        _wait(device)
        began = time.perf_counter()
        a @ a
        _wait(device)
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
