"""Every depth estimation architecture of Hugging Face's transformers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.engines import EngineOptions
from streamdepth.estimators.engines.choose import make_engine
from streamdepth.estimators.hub import locate
from streamdepth.estimators.network import Card, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.preprocess import InputSpec, Size

_WITHOUT_PICTURE_ALONE = {"prompt_depth_anything": "it needs a depth sensor's map beside the picture"}


class HuggingFaceEstimator(NetworkEstimator):
    """A model by short name, hub id or local folder.

    size: of the network's input instead of the model's own, px of the side that decides the scale, or (width,
    height); rounded to the model's multiples. options: as `make_engine` takes them. kind: what the numbers mean, for
    the one architecture whose configuration cannot tell (dpt; inverse depth is assumed).
    A chmv2 model gives the height of what grows, in pictures from above, and no depth: its numbers pass as relative,
    for high is near the camera, but they are no inverse depth, and not linear in it.
    Code from the hub is never run. Raises ModelLoadError and ConfigError.
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
        found = huggingface(model, size=size, accept_license=accept_license, allow_pickle=allow_pickle, kind=kind)
        super().__init__(found.card, make_engine(found.module, cache_name=found.cache_name, **options))


def huggingface(
    model: str,
    *,
    size: Size | None = None,
    accept_license: bool = False,
    allow_pickle: bool = False,
    kind: DepthKind | None = None,
) -> Network:
    """The model, loaded; arguments and errors as HuggingFaceEstimator has them."""
    found = locate(model, accept_license=accept_license, allow_pickle=allow_pickle)
    config = load_config(found.folder)
    spec = input_spec(config, processor_config(found.folder), size)
    module = load_network(found.folder, config, pickled=found.pickled)
    stated = kind or (found.entry.kind if found.entry else None)
    card = Card(model, kind_of(config, stated), found.license, sum(p.numel() for p in module.parameters()), spec)
    facts = hashlib.blake2b(config.to_json_string(use_diff=False).encode(), digest_size=4).hexdigest()
    return Network(Outputs(module), card, f"{found.entry.name if found.entry else Path(model).name}-{facts}")


def input_spec(config: Any, processor: dict[str, Any], size: Size | None) -> InputSpec:
    """Of a model with these configurations. size: instead of its own. Raises ModelLoadError and ConfigError."""
    try:
        spec = InputSpec.from_processor(processor, config.model_type)
    except (TypeError, ValueError) as error:
        raise ModelLoadError(
            f"the settings of the model's image processor are damaged ({error}); download the model again"
        ) from error
    return spec if size is None else spec.resized(size, _multiple(config, size))


class Outputs(nn.Module):
    """A transformers model that takes and gives plain tensors: depth (N, h, w), and (N,) degrees where it sees them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        output = self.model(pixel_values=pixels)
        depth: Tensor = output.predicted_depth
        angle: Tensor | None = getattr(output, "field_of_view", None)
        return depth if angle is None else (depth, angle)


def supported() -> list[str]:
    """transformers' names of the architectures that can be loaded."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES as KNOWN

    return [name for name in KNOWN if name not in _WITHOUT_PICTURE_ALONE]


def load_config(folder: Path) -> Any:
    """The model's transformers configuration. Raises ModelLoadError when the architecture is not one for depth."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever it likes
        path, allowed = folder / "config.json", ", ".join(supported())
        raise ModelLoadError(f"'{path}' is not the configuration of a depth model; allowed are {allowed}") from error
    if config.model_type not in supported():
        why = _WITHOUT_PICTURE_ALONE.get(config.model_type, "it does not estimate depth")
        raise ModelLoadError(
            f"the architecture {config.model_type} in '{folder}' cannot be used: {why}; allowed are "
            f"{', '.join(supported())}"
        )
    return config


def kind_of(config: Any, stated: DepthKind | None = None) -> DepthKind:
    """What the numbers of a model with this configuration mean. stated: for dpt, whose configuration cannot tell.

    chmv2 gives the height of trees seen from above, so that high is near. That is neither depth in metres nor inverse
    depth; of the two kinds, relative promises less.
    Depth Pro without its field of view gives inverse depth of unknown scale.
    """
    if config.model_type == "dpt":
        return stated or DepthKind.RELATIVE
    metric = {
        "depth_anything": getattr(config, "depth_estimation_type", None) == "metric",
        "depth_pro": getattr(config, "use_fov_model", False),
        "chmv2": False,
        "glpn": True,
        "tipsv2_dpt": True,
        "zoedepth": True,
    }
    if config.model_type not in metric:
        raise ModelLoadError(f"the architecture {config.model_type} is newer than this version of streamdepth")
    return DepthKind.METRIC if metric[config.model_type] else DepthKind.RELATIVE


def processor_config(folder: Path) -> dict[str, Any]:
    """The image processor's settings, empty when the folder has none. Raises ModelLoadError."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = folder / name
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                settings = found.get("image_processor", found if name.startswith("pre") else {})
                if settings:
                    return dict(settings)
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise ModelLoadError(f"'{path}' is damaged: {error}; download the model again") from error
    return {}


def load_network(folder: Path, config: Any, *, pickled: bool = False) -> nn.Module:
    """The network with its weights, float32 on the CPU. Raises ModelLoadError, also when weights are missing."""
    from transformers import AutoModelForDepthEstimation

    try:
        with quiet():
            network, report = AutoModelForDepthEstimation.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
                trust_remote_code=False,
                use_safetensors=not pickled,
                weights_only=True,
            )
    except Exception as error:  # transformers, safetensors and pickle raise whatever they like
        raise ModelLoadError(
            f"cannot read the weights in '{folder}': they are damaged, or do not fit the configuration beside them; "
            "download the model again"
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise ModelLoadError(
            f"the weights in '{folder}' are not complete: {missing[0]} and {len(missing) - 1} more are missing; "
            "a model for depth estimation is needed, not its backbone"
        )
    return network  # type: ignore[no-any-return]  # transformers is not typed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """transformers' progress bar and its table of weights are silenced; what they say is checked instead."""
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


def _multiple(config: Any, size: Size) -> int:
    """px that the input's sides must be multiples of. Raises ConfigError when the model cannot take other sizes."""
    if config.model_type == "depth_pro":
        raise ConfigError("depth-pro works at its own size only; leave --size out")
    backbone = getattr(config, "backbone_config", None)
    plain = config.model_type == "dpt" and (backbone is None or config.is_hybrid)
    if plain and not isinstance(size, int) and size[0] != size[1]:
        raise ConfigError(f"this model takes square inputs only, not {size[0]}x{size[1]}; give one number as size")
    patch = next((int(p) for p in (getattr(holder, "patch_size", None) for holder in (backbone, config)) if p), 32)
    # DPT's coarsest features have half the patches, so patches of 16 px ask for 32.
    return patch if config.model_type == "chmv2" or patch % 14 == 0 else 32
