from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import exact_depth_frame

from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import RenderOptions
from streamdepth.render.colors import colorize
from streamdepth.render.overlay import blend, check_render_options, render, side_by_side


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (RenderOptions(style="overly"), "unknown-style", "mean overlay"),
        (RenderOptions(style="picture"), "unknown-style", "side-by-side"),
        (RenderOptions(colormap="nope"), "unknown-colormap", "nope"),
        (RenderOptions(alpha=1.5), "bad-alpha", "1.5"),
        (RenderOptions(edges="soft"), "unknown-edges", "one of plain, guided"),
    ],
)
def test_options_are_checked(options: RenderOptions, code: str, word: str) -> None:
    with raises_code(ConfigError, code) as caught:
        check_render_options(options)
    assert word in str(caught.value)


def test_blend_mixes() -> None:
    a, b = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert (blend(a, b, 0) == 100).all()
    assert (blend(a, b, 1) == 200).all()
    assert (blend(a, b, 0.25) == 125).all()
    assert side_by_side(a, b).shape == (4, 8, 3)


@pytest.mark.parametrize(("style", "shape"), [("overlay", (200, 320, 3)), ("side-by-side", (200, 640, 3))])
def test_render_styles(style: str, shape: tuple[int, ...]) -> None:
    one = exact_depth_frame()
    picture = render(one, RenderOptions(style=style))
    assert picture.shape == shape
    if style == "side-by-side":
        np.testing.assert_array_equal(picture[:, :320], one.frame.image)


def test_render_uses_the_steady_range() -> None:
    one = exact_depth_frame()
    wide = render(replace(one, range=(0.1, 50.0)), RenderOptions(style="depth", legend=False))
    assert (render(one, RenderOptions(style="depth", legend=False)) != wide).any()
    expected = colorize(one.depth, one.kind, (0.1, 50.0), size=(320, 200))
    np.testing.assert_array_equal(wide, expected)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 501), (161, 163)])
def test_odd_sizes(width: int, height: int) -> None:
    assert render(exact_depth_frame(width=width, height=height)).shape == (height, width, 3)
