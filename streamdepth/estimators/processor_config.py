"""The settings of transformers' image processors: reading them, and the steps that they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.preprocess import InputSpec

_DPT: dict[str, Any] = {"size": 384, "resample": 3, "image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
_FAMILY_DEFAULTS: dict[str, dict[str, Any]] = {
    "DPT": _DPT,
    "ZoeDepth": _DPT
    | {"size": {"height": 384, "width": 512}, "resample": 2, "do_pad": True, "keep_aspect_ratio": True}
    | {"ensure_multiple_of": 32},
    "GLPN": {"resample": 2, "do_normalize": False, "size_divisor": 32},
    "DepthPro": _DPT | {"size": 1536, "resample": 2},
    "CHMv2": _DPT
    | {"do_resize": False, "do_pad": True, "ensure_multiple_of": 16, "keep_aspect_ratio": True, "size_divisor": 16}
    | {"image_mean": (0.420, 0.411, 0.296), "image_std": (0.213, 0.156, 0.143)},
    "PromptDepthAnything": _DPT,
    "Tipsv2Dpt": {"size": 448, "resample": 2, "do_normalize": False},
}
"""Defaults of transformers' image processors, for what a model's configuration leaves out."""
_FAMILY_OF_MODEL_TYPE = {
    "dpt": "DPT",
    "depth_anything": "DPT",
    "zoedepth": "ZoeDepth",
    "glpn": "GLPN",
    "depth_pro": "DepthPro",
    "chmv2": "CHMv2",
    "prompt_depth_anything": "PromptDepthAnything",
    "tipsv2_dpt": "Tipsv2Dpt",
}
_RESAMPLING = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}


def load_processor_config(folder: Path) -> dict[str, Any]:
    """Returns the image processor's settings; empty if the folder has none. Raises ModelLoadError."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = folder / name
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                settings = found.get("image_processor", found if name.startswith("pre") else {})
                if settings:
                    return dict(settings)
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise ModelLoadError(
                    f"'{path}' is damaged: {error}; download the model again", code="damaged"
                ) from error
    return {}


def processor_spec(config: Mapping[str, Any], model_type: str) -> InputSpec:
    """Returns the steps that a model's `preprocessor_config.json` describes.

    Raises ModelLoadError for settings that are not supported, and TypeError or ValueError for damaged ones.
    """
    family = _family(config, model_type)
    c = _FAMILY_DEFAULTS[family] | {key: value for key, value in config.items() if value is not None}
    if c["resample"] not in _RESAMPLING:
        raise ModelLoadError(
            f"the model resamples with Pillow's mode {c['resample']}; 0, 2 and 3 are supported", code="unsupported"
        )
    normalize = c.get("do_normalize", True)
    spec = InputSpec(
        size=_height_width(c["size"]) if c.get("do_resize", True) and family != "GLPN" else None,
        keep_aspect=bool(c.get("keep_aspect_ratio", False)),
        multiple=max(1, round(c.get("ensure_multiple_of", 1))) if c.get("do_resize", True) else 1,
        resampling=_RESAMPLING[c["resample"]],
        mean=_rgb_triple(c["image_mean"]) if normalize else (0.0, 0.0, 0.0),
        std=_rgb_triple(c["image_std"]) if normalize else (1.0, 1.0, 1.0),
        rescale=float(c.get("rescale_factor", 1 / 255)) if c.get("do_rescale", True) else 1.0,
    )
    return _add_family_steps(spec, family, c)


def _family(config: Mapping[str, Any], model_type: str) -> str:
    """Returns the image processor's name without `ImageProcessor` and its older forms. Raises ModelLoadError."""
    name = str(
        config.get("image_processor_type") or config.get("feature_extractor_type") or _FAMILY_OF_MODEL_TYPE[model_type]
    )
    family = (
        name.removesuffix("Fast").removesuffix("Pil").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    )
    if family not in _FAMILY_DEFAULTS:
        raise ModelLoadError(
            f"the model's image processor {name} is not supported; allowed are {', '.join(_FAMILY_DEFAULTS)}",
            code="unsupported",
        )
    return family


def _rgb_triple(values: Any) -> tuple[float, ...]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    raise ModelLoadError(
        f"the model's input size {size!r} is not supported; allowed are height and width", code="unsupported"
    )


def _add_family_steps(spec: InputSpec, family: str, config: Mapping[str, Any]) -> InputSpec:
    pads = bool(config.get("do_pad", False))
    if family == "ZoeDepth":
        return replace(spec, antialias=False, align_corners=True, reflect_padding=pads)
    if family == "DepthPro":
        return replace(spec, antialias=False)
    if family == "GLPN":
        return replace(spec, multiple=int(config["size_divisor"]), floor=True)
    divisor = config.get("size_divisor")
    return replace(spec, pad_multiple=int(divisor)) if pads and divisor else spec
