from __future__ import annotations

import numpy as np
import pytest
from helpers.sink_data import exact_depth_frame

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthKind
from streamdepth.render.colors import colorize
from streamdepth.render.legend import draw_legend, legend_labels
from streamdepth.render.overlay import render


def test_only_metric_depth_has_numbers() -> None:
    assert legend_labels((0.5, 30), DepthKind.METRIC) == ("0.50 m", "15.2 m", "30 m")
    assert legend_labels((0.5, 30), DepthKind.RELATIVE) == ("near", "far")


def test_legend_draws_on_a_copy_in_the_corner() -> None:
    picture = np.full((240, 320, 3), 90, np.uint8)
    drawn = draw_legend(picture, (1, 4), DepthKind.METRIC, "gray")
    assert (picture == 90).all()
    assert (drawn[:200] == 90).all()
    assert (drawn[200:, :200] > 180).all(axis=2).sum() > 60
    assert (drawn[:, 200:] == 90).all()


def test_a_small_picture_has_no_legend() -> None:
    picture = np.zeros((100, 320, 3), np.uint8)
    assert draw_legend(picture, (1, 4), DepthKind.METRIC) is picture


@pytest.mark.parametrize(
    ("style", "legend", "is_drawn"),
    [
        ("depth", None, False),
        ("depth", True, True),
        ("overlay", None, True),
        ("overlay", False, False),
        ("side-by-side", None, True),
        ("side-by-side", False, False),
    ],
)
def test_plain_depth_has_no_legend_unless_asked(style: str, legend: bool | None, is_drawn: bool) -> None:
    one = exact_depth_frame()
    bare = render(one, RenderOptions(style=style, legend=False))
    assert (render(one, RenderOptions(style=style, legend=legend)) != bare).any() == is_drawn


def test_inverted_depth_has_a_dark_foreground_and_the_same_unknown_pixels() -> None:
    one = exact_depth_frame()
    for colormap, reverse in (("gray", "gray_r"), ("turbo_r", "turbo")):
        picture = render(one, RenderOptions(style="depth", colormap=colormap, invert=True))
        np.testing.assert_array_equal(picture, colorize(one.depth, one.kind, one.range, reverse, size=(320, 200)))
