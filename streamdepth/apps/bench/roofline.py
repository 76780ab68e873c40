"""The roofline of a network: its FLOPs, and the FLOP/s that the machine reaches in matrix products."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16
from streamdepth.estimators.engines.torch_engine import DTYPES

_SIDES = {"cpu": 1536, "mps": 4096, "cuda": 8192}
_REPEATS = 3


def count_flops(module: nn.Module, pixels: Tensor) -> int:
    """Returns the FLOPs of one run: two for each multiply-add of convolutions and matrix products.

    Attention runs as plain matrix products meanwhile, since torch's counter does not count the CPU's fused kernel.
    """
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        module(pixels)
    return int(counter.get_total_flops())


def matrix_flops_per_second(device_name: str, precision: str) -> float:
    """Measures products of large square matrices, and returns the fastest.

    INT8 is compared with bfloat16, and with float32 where the device does not compute in bfloat16.
    """
    device = torch.device(device_name)
    side = _SIDES.get(device.type, 1536)
    fallback = torch.bfloat16 if computes_in_bfloat16(device) else torch.float32
    dtype = DTYPES.get(precision, fallback)
    a = torch.randn(side, side, device=device).to(dtype)
    a @ a
    times = []
    for _ in range(_REPEATS):
        _synchronize(device)
        began = time.perf_counter()
        a @ a
        _synchronize(device)
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
