"""Tells the devices that compute in bfloat16 from those that only emulate it, where this package never asks for it."""

from __future__ import annotations

import torch


def computes_in_bfloat16(device: torch.device) -> bool:
    """Returns True if bfloat16 is faster than float32 there.

    A CPU without instructions for it emulates it: a training step then takes 25 times as long as in float32.
    """
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False
