"""Architectures by published hyper-parameters, for networks with random weights: their speed is the real one's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from streamdepth.core.errors import ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators import catalog
from streamdepth.estimators.huggingface import Outputs, input_spec, kind_of, load_config, processor_config, quiet
from streamdepth.estimators.network import Card, Network
from streamdepth.estimators.preprocess import Size

_WIDTHS = {"small": (384, 6, 12), "base": (768, 12, 12), "large": (1024, 16, 24)}
"""Hidden size, attention heads, layers of the vision transformers."""
_LEVELS = {12: [3, 6, 9, 12], 24: [6, 12, 18, 24]}
_NECKS = {"small": [48, 96, 192, 384], "base": [96, 192, 384, 768], "large": [256, 512, 1024, 1024]}
_FUSED = {"small": 64, "base": 128, "large": 256}
_SWIN = {
    "tiny": (96, [2, 2, 6, 2], [3, 6, 12, 24], 16),
    "base": (128, [2, 2, 18, 2], [4, 8, 16, 32], 24),
    "large": (192, [2, 2, 18, 2], [6, 12, 24, 48], 24),
}
"""First width, depths, heads and window."""
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def random_network(model: str, size: Size | None = None) -> Network:
    """`model` at full size with random weights, float32.

    model: a local folder with config.json, or a catalogue's name or hub id. Raises ModelLoadError and ConfigError.
    """
    from transformers import AutoModelForDepthEstimation

    entry, folder = catalog.find(model), Path(model).expanduser()
    if folder.is_dir():
        config, processor = load_config(folder), processor_config(folder)
    elif entry is not None:
        config, processor = published(entry)
    else:
        raise ModelLoadError(f"the architecture of {model!r} is not known here; give a folder with its config.json")
    spec = input_spec(config, processor, size)
    torch.manual_seed(0)
    with quiet():
        module = AutoModelForDepthEstimation.from_config(config).eval()
    name, kind = f"{model} (random weights)", kind_of(config, entry.kind if entry else None)
    card = Card(name, kind, "none", sum(p.numel() for p in module.parameters()), spec)
    return Network(Outputs(module), card, "random")


def published(entry: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    """A model's transformers configuration, and its image processor's. Raises ModelLoadError where not known."""
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
        raise ModelLoadError(
            f"the architecture of {entry.name!r} is not known here; give a folder with its config.json"
        )
    return make(entry)


def _width(entry: catalog.Entry) -> str:
    return next(width for width in ("tiny", "small", "base", "large") if width in entry.name)


def _vit(width: str) -> dict[str, Any]:
    hidden, heads, layers = _WIDTHS[width]
    return {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers}


def _dinov2(width: str) -> Any:
    from transformers import Dinov2Config

    return Dinov2Config(
        **_vit(width),
        image_size=518,
        patch_size=14,
        out_indices=_LEVELS[_WIDTHS[width][2]],
        reshape_hidden_states=False,
    )


def _depth_anything(entry: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DepthAnythingConfig

    width = _width(entry)
    config = DepthAnythingConfig(
        backbone_config=_dinov2(width),
        reassemble_hidden_size=_WIDTHS[width][0],
        neck_hidden_sizes=_NECKS[width],
        fusion_hidden_size=_FUSED[width],
        depth_estimation_type=entry.kind.value,
        max_depth=80 if "outdoor" in entry.name else 20 if entry.kind is DepthKind.METRIC else 1,
    )
    return config, _processor(518, keep_aspect_ratio=True, ensure_multiple_of=14, **_IMAGENET)


def _processor(side: int, **more: Any) -> dict[str, Any]:
    return {"image_processor_type": "DPTImageProcessor", "size": {"height": side, "width": side}, **more}


def _dpt_large(_: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    levels = [level - 1 for level in _LEVELS[24]]
    config = DPTConfig(
        **_vit("large"), intermediate_size=4096, backbone_out_indices=levels, neck_hidden_sizes=_NECKS["large"]
    )
    return config, _processor(384)


def _dpt_hybrid(_: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    return DPTConfig(is_hybrid=True, neck_hidden_sizes=[256, 512, 768, 768]), _processor(384)


def _beit_backbone(width: str, side: int) -> Any:
    from transformers import BeitConfig

    hidden, _, layers = _WIDTHS[width]
    return BeitConfig(
        **_vit(width),
        intermediate_size=4 * hidden,
        image_size=side,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=[f"stage{level}" for level in _LEVELS[layers]],
    )


def _beit(entry: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    width, side = _width(entry), int(entry.name[-3:])
    return DPTConfig(backbone_config=_beit_backbone(width, side), neck_hidden_sizes=_NECKS[width]), _processor(side)


def _swin(entry: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig, Swinv2Config

    side, (first, depths, heads, window) = int(entry.name[-3:]), _SWIN[_width(entry)]
    backbone = Swinv2Config(
        image_size=side,
        embed_dim=first,
        depths=depths,
        num_heads=heads,
        window_size=window,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return DPTConfig(backbone_config=backbone, neck_hidden_sizes=[first * 2**i for i in range(4)]), _processor(side)


def _zoedepth(_: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import ZoeDepthConfig

    config = ZoeDepthConfig(backbone_config=_beit_backbone("large", 384))
    return config, {"image_processor_type": "ZoeDepthImageProcessor"}


def _glpn(_: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import GLPNConfig

    sizes = {"hidden_sizes": [64, 128, 320, 512], "depths": [3, 8, 27, 3], "num_attention_heads": [1, 2, 5, 8]}
    return GLPNConfig(**sizes, decoder_hidden_size=64), {"image_processor_type": "GLPNImageProcessor"}


def _depth_pro(_: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DepthProConfig

    encoder = {"model_type": "dinov2", **_vit("large"), "image_size": 384, "patch_size": 16}
    models = {f"{part}_model_config": dict(encoder) for part in ("image", "patch", "fov")}
    return DepthProConfig(use_fov_model=True, **models), {"image_processor_type": "DepthProImageProcessor"}


def _dpt_dinov2(entry: catalog.Entry) -> tuple[Any, dict[str, Any]]:
    from transformers import DPTConfig

    width = _width(entry)
    neck = [_WIDTHS[width][0] // 8 * 2**i for i in range(4)]
    processor = _processor(0, do_resize=False, do_pad=True, size_divisor=14, **_IMAGENET)
    return DPTConfig(backbone_config=_dinov2(width), neck_hidden_sizes=neck), processor
