from __future__ import annotations

import pytest
import torch

from streamdepth.training import disturb as disturbing
from streamdepth.training.disturb import disturb, make_dice
from streamdepth.training.jpeg import compress
from streamdepth.training.precision import fast_dtype


def pictures(count: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(torch.rand(count, 3, 4, 6), (32, 48), mode="bilinear")


def test_disturbed_pictures_keep_their_form_and_range() -> None:
    dice = make_dice(0, torch.device("cpu"))
    for _ in range(12):
        out = disturb(pictures(), dice)
        assert out.shape == (6, 3, 32, 48)
        assert out.dtype == torch.float32
        assert 0 <= out.min() <= out.max() <= 1


def test_blurring_keeps_the_light() -> None:
    images = pictures()
    out = disturbing.blur(images, make_dice(1, torch.device("cpu")))
    torch.testing.assert_close(out.mean((2, 3)), images.mean((2, 3)), rtol=0.02, atol=0)
    assert out.diff(dim=3).abs().mean() < images.diff(dim=3).abs().mean()


def test_the_strongest_compression_loses_most() -> None:
    images = (pictures(1) + 0.1 * torch.randn(1, 1, 32, 48)).clamp(0, 1).expand(3, -1, -1, -1)
    out = compress(images, torch.tensor([10.0, 50.0, 98.0]))
    lost = (out - images).abs().mean((1, 2, 3)).tolist()
    assert lost[0] > 1.2 * lost[1] > 1.44 * lost[2]


def test_a_gray_picture_survives_a_mild_compression() -> None:
    gray = torch.full((1, 3, 16, 16), 0.5)
    torch.testing.assert_close(compress(gray, torch.tensor([95.0])), gray, rtol=0, atol=1 / 255)


@pytest.mark.parametrize("has_it", [True, False])
def test_the_number_type_follows_the_processor(monkeypatch: pytest.MonkeyPatch, has_it: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    with fast_dtype(torch.device("cpu")):
        result = torch.nn.Linear(4, 4)(torch.zeros(1, 4))
    assert result.dtype == (torch.bfloat16 if has_it else torch.float32)
