"""Our preprocessing against each model's own image processor.

Stated tolerance, in gray levels of 0...255: where the picture is resized as bytes (dpt, depth_anything, glpn,
tipsv2_dpt) no value differs by more than 2 and the mean difference is under 0.02; where it is resized as floats or not
at all (zoedepth, depth_pro, chmv2) no value differs by more than 0.001. Pillow 13 resizes some pictures along columns
first, unlike earlier versions, torchvision and torch: there the mean difference is under 0.5, and up to 32 in noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers.errors import raises_code
from helpers.image_processors import photograph, pixels_by_definition, pixels_by_transformers
from helpers.models import MAKERS
from PIL import Image

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.postprocess import focal_px, metric_from_canonical
from streamdepth.estimators.processor_config import processor_spec

Array = npt.NDArray[Any]

BYTES_TOLERANCE = 2.0
BYTES_MEAN_TOLERANCE = 0.02
FLOAT_TOLERANCE = 0.001
SIZES = [(75, 101), (480, 640), (333, 517), (64, 64), (211, 90), (133, 400)]
REAL = {
    # What the hub serves, where it differs from the tiny models' settings.
    "dpt": {"size": 384, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    "depth_anything": {
        "image_processor_type": "DPTImageProcessor", "size": {"height": 518, "width": 518}, "resample": 3,
        "keep_aspect_ratio": True, "ensure_multiple_of": 14, "do_pad": False, "size_divisor": None,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 0.00392156862745098,
    },
    "zoedepth": {
        "image_processor_type": "ZoeDepthImageProcessor", "size": {"height": 384, "width": 512}, "resample": 2,
        "keep_aspect_ratio": True, "ensure_multiple_of": 32, "do_pad": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    },
}  # fmt: skip


@pytest.fixture
def rows_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow resizes along rows first, as all its versions before 13 do."""
    resize = Image.Image.resize

    def in_order(self: Image.Image, size: tuple[int, int], resample: int, **options: Any) -> Image.Image:
        return resize(resize(self, (size[0], self.height), resample, **options), size, resample, **options)

    monkeypatch.setattr(Image.Image, "resize", in_order)


def noise(height: int, width: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def our_pixels(image: Array, settings: dict[str, Any], model_type: str) -> Array:
    pixels, _ = processor_spec(settings, model_type).prepare(torch.from_numpy(image[None].copy()))
    return pixels[0].numpy()


def assert_alike(a: Array, b: Array, settings: dict[str, Any], *, whole: bool) -> None:
    assert a.shape == b.shape
    std = np.array(settings.get("image_std", [1.0] * 3)).reshape(3, 1, 1)
    levels = np.abs(a - b) * std * 255
    assert levels.max() <= (BYTES_TOLERANCE if whole else FLOAT_TOLERANCE) + 1e-3
    if whole:
        assert levels.mean() <= BYTES_MEAN_TOLERANCE


@pytest.mark.usefixtures("rows_first")
@pytest.mark.parametrize("picture", [photograph, noise])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["dpt", "dpt_swinv2", "dpt_dinov2", "depth_anything", "zoedepth", "glpn"])
def test_it_equals_the_models_own_processor(name: str, size: tuple[int, int], picture: Any) -> None:
    config, settings = MAKERS[name]()
    image = picture(*size)
    a, b = (f(image, settings, config.model_type) for f in (our_pixels, pixels_by_transformers))
    assert_alike(a, b, settings, whole=name != "zoedepth")


@pytest.mark.parametrize("picture", [photograph, noise])
@pytest.mark.parametrize("size", [(75, 101), (480, 640), (211, 90)])
def test_it_is_near_the_own_processor_in_whatever_order_pillow_resizes(size: tuple[int, int], picture: Any) -> None:
    config, settings = MAKERS["depth_anything"]()
    a, b = (f(picture(*size), settings, config.model_type) for f in (our_pixels, pixels_by_transformers))
    levels = np.abs(a - b) * np.array(settings["image_std"]).reshape(3, 1, 1) * 255
    assert levels.mean() < 0.5
    assert levels.max() < 32


@pytest.mark.usefixtures("rows_first")
@pytest.mark.parametrize("size", [(480, 640), (375, 1242), (101, 75)])
@pytest.mark.parametrize("name", REAL)
def test_it_equals_the_models_own_processor_with_the_hubs_settings(name: str, size: tuple[int, int]) -> None:
    image, settings = photograph(*size), REAL[name]
    a, b = (f(image, settings, name) for f in (our_pixels, pixels_by_transformers))
    assert_alike(a, b, settings, whole=name != "zoedepth")


