"""Conversion of torch modules to OpenVINO's models, and the files in which those are kept."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.engines import import_engine_package
from streamdepth.estimators.engines.openvino_graph import keep_outputs_in_float32
from streamdepth.estimators.engines.runtime_errors import plain_reason

if TYPE_CHECKING:
    from torch import Tensor, nn

_log = logging.getLogger(__name__)


def convert_to_openvino(module: nn.Module, height: int, width: int) -> Any:
    """Returns OpenVINO's model of a module for one picture of this size, (1, 3, height, width). Raises ModelLoadError.

    module: in evaluation mode and in float32 on the CPU.
    """
    import torch

    _log.info("converting the network for OpenVINO at %dx%d px", width, height)
    example = torch.zeros(1, 3, height, width)
    try:
        # torch.jit.trace announces its deprecation, and constants baked into the trace; both are meant here.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
            model = _from_torchscript(traced, example)
        model.reshape([1, 3, height, width])
        return model
    except Exception as error:  # torch, OpenVINO and the network's own code raise whatever they like
        raise ModelLoadError(
            f"OpenVINO cannot convert this network; try --engine torch ({plain_reason(error)})", code="not-convertible"
        ) from error


def save_openvino(model: Any, path: Path) -> None:
    """Writes OpenVINO's model to `path`, the .xml file, and the weights beside it.

    The last layers are marked to be computed in float32, see `keep_outputs_in_float32`.
    """
    import_engine_package("openvino", "openvino").save_model(model, path, compress_to_fp16=False)
    keep_outputs_in_float32(path)


def _from_torchscript(traced: Any, example: Tensor) -> Any:
    """Converts with OpenVINO's frontend: `openvino.convert_model` is slower."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced, example_input=example)
    loaded = frontend.load(decoder)  # refers to the decoder without owning it
    return frontend.convert(loaded)
