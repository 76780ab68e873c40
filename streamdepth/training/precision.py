"""The number type in which a device trains fastest."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16


def fast_dtype(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which the network computes in bfloat16 where that is fast, in float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16) if computes_in_bfloat16(device) else nullcontext()
