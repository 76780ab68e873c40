from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamdepth.core.errors import ConfigError
from streamdepth.core.resize import resize_depth, shrink
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, Image, LazyImage, YuvPlanes
from streamdepth.render.colors import (
    STYLES,
    Style,
    check_look,
    colorize,
    colormap_names,
    display_range,
    legend,
    legend_words,
    lookup_table,
    overlay,
    render,
    side_by_side,
)
from streamdepth.render.yuv import render_planes, to_planes
from streamdepth.testing import SyntheticSource

RAMP = np.repeat(np.linspace(1, 5, 64, dtype=np.float32)[None], 48, axis=0)


def brightness(colors: Image) -> DepthMap:
    return colors.astype(np.float32).sum(2)


def item(kind: DepthKind = DepthKind.METRIC, width: int = 320, height: int = 200) -> DepthFrame:
    source = SyntheticSource(1, width, height)
    source.open()
    frame = source.read()
    assert frame is not None
    return DepthFrame(frame, source.depth_at(0), kind, range=(1.0, 4.0))


def test_resize_is_linear_and_keeps_the_edges() -> None:
    big = resize_depth(RAMP, 640, 480)
    assert big.shape == (480, 640)
    assert big.dtype == np.float32
    np.testing.assert_allclose(np.diff(big[0, 10:-10]), 4 / 63 / 10, rtol=1e-3)
    assert (big.min(), big.max()) == (1, 5)


def test_unknown_and_infinite_values_do_not_spread() -> None:
    depth = np.full((8, 8), 2, np.float32)
    depth[2:4, 2:4], depth[6, 6], depth[0, 7] = np.nan, np.inf, -np.inf
    big = resize_depth(depth, 32, 32)
    assert np.isnan(big).sum() == 4 * 16
    assert np.isnan(big[8:16, 8:16]).all()
    assert np.isposinf(big).sum() == np.isneginf(big).sum() == 16
    np.testing.assert_allclose(big[np.isfinite(big)], 2, rtol=1e-6)


def test_everything_unknown_stays_unknown() -> None:
    assert np.isnan(resize_depth(np.full((3, 5), np.nan, np.float32), 40, 30)).all()


def test_same_size_is_the_same_map() -> None:
    assert resize_depth(RAMP, 64, 48) is RAMP


@pytest.mark.parametrize("colormap", ["inferno", "magma", "viridis", "gray"])
def test_near_is_bright_for_both_kinds(colormap: str) -> None:
    metric = brightness(colorize(RAMP, DepthKind.METRIC, (1, 5), colormap))
    relative = brightness(colorize(RAMP, DepthKind.RELATIVE, (1, 5), colormap))
    assert metric[0, 0] > metric[0, -1] + 300
    assert relative[0, -1] > relative[0, 0] + 300
    np.testing.assert_array_equal(metric, relative[:, ::-1])


def test_colours_are_those_of_the_colour_map() -> None:
    table = lookup_table("turbo")[:, 0]
    depth = np.arange(256, dtype=np.float32)[None].repeat(2, axis=0)
    np.testing.assert_array_equal(colorize(depth, DepthKind.RELATIVE, (0, 255), "turbo")[0], table)
    np.testing.assert_array_equal(colorize(depth, DepthKind.METRIC, (0, 255), "turbo")[0], table[::-1])
    np.testing.assert_array_equal(lookup_table("turbo_r")[:, 0], table[::-1])


def test_unknown_is_black_and_the_ends_take_what_lies_outside() -> None:
    depth = np.array([[np.nan, np.inf, 100, -100]], np.float32)
    colors = colorize(depth, DepthKind.METRIC, (1, 5), "viridis")[0]
    table = lookup_table("viridis")[:, 0]
    assert colors[0].tolist() == [0, 0, 0]
    assert colors[1].tolist() == colors[2].tolist() == table[0].tolist()
    assert colors[3].tolist() == table[255].tolist()


def test_enlarged_colours_equal_enlarged_depth_and_unknown_does_not_darken_its_neighbours() -> None:
    depth = RAMP.copy()
    depth[10:20, 10:20] = np.nan
    small = colorize(depth, DepthKind.METRIC, (1, 5), "gray", size=(256, 192))
    exact = colorize(resize_depth(depth, 256, 192), DepthKind.METRIC, (1, 5), "gray")
    assert np.abs(small.astype(int) - exact).max() <= 2
    assert (small[40:80, 40:80] == 0).all()


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_a_map_without_a_range_is_coloured_all_the_same(value: float) -> None:
    flat = np.full((4, 4), value, np.float32)
    assert colorize(flat, DepthKind.METRIC).shape == (4, 4, 3)


def test_display_range_ignores_outliers_and_unknown() -> None:
    depth = np.linspace(1, 2, 10000, dtype=np.float32).reshape(100, 100)
    depth[0, :50], depth[1, 0], depth[2, 0] = 500, np.nan, np.inf
    low, high = display_range(depth)
    assert 1 <= low < 1.05
    assert 1.9 < high <= 2
    assert display_range(np.full((2, 2), np.nan, np.float32)) == (0, 1)


@pytest.mark.parametrize(("wrong", "near"), [("infernoo", "inferno"), ("Virids", "viridis"), ("turboo", "turbo")])
def test_wrong_colormap_names_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        lookup_table(wrong)


