"""Networks with random weights by published hyper-parameters: as fast as the real ones, without a download."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from streamdepth.core.errors import ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators import catalog
from streamdepth.estimators.catalog import CatalogEntry
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.huggingface import (
    PlainTensorModel,
    depth_kind,
    load_config,
    make_input_spec,
    silence_transformers,
)
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.preprocess import Size
from streamdepth.estimators.processor_config import load_processor_config
from streamdepth.estimators.zipdepth import load_zipdepth

_VIT_SIZES = {"small": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 16, 24)}
"""Hidden size, attention heads, layers of the vision transformers."""
_OUT_LAYERS = {12: [3, 6, 9, 12], 24: [6, 12, 18, 24]}
_NECK_CHANNELS = {"small": [48, 96, 192, 384], "base": [96, 192, 384, 768], "large": [256, 512, 1024, 1024]}
_FUSION_CHANNELS = {"small": 64, "base": 128, "large": 256}
_SWIN = {
    "tiny": (96, [2, 2, 6, 2], [3, 6, 12, 24], 16),
    "base": (128, [2, 2, 18, 2], [4, 8, 16, 32], 24),
    "large": (192, [2, 2, 18, 2], [6, 12, 24, 48], 24),
}
"""Embedding dimension, depths, heads and window of the Swin transformers."""
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def random_network(model: str, size: Size | None = None) -> Network:
    """Returns a network of full size with random weights, float32.

    model: a local folder with config.json, or a short name or hub id of the catalog. Raises ModelLoadError and
    ConfigError.
    """
    from transformers import AutoModelForDepthEstimation

    entry, folder = catalog.find_entry(model), Path(os.path.expanduser(model))
    if entry is not None and entry.name == "zipdepth":
        return load_zipdepth(size=size if isinstance(size, int) else None, has_random_weights=True)
    if folder.is_dir():
        config, processor = load_config(folder), load_processor_config(folder)
    elif entry is not None:
        config, processor = published_config(entry)
    else:
        raise _unknown_architecture(model)
    spec = make_input_spec(config, processor, size)
    torch.manual_seed(0)
    with silence_transformers():
        module = AutoModelForDepthEstimation.from_config(config).eval()
    name, kind = f"{model} (random weights)", depth_kind(config, entry.kind if entry else None)
    card = ModelCard(name, kind, "none", sum(p.numel() for p in module.parameters()), spec)
    return Network(LazyModule(lambda: PlainTensorModel(module), "random"), card)


def published_config(entry: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    """Returns the configurations of a model and of its image processor. Raises ModelLoadError if they are not known."""
    makers = {
        r"depth-anything|distill-any": _depth_anything,
        r"dpt-large": _dpt_large,
        r"dpt-hybrid": _dpt_hybrid,
        r"midas-beit": _beit,
        r"midas-swin": _swin,
        r"zoedepth": _zoedepth,
        r"glpn": _glpn,
        r"depth-pro": _depth_pro,
        r"dpt-dinov2": _dpt_dinov2,
    }
    make = next((maker for pattern, maker in makers.items() if re.match(pattern, entry.name)), None)
    if make is None:
        raise _unknown_architecture(entry.name)
    return make(entry)


def _unknown_architecture(model: str) -> ModelLoadError:
    return ModelLoadError(
        f"the architecture of {model!r} is not known here; give a folder with its config.json", code="unknown-model"
    )


def _variant(entry: CatalogEntry) -> str:
    return next(variant for variant in ("tiny", "small", "base", "large") if variant in entry.name)


def _vit(variant: str) -> dict[str, Any]:
    hidden, heads, layers = _VIT_SIZES[variant]
    return {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers}


def _dinov2(variant: str) -> Any:
    from transformers import Dinov2Config

    return Dinov2Config(
        **_vit(variant),
        image_size=518,
        patch_size=14,
        out_indices=_OUT_LAYERS[_VIT_SIZES[variant][2]],
        reshape_hidden_states=False,
    )


def _depth_anything(entry: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DepthAnythingConfig

    variant = _variant(entry)
    config = DepthAnythingConfig(
        backbone_config=_dinov2(variant),
        reassemble_hidden_size=_VIT_SIZES[variant][0],
        neck_hidden_sizes=_NECK_CHANNELS[variant],
        fusion_hidden_size=_FUSION_CHANNELS[variant],
        depth_estimation_type=entry.kind.value,
        max_depth=80 if "outdoor" in entry.name else 20 if entry.kind is DepthKind.METRIC else 1,
    )
    return config, _processor(518, keep_aspect_ratio=True, ensure_multiple_of=14, **_IMAGENET)


def _processor(side: int, **more: Any) -> dict[str, Any]:
    return {"image_processor_type": "DPTImageProcessor", "size": {"height": side, "width": side}, **more}


def _dpt_large(_: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    levels = [level - 1 for level in _OUT_LAYERS[24]]
    config = DPTConfig(
        **_vit("large"), intermediate_size=4096, backbone_out_indices=levels, neck_hidden_sizes=_NECK_CHANNELS["large"]
    )
    return config, _processor(384)


def _dpt_hybrid(_: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    return DPTConfig(is_hybrid=True, neck_hidden_sizes=[256, 512, 768, 768]), _processor(384)


def _beit_backbone(variant: str, side: int) -> Any:
    from transformers import BeitConfig

    hidden, _, layers = _VIT_SIZES[variant]
    return BeitConfig(
        **_vit(variant),
        intermediate_size=4 * hidden,
        image_size=side,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=[f"stage{level}" for level in _OUT_LAYERS[layers]],
    )


def _beit(entry: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    variant, side = _variant(entry), int(entry.name[-3:])
    return DPTConfig(
        backbone_config=_beit_backbone(variant, side), neck_hidden_sizes=_NECK_CHANNELS[variant]
    ), _processor(side)


def _swin(entry: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig, Swinv2Config

    side, (first, depths, heads, window) = int(entry.name[-3:]), _SWIN[_variant(entry)]
    backbone = Swinv2Config(
        image_size=side,
        embed_dim=first,
        depths=depths,
        num_heads=heads,
        window_size=window,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return DPTConfig(backbone_config=backbone, neck_hidden_sizes=[first * 2**i for i in range(4)]), _processor(side)


def _zoedepth(_: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import ZoeDepthConfig

    config = ZoeDepthConfig(backbone_config=_beit_backbone("large", 384))
    return config, {"image_processor_type": "ZoeDepthImageProcessor"}


def _glpn(_: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import GLPNConfig

    sizes = {"hidden_sizes": [64, 128, 320, 512], "depths": [3, 8, 27, 3], "num_attention_heads": [1, 2, 5, 8]}
    return GLPNConfig(**sizes, decoder_hidden_size=64), {"image_processor_type": "GLPNImageProcessor"}


def _depth_pro(_: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DepthProConfig

    encoder = {"model_type": "dinov2", **_vit("large"), "image_size": 384, "patch_size": 16}
    models = {f"{part}_model_config": dict(encoder) for part in ("image", "patch", "fov")}
    return DepthProConfig(use_fov_model=True, **models), {"image_processor_type": "DepthProImageProcessor"}


def _dpt_dinov2(entry: CatalogEntry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    variant = _variant(entry)
    neck = [_VIT_SIZES[variant][0] // 8 * 2**i for i in range(4)]
    processor = _processor(0, do_resize=False, do_pad=True, size_divisor=14, **_IMAGENET)
    return DPTConfig(backbone_config=_dinov2(variant), neck_hidden_sizes=neck), processor