@pytest.mark.usefixtures("rows_first")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["depth_pro", "chmv2", "tipsv2_dpt"])
def test_it_equals_the_definition_where_the_own_processor_needs_torchvision(name: str, size: tuple[int, int]) -> None:
    _, settings = MAKERS[name]()
    image = photograph(*size)
    defined = pixels_by_definition(image, settings, name)
    assert_alike(our_pixels(image, settings, name), defined, settings, whole=name == "tipsv2_dpt")


@pytest.mark.parametrize("name", ["depth_pro", "chmv2", "tipsv2_dpt"])
def test_it_equals_the_torchvision_processor(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    import json

    from transformers import AutoImageProcessor

    _, settings = MAKERS[name]()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    image = photograph(75, 101)
    processor = AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
    b = processor(images=image, return_tensors="pt")["pixel_values"][0].numpy()
    assert_alike(our_pixels(image, settings, name), b, settings, whole=name == "tipsv2_dpt")


@pytest.mark.gpu
@pytest.mark.parametrize("name", MAKERS)
def test_the_gpu_prepares_what_the_cpu_does(name: str) -> None:
    config, settings = MAKERS[name]()
    spec = processor_spec(settings, config.model_type)
    image = torch.from_numpy(photograph(333, 517)[None])
    a, b = (spec.prepare(image.to(device))[0][0].cpu().numpy() for device in ("cpu", "cuda"))
    assert_alike(a, b, settings, whole=name not in ("zoedepth", "depth_pro"))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2000), (7, 5)])
@pytest.mark.parametrize("name", MAKERS)
def test_the_smallest_pictures_become_inputs(name: str, size: tuple[int, int]) -> None:
    config, settings = MAKERS[name]()
    spec = processor_spec(settings, config.model_type)
    pixels, _ = spec.prepare(torch.zeros(2, *size, 3, dtype=torch.uint8))
    assert pixels.isfinite().all()
    assert all(side > 0 and side % spec.multiple == 0 for side in pixels.shape[2:])


def test_another_size_keeps_the_aspect_and_the_multiple() -> None:
    spec = processor_spec(REAL["depth_anything"], "depth_anything")
    assert spec.output_size(1080, 1920) == (518, 924)
    assert spec.with_size(252, 14).output_size(1080, 1920) == (252, 448)
    assert spec.with_size((320, 200), 14).output_size(1080, 1920) == (196, 322)


def test_another_size_of_a_square_model_stays_square() -> None:
    spec = processor_spec(REAL["dpt"], "dpt")
    assert spec.with_size(250, 32).output_size(1080, 1920) == (256, 256)


def test_another_size_of_a_model_that_takes_the_pictures_own() -> None:
    spec = processor_spec({"image_processor_type": "GLPNImageProcessor"}, "glpn")
    assert spec.output_size(1080, 1920) == (1056, 1920)
    assert spec.with_size(480, 32).output_size(1080, 1920) == (480, 864)


def test_a_size_below_the_multiple_is_refused() -> None:
    with raises_code(ConfigError, "bad-size", naming="14"):
        processor_spec(REAL["depth_anything"], "depth_anything").with_size(8, 14)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"image_processor_type": "ViTImageProcessor"}, "ViTImageProcessor.*DPT"),
        ({"image_processor_type": "DPTImageProcessor", "resample": 1}, "0, 2 and 3"),
        ({"image_processor_type": "DPTImageProcessor", "size": {"shortest_edge": 3}}, "height and width"),
    ],
)
def test_settings_that_are_unknown_here_are_refused(settings: dict[str, Any], facts: str) -> None:
    with raises_code(ModelLoadError, "unsupported", naming=facts):
        processor_spec(settings, "dpt")


def test_depth_pros_meters() -> None:
    """At 90 degrees the focal length is half the width: inverse depth 0.25 of the canonical camera is 2 m."""
    depth = metric_from_canonical(torch.full((1, 2, 2), 0.25), torch.tensor([90.0]))
    torch.testing.assert_close(depth, torch.full((1, 2, 2), 2.0))
    assert metric_from_canonical(torch.zeros(1, 1, 1), torch.tensor([90.0])).item() == pytest.approx(1e4)
    assert focal_px(90, 640) == pytest.approx(320)
    assert focal_px(0, 640) is None
    assert focal_px(float("nan"), 640) is None
