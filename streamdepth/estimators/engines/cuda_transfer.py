"""Copies between the CPU and a GPU through pinned memory, which the GPU reads and writes by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from streamdepth.core.arrays import Image
from streamdepth.estimators.engines import FloatArray, as_array


def upload_pinned(pictures: Sequence[Image], device: torch.device) -> Tensor:
    """Copies N pictures of one size to a GPU: (N, H, W, 3) uint8, complete for work on the current stream."""
    pinned = torch.empty((len(pictures), *pictures[0].shape), dtype=torch.uint8, pin_memory=True)
    np.stack(pictures, out=pinned.numpy())
    return pinned.to(device, non_blocking=True)


def download_pinned(values: Tensor) -> FloatArray:
    """Returns values on a GPU as an array; the work of the current stream is complete when this returns."""
    pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    pinned.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return as_array(pinned.clone())  # pinned memory is for passing through, not for keeping
