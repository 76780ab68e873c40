"""Runs a session of ONNX Runtime on tensors of torch where they lie: nothing is copied between CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.estimators.engines import Pixels

if TYPE_CHECKING:
    from torch import Tensor


def run_bound(session: Any, pixels: Pixels) -> tuple[Tensor, ...]:
    """Returns a session's outputs for one input, float32 tensors on the device of `pixels`.

    Args:
        session: an InferenceSession with one input of the shape of `pixels`, whose outputs have fixed shapes.
        pixels: float32, on the CPU or on the GPU that the session runs on; complete when this is called on its stream.
    """
    import torch

    pixels = torch.as_tensor(pixels).float().contiguous()
    outputs = {out.name: torch.empty(out.shape, device=pixels.device) for out in session.get_outputs()}
    binding = session.io_binding()
    place = pixels.device.type, pixels.device.index or 0, np.float32
    binding.bind_input(session.get_inputs()[0].name, *place, tuple(pixels.shape), pixels.data_ptr())
    for name, tensor in outputs.items():
        binding.bind_output(name, *place, tuple(tensor.shape), tensor.data_ptr())
    if pixels.is_cuda:
        torch.cuda.current_stream(pixels.device).synchronize()  # the session works on a stream of its own
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return tuple(outputs.values())


def has_fixed_outputs(session: Any) -> bool:
    """Returns True if all outputs have known shapes, as `run_bound` needs them."""
    return all(isinstance(side, int) for output in session.get_outputs() for side in output.shape)


def fill_batch(pixels: Pixels, count: int) -> Pixels:
    """Returns `count` pictures, the last one of `pixels` again where there are too few of them."""
    missing = count - len(pixels)
    return concatenate([pixels, *[pixels[-1:]] * missing]) if missing else pixels


def concatenate(parts: Sequence[Pixels]) -> Pixels:
    """Returns arrays or tensors as one, along the first dimension."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat([torch.as_tensor(part) for part in parts])
