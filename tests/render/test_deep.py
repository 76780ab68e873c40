"""Depth over pictures of 10 bits: white of depth colors is 203 cd/m2 in HDR, and codes are blended as stated."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

from streamdepth.core.deep_color import DeepColor, DeepPlanes
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, DepthKind, Frame, LazyImage
from streamdepth.render.deep import planes_from_rgb, render_deep, signal_from_rgb
from streamdepth.utils.hdr_curves import hlg_to_nits, nits_to_hlg

SDR, PQ, HLG = DeepColor(1, 1, 1), DeepColor(9, 16, 9), DeepColor(9, 18, 9)
WIDTH, HEIGHT = 64, 48


class Flat(LazyImage):
    """A picture of 10 bits of one color."""

    size = WIDTH, HEIGHT

    def rgb(self):
        return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)

    def image_at_size(self, width, height):
        return np.full((height, width, 3), 128, np.uint8)

    def yuv_planes(self):
        return None

    def deep_planes(self):
        small = (HEIGHT // 2, WIDTH // 2)
        return DeepPlanes(*(np.full(s, v, np.uint16) for s, v in (((HEIGHT, WIDTH), 801), (small, 333), (small, 777))))


def item(depth: float) -> DepthFrame:
    frame = Frame(Flat(), 0, 0, Fraction(1, 25), time.monotonic(), "flat")
    return DepthFrame(frame, np.full((12, 16), depth, np.float32), DepthKind.RELATIVE, range=(0.0, 1.0))


@pytest.mark.parametrize(("color", "share"), [(SDR, 1.0), (PQ, 0.5807), (HLG, 0.75)])
def test_white_of_depth_is_reference_white(color: DeepColor, share: float) -> None:
    """BT.2408: 203 cd/m2 is 58 % of PQ's and 75 % of HLG's signal."""
    planes = render_deep(item(1.0), RenderOptions(style="depth", colormap="gray"), color)
    assert np.abs(planes.y.astype(int) - (64 + 876 * share)).max() <= 1.5
    assert {int(v) for plane in planes[1:] for v in np.unique(plane)} <= {511, 512, 513}


def test_colors_have_the_primaries_of_the_video() -> None:
    """Red of BT.709 in BT.2020 at 203 cd/m2, by the matrix of BT.2087 and the codes of ST 2084."""
    y, u, v = (float(plane[0]) for plane in signal_from_rgb(np.array([[1.0, 0.0, 0.0]]), PQ))
    linear = 203 / 10000 * np.array([0.6274, 0.0691, 0.0164])
    power = linear**0.1593017578125
    codes = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    luma = codes @ [0.2627, 0.6780, 0.0593]
    assert y == pytest.approx(64 + 876 * luma, abs=0.1)
    assert u == pytest.approx(512 + 896 * (codes[2] - luma) / 1.8814, abs=0.1)
    assert v == pytest.approx(512 + 896 * (codes[0] - luma) / 1.4746, abs=0.1)


@pytest.mark.parametrize("color", [SDR, PQ, HLG])
def test_an_overlay_mixes_codes_and_without_opacity_the_picture_is_untouched(color: DeepColor) -> None:
    own = Flat().deep_planes()
    untouched = render_deep(item(1.0), RenderOptions(alpha=0, legend=False), color)
    assert all(np.array_equal(a, b) for a, b in zip(untouched, own, strict=True))
    alone = render_deep(item(1.0), RenderOptions(style="depth", colormap="turbo"), color)
    mixed = render_deep(item(1.0), RenderOptions(alpha=0.6, colormap="turbo", legend=False), color)
    for source, colors, got in zip(own, alone, mixed, strict=True):
        assert np.abs(got - (0.4 * source + 0.6 * colors)).max() <= 1


def test_side_by_side_has_the_untouched_picture_on_the_left() -> None:
    planes = render_deep(item(0.5), RenderOptions(style="side-by-side"), PQ)
    assert planes.y.shape == (HEIGHT, 2 * WIDTH)
    assert all(np.all(plane[:, : plane.shape[1] // 2] == v) for plane, v in zip(planes, (801, 333, 777), strict=True))


def test_hlg_is_the_inverse_of_its_decoding() -> None:
    code = np.random.default_rng(0).uniform(0.05, 0.95, (50, 3))
    assert nits_to_hlg(hlg_to_nits(code)) == pytest.approx(code, abs=1e-5)


def test_a_picture_of_8_bits_becomes_10() -> None:
    planes = planes_from_rgb(np.full((4, 6, 3), 255, np.uint8), SDR)
    assert (planes.y.shape, planes.u.shape) == ((4, 6), (2, 3))
    assert [int(plane[0, 0]) for plane in planes] == [940, 512, 512]
