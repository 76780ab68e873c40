from __future__ import annotations

import numpy as np

from streamdepth.core.types import DepthKind
from streamdepth.render.legend import draw_legend, legend_labels


def test_only_metric_depth_has_numbers() -> None:
    assert legend_labels((0.5, 30), DepthKind.METRIC) == ["0.50 m", "15.2 m", "30 m"]
    assert legend_labels((0.5, 30), DepthKind.RELATIVE) == ["near", "far"]


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
