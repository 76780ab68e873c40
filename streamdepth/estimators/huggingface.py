"""The estimator for every depth estimation architecture of Hugging Face's transformers."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.engines import EngineOptions
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.hub import find_model_files
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.preprocess import InputSpec, Size
from streamdepth.estimators.processor_config import load_processor_config, processor_spec

_PROMPTED = "prompt_depth_anything"
"""The architecture that takes a sensor's depth beside the picture."""


class HuggingFaceEstimator(NetworkEstimator):
    """A transformers model by short name, hub id or local folder. Code from the hub is never run.

    chmv2 models give vegetation height seen from above, not depth. They count as relative (high is near), but the
    values are not linear in inverse depth.

    Args:
        model: a short name of the catalog, a hub id such as `Intel/dpt-large`, or a folder that save_pretrained wrote.
        size: input size instead of the model's own, px of the side that decides the scale, or (width, height); rounded
            to the model's multiples.
        accept_license: load weights with a restricted license.
        allow_pickle: load weights that are not safetensors, with torch's restricted loader.
        kind: what the numbers mean, for the one architecture whose configuration does not say it (dpt; inverse depth
            is assumed).
        options: as `make_engine` takes them.

    Raises:
        ModelLoadError: with the codes of `find_model_files`, "unsupported" or "damaged".
        ConfigError: for a size that the model cannot take.
    """

    def __init__(
        self,
        model: str,
        *,
        size: Size | None = None,
        accept_license: bool = False,
        allow_pickle: bool = False,
        kind: DepthKind | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        network = load_huggingface_network(
            model, size=size, accept_license=accept_license, allow_pickle=allow_pickle, kind=kind
        )
        if network.card.takes_prompt:
            raise ModelLoadError(f"{model!r} needs a depth sensor's map beside the picture", code="unsupported")
        super().__init__(network.card, make_engine(network.module, **options))


def load_huggingface_network(
    model: str,
    *,
    size: Size | None = None,
    accept_license: bool = False,
    allow_pickle: bool = False,
    kind: DepthKind | None = None,
) -> Network:
    """Loads a model without an engine; arguments and errors are those of HuggingFaceEstimator."""
    files = find_model_files(model, accept_license=accept_license, allow_pickle=allow_pickle)
    config = load_config(files.folder)
    spec = make_input_spec(config, load_processor_config(files.folder), size)
    module = load_transformers_module(files.folder, config, is_pickled=files.is_pickled)
    stated = kind or (files.entry.kind if files.entry else None)
    parameters = sum(p.numel() for p in module.parameters())
    takes_prompt = config.model_type == _PROMPTED
    card = ModelCard(model, depth_kind(config, stated), files.license, parameters, spec, takes_prompt=takes_prompt)
    wrapped = PromptedModel(module) if takes_prompt else PlainTensorModel(module)
    config_hash = hashlib.blake2b(config.to_json_string(use_diff=False).encode(), digest_size=4).hexdigest()
    name = files.entry.name if files.entry else Path(model).name
    return Network(LazyModule(lambda: wrapped, f"{name}-{config_hash}"), card)


def make_input_spec(config: Any, processor: dict[str, Any], size: Size | None) -> InputSpec:
    """Returns the input steps of a model with these configurations, at its own size or another.

    Raises ModelLoadError and ConfigError.
    """
    try:
        spec = processor_spec(processor, config.model_type)
    except (TypeError, ValueError) as error:
        raise ModelLoadError(
            f"the settings of the model's image processor are damaged ({error}); download the model again",
            code="damaged",
        ) from error
    return spec if size is None else spec.with_size(size, _size_multiple(config, size))


class PlainTensorModel(nn.Module):
    """Wraps a transformers model so that it takes and returns plain tensors.

    It returns depth (N, h, w), and the field of view in degrees (N,) too if the model estimates it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        output = self.model(pixel_values=pixels)
        depth: Tensor = output.predicted_depth
        angle: Tensor | None = getattr(output, "field_of_view", None)
        return depth if angle is None else (depth, angle)


class PromptedModel(nn.Module):
    """Wraps a transformers model with a prompt so that it takes and returns plain tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, prompt: Tensor) -> Tensor:
        """Returns depth (N, h, w) in the unit of the prompt (N, 1, rows, columns)."""
        return self.model(pixel_values=pixels, prompt_depth=prompt).predicted_depth  # type: ignore[no-any-return]


