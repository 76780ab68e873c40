from __future__ import annotations

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthKind
from streamdepth.render.colors import colorize, colormap_names, display_range, lookup_table

RAMP = np.repeat(np.linspace(1, 5, 64, dtype=np.float32)[None], 48, axis=0)


def brightness(colors: Image) -> DepthMap:
    return colors.astype(np.float32).sum(2)


@pytest.mark.parametrize("colormap", ["inferno", "magma", "viridis", "gray"])
def test_near_is_bright_for_both_kinds(colormap: str) -> None:
    metric = brightness(colorize(RAMP, DepthKind.METRIC, (1, 5), colormap))
    relative = brightness(colorize(RAMP, DepthKind.RELATIVE, (1, 5), colormap))
    assert metric[0, 0] > metric[0, -1] + 300
    assert relative[0, -1] > relative[0, 0] + 300
    np.testing.assert_array_equal(metric, relative[:, ::-1])


def test_colors_are_those_of_the_color_map() -> None:
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


def test_enlarged_colors_equal_enlarged_depth_and_unknown_does_not_darken_its_neighbors() -> None:
    depth = RAMP.copy()
    depth[10:20, 10:20] = np.nan
    small = colorize(depth, DepthKind.METRIC, (1, 5), "gray", size=(256, 192))
    exact = colorize(resize_depth(depth, 256, 192), DepthKind.METRIC, (1, 5), "gray")
    assert np.abs(small.astype(int) - exact).max() <= 2
    assert (small[40:80, 40:80] == 0).all()


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_a_map_without_a_range_is_colored_all_the_same(value: float) -> None:
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
    with raises_code(ConfigError, "unknown-colormap") as caught:
        lookup_table(wrong)
    assert near in str(caught.value)


def test_wrong_colormap_far_from_any_names_common_ones() -> None:
    with raises_code(ConfigError, "unknown-colormap") as caught:
        lookup_table("§§§")
    assert "magma" in str(caught.value)


def test_names_are_usable() -> None:
    names = colormap_names()
    assert {"inferno", "turbo", "spectral", "magma", "viridis", "gray"} <= set(names)
    for name in names[::40]:
        assert lookup_table(name).shape == (256, 1, 3)
