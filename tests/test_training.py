from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_evaluation import write_pairs
from torch import nn

from streamdepth.estimators.nano import load_network
from streamdepth.estimators.nano_network import NanoNetwork, load_imagenet_encoder
from streamdepth.training import nano
from streamdepth.training.data import Crops, Recipe, crop, disturb, read_folder
from streamdepth.training.depthwise import speed_up
from streamdepth.training.losses import normalise, scale_and_shift_loss


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path, "mine")
    return tmp_path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ImageNet weights, and crops that take no time."""
    monkeypatch.setattr(nano, "new_network", NanoNetwork)
    monkeypatch.setattr(Crops, "sizes", ((32, 64),))


@pytest.mark.usefixtures("small")
def test_a_run_trains_saves_resumes_and_can_be_used(root: Path) -> None:
    out, recipes = root / "run", [Recipe("mine", 1.0)]
    nano.run(root, out, 2, 2, 0, "cpu", check="mine", recipes=recipes)
    nano.run(root, out, 4, 2, 0, "cpu", recipes=recipes)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert 0 <= rows[0]["delta1"] <= 1
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert torch.isfinite(load_network(out / "nano.safetensors")(torch.zeros(1, 3, 32, 32))).all()


@pytest.mark.usefixtures("small")
def test_the_same_seed_gives_the_same_losses(root: Path) -> None:
    losses = []
    for name in ("a", "b"):
        nano.run(root, root / name, 3, 2, 7, "cpu", recipes=[Recipe("mine", 1.0)])
        losses.append(json.loads((root / name / "log.jsonl").read_text())["loss"])
    assert losses[0] == losses[1]


def test_training_learns(root: Path) -> None:
    torch.manual_seed(0)
    network = NanoNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    crops = Crops(root, [Recipe("mine", 1.0)], 4, 0)
    crops.sizes = ((64, 64),)
    images, truth, dense = (torch.from_numpy(a) for a in crops.draw(0))
    losses = []
    for _ in range(15):
        out = torch.nn.functional.interpolate(network(nano.to_input(images))[:, None], truth.shape[1:])[:, 0]
        loss = scale_and_shift_loss(out, truth, dense)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


def test_the_loss_ignores_scale_shift_and_unknown_pixels() -> None:
    truth = torch.rand(2, 16, 16) + 0.1
    prediction = truth * 3 - 1
    truth[:, :4] = torch.nan
    prediction.requires_grad_()
    loss = scale_and_shift_loss(prediction, truth, torch.tensor([True, True]), anchor=0.0)
    assert loss.item() == pytest.approx(0, abs=1e-4)
    scale_and_shift_loss(prediction + torch.rand(2, 16, 16), truth, torch.tensor([True, False])).backward()
    assert torch.isfinite(prediction.grad).all()


def test_normalised_maps_have_median_zero_and_deviation_one() -> None:
    values = torch.randn(3, 40, 40) * 7 + 5
    known = torch.rand(3, 40, 40) > 0.3
    result = normalise(values, known)
    for i in range(3):
        inside = result[i][known[i]]
        assert float(inside.median()) == pytest.approx(0, abs=1e-5)
        assert float(inside.abs().mean()) == pytest.approx(1, abs=1e-5)


def test_crops_keep_picture_and_depth_together(root: Path) -> None:
    sample = read_folder(root, Recipe("mine", 1.0))[0]
    for seed in range(20):
        image, inverse = crop(sample, (48, 64), np.random.default_rng(seed))
        assert image.shape == (48, 64, 3)
        near = np.nan_to_num(inverse) > 0.6
        if 50 < near.sum() < near.size - 50:
            assert image[near].mean() > image[~near].mean() + 30


def test_disturbed_pictures_keep_their_form() -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    for seed in range(30):
        assert disturb(image, np.random.default_rng(seed)).shape == (24, 32, 3)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_fast_depthwise_gradients_are_the_true_ones(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    fast = nn.Sequential(nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False))
    fast[0].load_state_dict(plain.state_dict())
    speed_up(fast)
    x = torch.randn(2, 8, 16, 16)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    for module, value in ((plain, inputs[0]), (fast, inputs[1])):
        module(value).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(plain.weight.grad, fast[0].weight.grad, rtol=1e-4, atol=1e-3)


def test_foreign_encoder_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="not the weights of an EfficientNet-Lite0"):
        load_imagenet_encoder(NanoNetwork().encoder, {"x": torch.zeros(1)})


def test_a_batch_that_cannot_be_drawn_ends_the_training(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(nano, "new_network", NanoNetwork)
    monkeypatch.setattr(Crops, "draw", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        nano.run(root, root / "run", 2, 2, 0, "cpu", recipes=[Recipe("mine", 1.0)])