def supported_architectures() -> list[str]:
    """Returns transformers' names of the architectures that can be loaded."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES as KNOWN

    return list(KNOWN)


def load_config(folder: Path) -> Any:
    """Returns the model's transformers configuration. Raises ModelLoadError if it is not one of a depth model."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever it likes
        path, allowed = folder / "config.json", ", ".join(supported_architectures())
        raise ModelLoadError(
            f"'{path}' is not the configuration of a depth model; allowed are {allowed}", code="unsupported"
        ) from error
    if config.model_type not in supported_architectures():
        raise ModelLoadError(
            f"the architecture {config.model_type} in '{folder}' does not estimate depth; allowed are "
            f"{', '.join(supported_architectures())}",
            code="unsupported",
        )
    return config


def depth_kind(config: Any, stated: DepthKind | None = None) -> DepthKind:
    """Returns what the numbers of a model with this configuration mean.

    chmv2 gives the height of trees seen from above, so that high is near. That is neither depth in meters nor inverse
    depth; of the two kinds, relative promises less. Depth Pro without its field of view gives inverse depth of unknown
    scale. Raises ModelLoadError.

    stated: the kind for dpt, whose configuration does not say it.
    """
    if config.model_type == "dpt":
        return stated or DepthKind.RELATIVE
    metric = {
        "depth_anything": getattr(config, "depth_estimation_type", None) == "metric",
        "depth_pro": getattr(config, "use_fov_model", False),
        "chmv2": False,
        "glpn": True,
        _PROMPTED: True,
        "tipsv2_dpt": True,
        "zoedepth": True,
    }
    if config.model_type not in metric:
        raise ModelLoadError(
            f"the architecture {config.model_type} is newer than this version of streamdepth", code="unsupported"
        )
    return DepthKind.METRIC if metric[config.model_type] else DepthKind.RELATIVE


def load_transformers_module(folder: Path, config: Any, *, is_pickled: bool = False) -> nn.Module:
    """Loads the network with its weights, float32 on the CPU. Raises ModelLoadError, also when weights are missing."""
    from transformers import AutoModelForDepthEstimation

    try:
        with silence_transformers():
            network, report = AutoModelForDepthEstimation.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
                trust_remote_code=False,
                use_safetensors=not is_pickled,
                weights_only=True,
            )
    except Exception as error:  # transformers, safetensors and pickle raise whatever they like
        raise ModelLoadError(
            f"cannot read the weights in '{folder}': they are damaged, or do not fit the configuration beside them; "
            "download the model again",
            code="damaged",
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise ModelLoadError(
            f"the weights in '{folder}' are not complete: {missing[0]} and {len(missing) - 1} more are missing; "
            "a model for depth estimation is needed, not its backbone",
            code="incomplete",
        )
    return network  # type: ignore[no-any-return]  # transformers is not typed


@contextlib.contextmanager
def silence_transformers() -> Iterator[None]:
    """Silences transformers' progress bar and its table of weights; what they say is checked instead."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _size_multiple(config: Any, size: Size) -> int:
    """Returns px that the input's sides must be multiples of. Raises ConfigError for a size the model cannot take."""
    if config.model_type == "depth_pro":
        raise ConfigError("depth-pro works at its own size only; leave --size out", code="bad-size")
    backbone = getattr(config, "backbone_config", None)
    plain = config.model_type == "dpt" and (backbone is None or config.is_hybrid)
    if plain and not isinstance(size, int) and size[0] != size[1]:
        raise ConfigError(
            f"this model takes square inputs only, not {size[0]}x{size[1]}; give one number as size", code="bad-size"
        )
    patch = next((int(p) for p in (getattr(holder, "patch_size", None) for holder in (backbone, config)) if p), 32)
    # DPT's coarsest features have half the patches, so patches of 16 px ask for 32.
    return patch if config.model_type == "chmv2" or patch % 14 == 0 else 32
