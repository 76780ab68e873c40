from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from streamdepth.training import placing
from streamdepth.training.sampler import MOST_PASSES, BatchSampler, sampling, view_weights
from streamdepth.training.samples import encode, make_sample

CPU = torch.device("cpu")


def scene(height: int = 120, width: int = 160) -> object:
    """Brighter is nearer, everywhere: picture and truth tell the same."""
    rng = np.random.default_rng(5)
    noise = np.asarray(torch.from_numpy(rng.random((1, 1, 6, 8), np.float32)))
    smooth = F.interpolate(torch.from_numpy(noise), (height, width), mode="bicubic")[0, 0].clamp(0, 1).numpy()
    return make_sample(np.repeat((255 * smooth).astype(np.uint8)[..., None], 3, 2), encode(smooth), 1.0)


def views(*sets: list[object]) -> BatchSampler:
    return BatchSampler(sets, torch.ones(len(sets)), CPU)


@pytest.fixture(autouse=True)
def no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamdepth.training.sampler.disturb", lambda images, dice: images)


@pytest.mark.parametrize("size", [(64, 96), (32, 32), (160, 96)])
def test_picture_and_truth_stay_together(size: tuple[int, int]) -> None:
    batch = views([scene()]).draw(0, size, 6, 2)
    assert batch.images.shape == (6, 3, *size)
    assert batch.truth.shape == (6, *size)
    for image, truth in zip(batch.images[:, 0], batch.truth, strict=True):
        known = truth.isfinite()
        assert known.float().mean() > 0.4
        assert torch.corrcoef(torch.stack([image[known], truth[known]]))[0, 1] > 0.97


def test_the_same_step_is_the_same_batch_and_another_is_not() -> None:
    first, again, other = (views([scene()]).draw(step, (64, 64), 4, 1) for step in (3, 3, 4))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_the_second_view_shows_what_the_first_shows() -> None:
    batch = views([scene()]).draw(1, (64, 96), 4, 2)
    first, second = batch.images[:2, :1], batch.images[-2:, :1]
    grid = torch.cat([placing.sample_grid(move, (64, 96), (64, 96)) for move in batch.view_transforms])
    there = F.grid_sample(first, grid, align_corners=False)
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    apart = (first[inside] - second[inside]).abs().mean()
    assert (there[inside] - second[inside]).abs().mean() < 0.35 * apart


def test_truth_is_unknown_beyond_the_border_of_a_rolled_picture() -> None:
    shapes = torch.tensor([[120, 160]] * 40)
    maps = placing.placements(shapes, (120, 160), torch.zeros(40, dtype=torch.bool), torch.Generator().manual_seed(0))
    grids = torch.cat([placing.sample_grid(place, (120, 160), (120, 160)) for place in maps])
    outside = (grids.abs() > 1).any(-1).float().mean((1, 2))
    assert (outside == 0).any()
    assert 0.05 < outside.max() < 0.5


@pytest.mark.parametrize("plain", [0.0, 0.5, 1.0])
def test_plain_views_are_whole_pictures_and_the_others_are_degraded(
    plain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamdepth.training.sampler.disturb", lambda images, dice: torch.zeros_like(images))
    sample = scene()
    whole = torch.from_numpy(sample.image[..., 0]).float() / 127.5 - 1
    views_drawn = views([sample]).draw(0, (120, 160), 40, 0, plain).images[:, 0]
    black = (views_drawn == -1).flatten(1).all(1)
    for view in views_drawn[~black]:
        assert min((view - other).abs().max() for other in (whole, whole.flip(1))) < 0.02
    assert (~black).float().mean().item() == pytest.approx(plain, abs=0.25)
    assert black.any() == (plain < 1)


def test_a_map_and_its_grid_name_the_same_pixel() -> None:
    place = torch.tensor([[2.0, 0, 1], [0, 3, 2]])
    grid = placing.sample_grid(place, (4, 5), (60, 40))[0]
    x, y = ((grid[2, 3] + 1) * torch.tensor([40, 60]) - 1).div(2).tolist()
    assert (x, y) == (pytest.approx(2 * 3 + 1, abs=1e-4), pytest.approx(3 * 2 + 2, abs=1e-4))
    assert placing.shrink_factor(place) == pytest.approx(6**0.5)


def test_maps_compose() -> None:
    rng = torch.Generator().manual_seed(1)
    outer = placing.placements(torch.tensor([[90, 60]]), (32, 32), torch.tensor([False]), rng)
    inner = placing.nudges(1, (32, 32), rng)
    point = torch.tensor([5.0, 7.0])
    between = inner[0, :, :2] @ point + inner[0, :, 2]
    both = placing.compose(outer, inner)[0]
    torch.testing.assert_close(both[:, :2] @ point + both[:, 2], outer[0, :, :2] @ between + outer[0, :, 2])


def test_sets_are_drawn_near_uniformly_but_no_picture_too_often() -> None:
    chances = sampling([1000, 100, 100, 1], [1, 1, 1, 1])
    assert chances.sum().item() == pytest.approx(1)
    assert chances[3].item() == pytest.approx(MOST_PASSES / 1201, rel=0.01)
    assert (chances[0] / chances[1]).item() == pytest.approx(10**0.1, rel=1e-3)


def test_the_wish_for_a_set_counts() -> None:
    one, two = sampling([50, 50], [1, 3]).tolist()
    assert two == pytest.approx(3 * one)


def test_flat_views_count_less_and_unknown_ones_nothing() -> None:
    ramp = torch.linspace(-2, 2, 64).repeat(64, 1)  # mean absolute deviation 1
    unknown = torch.full((64, 64), torch.nan)
    weights = view_weights(torch.stack([ramp, 0.15 * ramp, unknown]))
    assert weights.tolist() == [1, pytest.approx(0.5, rel=0.02), 0]