def test_wrong_colormap_far_from_any_names_common_ones() -> None:
    with pytest.raises(ConfigError, match="magma"):
        lookup_table("§§§")


def test_names_are_usable() -> None:
    names = colormap_names()
    assert {"inferno", "turbo", "spectral", "magma", "viridis", "gray"} <= set(names)
    for name in names[::40]:
        assert lookup_table(name).shape == (256, 1, 3)


@pytest.mark.parametrize(
    ("style", "colormap", "alpha", "word"),
    [("overly", "inferno", 0.5, "side-by-side"), ("depth", "nope", 0.5, "nope"), ("depth", "gray", 1.5, "alpha")],
)
def test_look_is_checked(style: str, colormap: str, alpha: float, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        check_look(style, colormap, alpha)


def test_overlay_mixes() -> None:
    a, b = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert (overlay(a, b, 0) == 100).all()
    assert (overlay(a, b, 1) == 200).all()
    assert (overlay(a, b, 0.25) == 125).all()
    assert side_by_side(a, b).shape == (4, 8, 3)


def test_only_metric_depth_has_numbers() -> None:
    assert legend_words((0.5, 30), DepthKind.METRIC) == ["0.50 m", "15.2 m", "30 m"]
    assert legend_words((0.5, 30), DepthKind.RELATIVE) == ["near", "far"]


def test_legend_draws_on_a_copy_in_the_corner() -> None:
    picture = np.full((240, 320, 3), 90, np.uint8)
    drawn = legend(picture, (1, 4), DepthKind.METRIC, "gray")
    assert (picture == 90).all()
    assert (drawn[:200] == 90).all()
    assert (drawn[200:, :200] > 180).all(axis=2).sum() > 60
    assert (drawn[:, 200:] == 90).all()


def test_a_small_picture_has_no_legend() -> None:
    picture = np.zeros((100, 320, 3), np.uint8)
    assert legend(picture, (1, 4), DepthKind.METRIC) is picture


@pytest.mark.parametrize(("style", "shape"), [("overlay", (200, 320, 3)), ("side-by-side", (200, 640, 3))])
def test_render_styles(style: str, shape: tuple[int, ...]) -> None:
    one = item()
    picture = render(one, style=style)  # type: ignore[arg-type]  # a literal
    assert picture.shape == shape
    if style == "side-by-side":
        np.testing.assert_array_equal(picture[:, :320], one.frame.image)


def test_render_uses_the_steady_range() -> None:
    one = item()
    wide = render(replace(one, range=(0.1, 50.0)), style="depth", bar=False)
    assert (render(one, style="depth", bar=False) != wide).any()
    expected = colorize(one.depth, one.kind, (0.1, 50.0), size=(320, 200))
    np.testing.assert_array_equal(wide, expected)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 501), (161, 163)])
def test_odd_sizes(width: int, height: int) -> None:
    assert render(item(width=width, height=height)).shape == (height, width, 3)


def as_planes(image: Image) -> YuvPlanes:
    y, u, v = to_planes(image.astype(np.float32))
    half = image.shape[1] // 2, image.shape[0] // 2
    u, v = (cv2.resize(p, half, interpolation=cv2.INTER_AREA) for p in (u, v))
    return YuvPlanes(*(np.rint(p).astype(np.uint8) for p in (y, u, v)))


class Decoded(LazyImage):
    """A picture that came in planes."""

    def __init__(self, image: Image) -> None:
        self.image, self.size = image, (image.shape[1], image.shape[0])

    def rgb(self) -> Image:
        return self.image

    def shrunk(self, width: int, height: int) -> Image:
        return shrink(self.image, width, height)

    def planes(self) -> YuvPlanes:
        return as_planes(self.image)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("has_unknown", [False, True])
def test_planes_show_what_rgb_shows(style: Style, kind: DepthKind, has_unknown: bool) -> None:
    one = item(kind, 320, 180)
    if has_unknown:
        depth = one.depth.copy()
        depth[40:90, 100:180] = np.nan
        one = replace(one, depth=depth)
    picture = np.ascontiguousarray(cv2.GaussianBlur(one.frame.image, (9, 9), 0))
    one = replace(one, frame=replace(one.frame, pixels=Decoded(picture)))
    wanted = as_planes(render(one, style=style, colormap="turbo"))
    out = YuvPlanes(*(np.zeros_like(plane) for plane in wanted))
    render_planes(one, out, style=style, colormap="turbo", bar=True)
    for found, exact in zip(out, wanted, strict=True):
        apart = np.abs(found.astype(int) - exact)
        assert apart.mean() < 0.7
        assert np.percentile(apart, 99) <= 12  # colours at half size, at the edges of what is unknown


@pytest.mark.parametrize(
    ("color", "planes"),
    [
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (16 + 219 * 0.2126, 128 - 112 * 0.2126 / 0.9278, 240)),
        ((0, 0, 255), (16 + 219 * 0.0722, 240, 128 - 112 * 0.0722 / 0.7874)),
    ],
)
def test_planes_of_pure_colours_are_those_of_bt709(
    color: tuple[int, int, int], planes: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(np.ravel(to_planes(np.array([[color]], np.float32))), planes, atol=0.01)
