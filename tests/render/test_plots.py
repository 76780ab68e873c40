from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import MissingDependencyError
from streamdepth.render.plots import CURVE_COLORS, draw_curves


def places(image: np.ndarray, curve: int) -> np.ndarray:
    """(n, 2) rows and columns of a curve's pixels, right of the legend's line."""
    color = [int(CURVE_COLORS[curve][i : i + 2], 16) for i in (1, 3, 5)]
    found = np.argwhere((image == color).all(2))
    return found[found[:, 0] > 60]


def test_a_line_rises_from_lower_left_to_upper_right() -> None:
    image = draw_curves({"up": [(i, 2 * i) for i in range(50)]}, "title", "step", (480, 320))
    assert image.shape == (320, 480, 3)
    assert image.dtype == np.uint8
    found = places(image, 0)
    left, right = found[found[:, 1].argmin()], found[found[:, 1].argmax()]
    assert left[0] > 250
    assert right[0] < 80
    assert right[1] - left[1] > 300


def test_gaps_stay_gaps_and_a_lone_point_is_a_dot() -> None:
    curve = [(i, math.nan if 40 <= i < 60 else 1.0) for i in range(100)]
    columns = places(draw_curves({"gap": curve}), 0)[:, 1]
    assert np.diff(np.unique(columns)).max() > 100
    assert len(places(draw_curves({"dot": [(0, 1), (1, math.nan), (2, 3), (3, math.inf)], "b": [(3, 0)]}), 0)) > 8


@pytest.mark.parametrize(
    "series",
    [{}, {"none": []}, {"one": [(5.0, 5.0)]}, {"flat": [(0, 7), (9, 7)]}, {"zeros": [(0, 0), (1, 0)]}],
)
def test_odd_data_gives_a_picture(series: dict[str, list[tuple[float, float]]]) -> None:
    image = draw_curves(series)
    assert image.shape == (420, 960, 3)
    assert (image == 255).all(2).mean() > 0.5


@pytest.mark.parametrize("values", [(1e-9, 3e-9), (1e7, 9e7), (-5, 5), (1e-6, 1e6)])
def test_axes_fit_any_scale(values: tuple[float, float]) -> None:
    image = draw_curves({"x": list(enumerate(values))})
    assert len(places(image, 0)) > 100


def test_a_picture_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 200x120"):
        draw_curves({}, size=(100, 100))


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[plots\]"):
        draw_curves({})


def test_no_global_state_is_touched() -> None:
    code = "import sys; from streamdepth.render.plots import draw_curves; draw_curves({'a': [(0, 1), (1, 2)]}); "
    code += "print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
