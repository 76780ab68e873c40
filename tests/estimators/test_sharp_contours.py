"""Sharp contours: a blurred step becomes a step where the picture has one; slopes and even depth stay as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from streamdepth.estimators.sharp_contours import SharpContours, sharpen

HEIGHT, WIDTH, EDGE = 64, 96, 48


def step(blur: float, at: int = EDGE) -> Tensor:
    """Returns (1, 1, H, W) that rises from 0 to 1 at a column, over about `blur` columns."""
    columns = (torch.arange(WIDTH) + 0.5 - at) / max(blur, 1e-3)
    return torch.sigmoid(4 * columns).expand(1, 1, HEIGHT, WIDTH).contiguous()


def test_a_blurred_contour_becomes_a_step_at_the_edge_of_the_picture() -> None:
    blurred, picture = step(10.0, at=EDGE + 2), 2 * step(0.0) - 1
    sharp = sharpen(blurred, picture)[0, 0, HEIGHT // 2]
    assert blurred.diff().max() < 0.11
    assert sharp[EDGE] - sharp[EDGE - 1] > 0.5
    assert int(sharp.diff().argmax()) == EDGE - 1


def test_without_an_edge_in_the_picture_a_contour_is_steeper_at_its_own_place() -> None:
    blurred, even = step(10.0), torch.zeros(1, 1, HEIGHT, WIDTH)
    before, after = (depth[0, 0, HEIGHT // 2].diff() for depth in (blurred, sharpen(blurred, even)))
    assert after.max() > 2 * before.max()
    assert abs(int(after.argmax()) - (EDGE - 1)) <= 1


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
def test_even_depth_and_slopes_stay_as_they_are(slope: float) -> None:
    rows = slope * torch.arange(HEIGHT, dtype=torch.float32)
    depth = rows[:, None].expand(1, 1, HEIGHT, WIDTH).contiguous()
    picture = torch.rand(1, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) * 2 - 1
    inner = (..., slice(16, -16), slice(16, -16))
    torch.testing.assert_close(sharpen(depth, picture)[inner], depth[inner], rtol=0, atol=0.02 * slope + 1e-6)


def test_depth_stays_within_the_range_of_its_neighborhood() -> None:
    noise = torch.Generator().manual_seed(1)
    depth, picture = torch.rand(2, 1, 32, 64, generator=noise), torch.rand(2, 1, 32, 64, generator=noise) * 2 - 1
    sharp = sharpen(depth, picture)
    assert sharp.shape == depth.shape
    assert depth.min() <= sharp.min()
    assert sharp.max() <= depth.max()


def test_the_scale_and_shift_of_depth_do_not_matter() -> None:
    depth, picture = step(10.0), 2 * step(0.0) - 1
    torch.testing.assert_close(sharpen(5 * depth - 2, picture), 5 * sharpen(depth, picture) - 2, rtol=1e-4, atol=1e-4)


def test_a_network_is_followed_by_the_filter() -> None:
    class Brightness(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(1)

    picture = (2 * step(6.0) - 1).expand(1, 3, HEIGHT, WIDTH)
    found = SharpContours(Brightness())(picture)
    torch.testing.assert_close(found, sharpen(picture[:, :1], picture[:, :1])[:, 0])
