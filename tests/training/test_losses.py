from __future__ import annotations

import numpy as np
import pytest
import torch

from streamdepth.training.losses import agreement_loss, gradient_error, normalize, scale_and_shift_loss
from streamdepth.training.placing import nudges

ONES = torch.ones(2)


def test_the_loss_ignores_scale_shift_and_unknown_pixels() -> None:
    truth = torch.rand(2, 16, 16) + 0.1
    prediction = truth * 3 - 1
    truth[:, :4] = torch.nan
    prediction.requires_grad_()
    assert scale_and_shift_loss(prediction, truth, ONES, ONES, anchor=0.0).item() == pytest.approx(0, abs=1e-4)
    scale_and_shift_loss(prediction + torch.rand(2, 16, 16), truth, torch.tensor([1.0, 0.0]), ONES).backward()
    assert torch.isfinite(prediction.grad).all()


def test_a_picture_without_any_truth_does_not_poison_the_batch() -> None:
    prediction = torch.rand(2, 8, 8, requires_grad=True)
    truth = torch.rand(2, 8, 8)
    truth[1] = torch.nan
    scale_and_shift_loss(prediction, truth, ONES, ONES).backward()
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[1].any()


def test_a_picture_counts_as_much_as_its_weight_says() -> None:
    prediction, truth = torch.rand(2, 8, 8), torch.rand(2, 8, 8)
    first, second, both = (
        scale_and_shift_loss(prediction, truth, ONES, torch.tensor(weight)) for weight in ([1.0, 0], [0, 1.0], [0.5, 1])
    )
    assert both.item() == pytest.approx(0.5 * first.item() + second.item(), rel=1e-5)


def test_fine_gradients_count_as_far_as_the_truth_is_sharp() -> None:
    checker = ((torch.arange(16)[:, None] + torch.arange(16)) % 2).float()[None]
    known = torch.ones(1, 16, 16, dtype=torch.bool)
    sparse, sensor, exact = (gradient_error(checker, known, torch.tensor([d])).item() for d in (0.0, 0.3, 1.0))
    # All steps are 1 at the finest of four scales, along both axes; the means of four pixels are all alike.
    assert (sparse, exact) == (0, pytest.approx(0.5))
    assert sensor == pytest.approx(0.3 * exact)


def test_coarse_gradients_are_those_of_means_of_known_pixels() -> None:
    ramp = torch.arange(16.0).repeat(16, 1)[None]
    known = torch.ones(1, 16, 16, dtype=torch.bool)
    known[:, ::2, ::2] = False  # a quarter: each mean of four is of three pixels
    ramp[:, ::2, ::2] = 1e6
    # The steps of 1 and 2 px count as 1 and 2, those of 4 and 8 px are capped at 2; down the ramp nothing changes.
    assert gradient_error(ramp, known, torch.ones(1)).item() == pytest.approx((1 + 2 + 2 + 2) / 4)


def test_normalized_maps_have_median_zero_and_deviation_one() -> None:
    values = torch.randn(3, 40, 40) * 7 + 5
    known = torch.rand(3, 40, 40) > 0.3
    result = normalize(values, known)
    for i in range(3):
        inside = result[i][known[i]]
        assert inside.median().item() == pytest.approx(0, abs=1e-5)
        assert inside.abs().mean().item() == pytest.approx(1, abs=1e-5)


def test_two_views_of_one_scene_agree() -> None:
    move = nudges(1, (32, 64), torch.Generator().manual_seed(3))
    x, y = np.meshgrid(np.arange(64.0), np.arange(32.0))
    moved = move[0].double().numpy() @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    first = torch.from_numpy(x + 2 * y)[None].float()
    second = torch.from_numpy((moved[0] + 2 * moved[1]).reshape(32, 64))[None].float()
    assert (first - second).abs().mean() > 1
    assert agreement_loss(first, second, move).item() < 0.05  # the border's half pixels cannot be interpolated
