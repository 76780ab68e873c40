"""Curves as a picture, drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_COLORS = ("#1f6fb4", "#d9541e", "#2e8b3d", "#8a4fb0", "#a08000", "#c2348a", "#4f5b66", "#00908f")
"""The colors of the curves in order; from the ninth curve on they repeat."""
_DPI = 100
_LEGEND_PX = 170
"""Width of a name in the legend."""

Curve = Sequence[tuple[float, float]]


def draw_curves(
    series: Mapping[str, Curve],
    title: str = "",
    x_label: str = "",
    size: tuple[int, int] = (960, 420),
) -> Image:
    """Draws named curves into one picture, with axes and a legend.

    Args:
        series: name -> points (x, y) in drawing order. A value that is not finite interrupts its curve, but the x axis
            still has room for it; a point between two gaps is drawn as a dot.
        size: (width, height) in px, at least 200x120.

    Returns:
        (height, width, 3) uint8 RGB. Without any point: empty axes.

    Raises:
        ValueError: the size is too small.
        MissingDependencyError: matplotlib is not installed.
    """
    if size[0] < 200 or size[1] < 120:
        raise ValueError(f"a plot has at least 200x120 px, not {size[0]}x{size[1]}")
    check_plots()
    # no pyplot: it would keep figures in global state and choose a backend for the whole process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types only a part of itself
    axes = figure.subplots()
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(x_label)
    axes.grid(color="#dddddd")
    axes.set_axisbelow(True)
    for i, (name, curve) in enumerate(series.items()):
        _draw_curve(axes, name, curve, CURVE_COLORS[i % len(CURVE_COLORS)])
    xs = [x for curve in series.values() for x, _ in curve if math.isfinite(x)]
    if len(set(xs)) > 1:
        axes.set_xlim(min(xs), max(xs))
    if series:
        columns = min(len(series), max(1, size[0] // _LEGEND_PX))
        figure.legend(loc="outside lower left", ncols=columns, edgecolor="white", fontsize="small")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def check_plots() -> None:
    """Raises MissingDependencyError without matplotlib; called early by programs that draw at their end."""
    try:
        import matplotlib  # noqa: F401  # to see that it is there
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "plots", "drawing curves") from error


def _draw_curve(axes: Axes, name: str, curve: Curve, color: str) -> None:
    """Draws one curve; a lone point between gaps has no line, and gets a dot."""
    points = np.array([p if all(map(math.isfinite, p)) else (math.nan, math.nan) for p in curve], float).reshape(-1, 2)
    known = np.pad(np.isfinite(points).all(1), 1)
    is_lone = known[1:-1] & ~known[:-2] & ~known[2:]
    style: dict[str, Any] = {"color": color, "label": name, "linewidth": 1.5, "marker": "o", "markersize": 4.0}
    axes.plot(points[:, 0], points[:, 1], markevery=is_lone, clip_on=False, zorder=3, **style)
