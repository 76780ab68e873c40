"""The number type in which a device trains fastest."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Returns True if bfloat16 is faster than float32 there: CPUs without it emulate it, 25 times slower."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def fast_dtype(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which the network computes in bfloat16 where that is fast, in float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16) if has_fast_bfloat16(device) else nullcontext()
