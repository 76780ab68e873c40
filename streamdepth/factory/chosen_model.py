"""The choice of the best model for this machine, where a user names a purpose instead of a model."""

from __future__ import annotations

import logging

from streamdepth.config.sections import ModelSettings
from streamdepth.core.errors import StreamDepthError
from streamdepth.estimators.catalog import BEST_OF_KIND, CatalogEntry, best_model
from streamdepth.estimators.engines.gpu_presence import may_have_gpu
from streamdepth.utils.memory import machine_memory_bytes

_log = logging.getLogger(__name__)

_GIB = 2**30


def with_chosen_model(model: ModelSettings) -> ModelSettings:
    """Returns the settings with the best free model for this machine in place of `metric` or `best`, and says it."""
    kind = BEST_OF_KIND.get(model.name.lower())
    if kind is None:
        return model
    gpu_bytes = _gpu_memory_bytes(model.device)
    memory = machine_memory_bytes() if gpu_bytes is None else gpu_bytes
    entry = best_model(kind, lambda candidate: gpu_bytes is not None and _runs_on_gpu(candidate), memory)
    _log.warning(
        "%s is %s here: the best model for %s depth that is free for any use, for a %s with %.0f GiB%s",
        model.name.lower(), entry.name, kind.value, "CPU" if gpu_bytes is None else "GPU", memory / _GIB,
        f" ({entry.note})" if entry.note else "",
    )  # fmt: skip
    return model.model_copy(update={"name": entry.name})


def _runs_on_gpu(entry: CatalogEntry) -> bool:
    """Returns True if the package that runs this model here can use a GPU: torch can, ONNX Runtime in one variant."""
    if not entry.onnx_file:
        return True
    from streamdepth.estimators.engines.onnx_providers import available_devices

    try:
        return "cuda" in available_devices()
    except StreamDepthError:  # ONNX Runtime is missing or broken
        return False


def _gpu_memory_bytes(device: str) -> float | None:
    """Returns the memory of the GPU that `device` means; None for a CPU."""
    if device == "cpu" or not may_have_gpu():
        return None
    import torch

    if torch.cuda.is_available():
        number = device.partition(":")[2]
        return float(torch.cuda.get_device_properties(int(number) if number.isdecimal() else 0).total_memory)
    return machine_memory_bytes() if torch.backends.mps.is_available() else None
