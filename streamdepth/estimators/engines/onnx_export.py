"""Export of torch modules to ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.engines.onnx_providers import import_onnx

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
"""The version of ONNX's operators in the files."""


def save_onnx(
    module: nn.Module, path: Path, batch: int, height: int, width: int, *, has_free_size: bool = False
) -> None:
    """Writes `module` as ONNX for inputs `pixels` of (batch, 3, height, width) float32. Raises ModelLoadError.

    With `has_free_size` the dimensions `height` and `width` stay open: the file takes all sizes that the network takes.
    """
    import_onnx("onnx")
    import torch

    example = torch.zeros(batch, 3, height, width)
    try:
        # Traced, as for OpenVINO: the exporter that torch prefers needs five times as long for the same graph. torch
        # announces the tracing one's end, and constants baked into the trace; both are meant here.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (example,), str(path), input_names=["pixels"], opset_version=OPSET, dynamo=False,
                dynamic_axes={"pixels": {2: "height", 3: "width"}} if has_free_size else None,
            )  # fmt: skip
    except Exception as error:  # torch, onnx and the network's own code raise whatever they like
        reason = " ".join(str(error).split())[-300:]
        raise ModelLoadError(
            f"this network cannot be exported to ONNX; try --engine torch ({reason})", code="not-convertible"
        ) from error
