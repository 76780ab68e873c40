"""Tiny models with random weights, one for every architecture, saved as the hub serves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t

t.utils.logging.disable_progress_bar()

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_DPT = {"neck_hidden_sizes": [8, 8, 12, 16], "fusion_hidden_size": 16}
_VIT = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 4}


def _size(height: int, width: int) -> dict[str, Any]:
    return {"size": {"height": height, "width": width}, "do_resize": True, "do_rescale": True, "do_normalize": True}


def _dpt_processor(height: int, width: int, **more: Any) -> dict[str, Any]:
    return {"image_processor_type": "DPTImageProcessor", "resample": 3, **_size(height, width), **_HALF, **more}


def _dinov2(patch: int = 14, **more: Any) -> t.Dinov2Config:
    indices = {"out_indices": [1, 2, 3, 4], "apply_layernorm": True, "reshape_hidden_states": False}
    return t.Dinov2Config(**_VIT, mlp_ratio=2, image_size=4 * patch, patch_size=patch, **indices, **more)


def _dpt() -> tuple[Any, dict[str, Any]]:
    config = t.DPTConfig(
        **_VIT, **_DPT, intermediate_size=32, image_size=64, patch_size=16, backbone_out_indices=[0, 1, 2, 3]
    )
    return config, _dpt_processor(64, 64)


def _dpt_swinv2() -> tuple[Any, dict[str, Any]]:
    backbone = t.Swinv2Config(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    sizes = {"neck_hidden_sizes": [8, 16, 32, 64], "fusion_hidden_size": 16}
    config = t.DPTConfig(backbone_config=backbone, **sizes, use_batch_norm_in_fusion_residual=False)
    return config, _dpt_processor(64, 64, keep_aspect_ratio=True, ensure_multiple_of=32, do_pad=False)


def _dpt_beit() -> tuple[Any, dict[str, Any]]:
    backbone = t.BeitConfig(
        **_VIT, intermediate_size=32, image_size=64, patch_size=16, use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    return t.DPTConfig(backbone_config=backbone, **_DPT, readout_type="project"), _dpt_processor(64, 64)


def _dpt_dinov2() -> tuple[Any, dict[str, Any]]:
    processor = _dpt_processor(64, 64, do_resize=False, do_pad=True, size_divisor=14) | _IMAGENET
    return t.DPTConfig(backbone_config=_dinov2(), **_DPT), processor


def _dpt_hybrid() -> tuple[Any, dict[str, Any]]:
    backbone = {
        "global_padding": "same", "layer_type": "bottleneck", "depths": [1, 1, 1], "hidden_sizes": [32, 32, 64],
        "embedding_size": 32, "num_groups": 8, "out_features": ["stage1", "stage2", "stage3"],
        "embedding_dynamic_padding": True,
    }  # fmt: skip
    config = t.DPTConfig(
        **_VIT, **(_DPT | {"neck_hidden_sizes": [32, 32, 12, 16]}), intermediate_size=32, image_size=64, patch_size=16,
        is_hybrid=True, backbone_config=t.BitConfig(**backbone), backbone_out_indices=[0, 1, 2, 3],
        backbone_featmap_shape=[1, 64, 4, 4], readout_type="project",
    )  # fmt: skip
    return config, _dpt_processor(64, 64)


def _depth_anything(**more: Any) -> tuple[Any, dict[str, Any]]:
    sizes = {"neck_hidden_sizes": [8, 8, 12, 16], "fusion_hidden_size": 16, "head_hidden_size": 8, "patch_size": 14}
    config = t.DepthAnythingConfig(
        backbone_config=_dinov2(), reassemble_hidden_size=16, reassemble_factors=[4, 2, 1, 0.5], **sizes, **more
    )
    return config, _dpt_processor(70, 70, keep_aspect_ratio=True, ensure_multiple_of=14) | _IMAGENET


def _depth_anything_metric() -> tuple[Any, dict[str, Any]]:
    return _depth_anything(depth_estimation_type="metric", max_depth=20)


def _zoedepth() -> tuple[Any, dict[str, Any]]:
    backbone = t.BeitConfig(
        **_VIT, intermediate_size=32, image_size=64, patch_size=16, use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    config = t.ZoeDepthConfig(
        backbone_config=backbone, **_DPT, bottleneck_features=16, num_relative_features=8, bin_embedding_dim=16,
        num_attractors=[4, 2, 2, 1], bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )  # fmt: skip
    processor = {"image_processor_type": "ZoeDepthImageProcessor", "do_pad": True, "resample": 2}
    return config, processor | _size(64, 96) | _HALF | {"keep_aspect_ratio": True, "ensure_multiple_of": 32}


def _glpn() -> tuple[Any, dict[str, Any]]:
    config = t.GLPNConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8
    )
    return config, {"feature_extractor_type": "GLPNFeatureExtractor", "do_resize": True, "do_rescale": True,
                    "resample": 2, "size_divisor": 32}  # fmt: skip


def _depth_pro() -> tuple[Any, dict[str, Any]]:
    encoder = {"model_type": "dinov2", "num_attention_heads": 2, "hidden_size": 16, "num_hidden_layers": 4,
               "image_size": 32, "patch_size": 8, "mlp_ratio": 2}  # fmt: skip
    config = t.DepthProConfig(
        patch_size=32, fusion_hidden_size=16, intermediate_hook_ids=[2, 0], intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.5, 1.0], scaled_images_overlap_ratios=[0.0, 0.25],
        scaled_images_feature_dims=[8, 8], merge_padding_value=1, use_fov_model=True,
        image_model_config=encoder, patch_model_config=dict(encoder), fov_model_config=dict(encoder),
    )  # fmt: skip
    return config, {"image_processor_type": "DepthProImageProcessor", "resample": 2, **_size(64, 64), **_HALF}


def _chmv2() -> tuple[Any, dict[str, Any]]:
    backbone = {
        "model_type": "dinov3_vit", **_VIT, "intermediate_size": 32, "image_size": 64, "patch_size": 16,
        "num_register_tokens": 1, "out_indices": [1, 2, 3, 4], "reshape_hidden_states": True, "apply_layernorm": True,
        "return_class_token": True,
    }  # fmt: skip
    config = t.CHMv2Config(
        backbone_config=backbone, post_process_channels=[8, 8, 12, 16], fusion_hidden_size=16, head_hidden_size=8,
        number_output_channels=16,
    )  # fmt: skip
    processor = {"image_processor_type": "CHMv2ImageProcessor", "do_resize": False, "do_pad": True, "size_divisor": 16}
    return config, processor | {"image_mean": [0.42, 0.411, 0.296], "image_std": [0.213, 0.156, 0.143]}


def _tipsv2_dpt() -> tuple[Any, dict[str, Any]]:
    backbone = {
        "model_type": "tipsv2_vision_model", **_VIT, "intermediate_size": 32, "image_size": 56, "patch_size": 14,
        "out_indices": [1, 2, 3, 4], "apply_layernorm": True, "reshape_hidden_states": False,
    }  # fmt: skip
    config = t.Tipsv2DptConfig(backbone_config=backbone, **_DPT, num_depth_bins=16)
    processor = {"image_processor_type": "Tipsv2DptImageProcessor", "resample": 2}
    return config, processor | _size(56, 56) | {"do_normalize": False}


def _prompt_depth_anything() -> tuple[Any, dict[str, Any]]:
    sizes = {"neck_hidden_sizes": [8, 8, 12, 16], "fusion_hidden_size": 16, "head_hidden_size": 8, "patch_size": 14}
    config = t.PromptDepthAnythingConfig(
        backbone_config=_dinov2(), reassemble_hidden_size=16, reassemble_factors=[4, 2, 1, 0.5], **sizes,
        depth_estimation_type="metric", max_depth=1,
    )  # fmt: skip
    processor = {"image_processor_type": "PromptDepthAnythingImageProcessor", "resample": 3, **_size(70, 70)}
    return config, processor | _IMAGENET | {"keep_aspect_ratio": True, "ensure_multiple_of": 14}


MAKERS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "dpt": _dpt,
    "dpt_swinv2": _dpt_swinv2,
    "dpt_beit": _dpt_beit,
    "dpt_dinov2": _dpt_dinov2,
    "dpt_hybrid": _dpt_hybrid,
    "depth_anything": _depth_anything,
    "depth_anything_metric": _depth_anything_metric,
    "zoedepth": _zoedepth,
    "glpn": _glpn,
    "depth_pro": _depth_pro,
    "chmv2": _chmv2,
    "tipsv2_dpt": _tipsv2_dpt,
}
PROMPTED = {"prompt_depth_anything": _prompt_depth_anything}
"""Models that take a sensor's depth beside the picture."""


def make_model(name: str, folder: Path, *, pickled: bool = False, license: str | None = None) -> Path:
    """Saves the model called `name` into `folder`: weights, configuration, image processor, model card."""
    config, processor = (MAKERS | PROMPTED)[name]()
    torch.manual_seed(0)
    model = t.AutoModelForDepthEstimation.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
                # A head whose last rectifier lets nothing through would hide every difference.
                parameter[-1:].abs_()
    model.save_pretrained(folder)
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if license:
        (folder / "README.md").write_text(f"---\nlicense: {license}\n---\n# {name}\n")
    return folder


def make_cached_model(cache: Path, hub_id: str, name: str) -> None:
    """Saves a model the way the hub's client leaves it after a download."""
    root = cache / f"models--{hub_id.replace('/', '--')}"
    make_model(name, root / "snapshots" / "abc")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
