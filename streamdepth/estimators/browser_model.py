"""The built-in model as an ONNX file for browsers: half as large, and for pictures of every aspect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines.onnx_export import save_onnx
from streamdepth.estimators.engines.onnx_providers import import_onnx
from streamdepth.estimators.exported_model import difference_from_torch
from streamdepth.estimators.network import Network

MAX_DIFFERENCE = 0.01
"""Largest accepted `relative_difference` of the written file from torch."""
_MIN_VALUES = 64
"""Tensors with fewer values stay float32, because rounding them would save nothing."""
_LEAST_CHECKED_PX = 128
"""Smallest sides of the noise on which a file is judged; on less, the rounding of a few values decides."""


def write_browser_model(network: Network, path: Path) -> float:
    """Writes a network as ONNX with weights in float16, which computes in float32 for inputs of any size.

    Its input `pixels` is (1, 3, height, width) float32 with sides that are multiples of the network's; its output is
    depth, (1, height, width) float32.

    Args:
        network: one whose card resizes pictures before the upload, as the built-in model's does.
        path: the file to write.

    Returns:
        How far ONNX Runtime with this file is from torch, as `relative_difference` says, on noise of another size.

    Raises:
        ConfigError: for another network ("unsupported").
        MissingDependencyError: without onnx and onnxruntime.
        ModelLoadError: the network cannot be exported, or differs too much ("inexact").
    """
    spec = network.card.spec
    if not network.card.resizes_before_upload or spec.size is None:
        raise ConfigError(
            f"browsers run nano only, not {network.card.name!r}; leave --model out, or give weights of nano",
            code="unsupported",
        )
    onnx = import_onnx("onnx")
    save_onnx(network.module.get(), path, 1, *spec.size, has_free_size=True)
    model = onnx.load(str(path))
    _halve_weights(onnx, model.graph)
    onnx.save(model, str(path))
    height, width = (max(side, _LEAST_CHECKED_PX) for side in spec.size)
    difference = difference_from_torch(network, path, height + spec.multiple, width)
    if difference > MAX_DIFFERENCE:
        raise ModelLoadError(
            f"nano for browsers differs from torch's by {difference:.1%} of the spread; train its weights anew",
            code="inexact",
        )
    return difference


def _halve_weights(onnx: Any, graph: Any) -> None:
    """Stores large tensors as float16, each with a node before the others that makes it float32 again.

    ONNX Runtime runs these nodes once, when it loads the file.
    """
    for position, tensor in enumerate([t for t in graph.initializer if _is_large(onnx, t)]):
        values, name = onnx.numpy_helper.to_array(tensor), tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        cast = onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(position, cast)


def _is_large(onnx: Any, tensor: Any) -> bool:
    return tensor.data_type == onnx.TensorProto.FLOAT and int(np.prod(tensor.dims)) >= _MIN_VALUES
