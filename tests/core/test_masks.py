"""Masks of valid pixels: depth is unknown where nothing of the frame is valid, and the model does not see bars."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from streamdepth.core.masks import Box, hide_depth, rectangle_of, shrink_mask
from streamdepth.core.model_view import model_view
from streamdepth.core.types import DepthFrame, DepthKind, Frame


def letterbox(width: int = 60, height: int = 40, bar: int = 10) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[bar : height - bar] = True
    return mask


def make_frame(image: np.ndarray, valid: np.ndarray | None) -> Frame:
    return Frame(image, 0, 0, Fraction(1), 0.0, valid=valid)


def test_every_valid_pixel_keeps_its_depth_and_no_other_has_any() -> None:
    valid = letterbox(bar=9)  # 2.25 px of the depth map
    depth = hide_depth(np.ones((10, 15), np.float32), valid)
    assert np.isnan(depth).any(axis=1).tolist() == [True] * 2 + [False] * 6 + [True] * 2
    item = DepthFrame(make_frame(np.zeros((40, 60, 3), np.uint8), valid), depth, DepthKind.METRIC)
    np.testing.assert_array_equal(np.isfinite(item.at_frame_size()), valid)
    assert math.isnan(item.depth_at(5, 8))
    assert item.depth_at(5, 9) == 1.0
    assert (item.render()[~valid] == 0).all()


@pytest.mark.parametrize("writable", [True, False])
def test_a_mask_is_shrunk_anew_when_it_may_have_changed(*, writable: bool) -> None:
    mask = letterbox()
    mask.setflags(write=writable)
    first = shrink_mask(mask, 15, 10)
    assert first.sum() == 15 * 6
    if writable:
        mask[:] = False
        assert not shrink_mask(mask, 15, 10).any()
    else:
        assert shrink_mask(mask, 15, 10) is first


def test_a_frame_refuses_a_mask_that_does_not_fit() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    for valid in (np.ones((60, 40), np.bool_), np.ones((40, 60), np.uint8)):
        with pytest.raises(ValueError, match="valid"):
            make_frame(image, valid)


def test_the_model_sees_the_border_go_on_over_bars() -> None:
    image = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None], 60, axis=1).repeat(3, axis=2)
    seen = model_view(make_frame(image, letterbox()))
    assert seen.image[:, 0, 0].tolist() == [*[10] * 10, *range(10, 30), *[29] * 10]
    assert seen.image_at_size(30, 20)[:5, 0, 0].max() <= 19
    assert seen.yuv_planes is None


def test_a_cutout_or_a_whole_frame_is_seen_as_it_is() -> None:
    image, cutout = np.zeros((40, 60, 3), np.uint8), letterbox()
    cutout[15, 20] = False
    for valid in (None, cutout, np.ones((40, 60), np.bool_), np.zeros((40, 60), np.bool_)):
        frame = make_frame(image, valid)
        assert model_view(frame) is frame


def test_a_box_is_found_and_scaled_within_itself() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[3:30, 7:50] = True
    assert rectangle_of(mask) == Box(3, 30, 7, 50)
    assert Box(3, 30, 7, 50).scaled(0.5, 0.25) == (2, 15, 2, 12)
