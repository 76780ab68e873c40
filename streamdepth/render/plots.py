"""Curves as a picture, drawn with Pillow: axes, ticks, legend. Nothing but numbers goes in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from streamdepth.core.types import Image

COLOURS = ("#1f6fb4", "#d9541e", "#2e8b3d", "#8a4fb0", "#a08000", "#c2348a", "#4f5b66", "#00908f")
"""Of the curves, in order; from the ninth on they come again."""
_INK, _GRID, _PAPER = "#222222", "#dddddd", "white"

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values from low to high on px from start to end."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers within the axis, a few of them."""
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def draw_curves(
    series: Mapping[str, Curve],
    title: str = "",
    x_label: str = "",
    size: tuple[int, int] = (960, 420),
) -> Image:
    """Draws named curves into one picture.

    Args:
        series: name -> points (x, y) in drawing order. A value that is not finite interrupts its curve, though the x
            axis has room for it; a point between two gaps is drawn as a dot.
        size: (width, height) in px, at least 200x120.

    Returns:
        (height, width, 3) uint8 RGB. Without any point: empty axes.

    Raises:
        ValueError: the size is too small.
    """
    if size[0] < 200 or size[1] < 120:
        raise ValueError(f"a plot has at least 200x120 px, not {size[0]}x{size[1]}")
    pieces = {name: _pieces(curve) for name, curve in series.items()}
    points = [point for curve in pieces.values() for piece in curve for point in piece]
    canvas = Pillow.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(max(11, size[1] // 34))
    text_px = max(11, size[1] // 34)
    low, high = _limits([y for _, y in points])
    y_axis = _Axis(low, high, size[1] - 3.2 * text_px, 2.2 * text_px)
    left = max(draw.textlength(_number(tick), font=font) for tick in [*y_axis.ticks(), 0.0]) + 1.5 * text_px
    low, high = _limits([x for curve in series.values() for x, _ in curve if math.isfinite(x)], margin=0)
    x_axis = _Axis(low, high, left, size[0] - 1.5 * text_px)
    _draw_axes(draw, font, x_axis, y_axis, text_px)
    for i, curve in enumerate(pieces.values()):
        for piece in curve:
            _draw_piece(draw, [(x_axis.place(x), y_axis.place(y)) for x, y in piece], COLOURS[i % len(COLOURS)])
    draw.text(((left + size[0]) / 2, 0.9 * text_px), title, _INK, font, anchor="mm")
    draw.text(((left + size[0]) / 2, size[1] - 0.9 * text_px), x_label, _INK, font, anchor="mm")
    _draw_legend(draw, font, list(pieces), (left + text_px, 2.2 * text_px + 0.5 * text_px), text_px)
    return np.array(canvas)


def _pieces(curve: Curve) -> list[list[tuple[float, float]]]:
    """The curve between its gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in curve:
        if math.isfinite(x) and math.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _limits(values: Sequence[float], *, margin: float = 0.05) -> tuple[float, float]:
    """Around all values; never of no width."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = margin * (high - low) or (0.0 if high > low else 0.05 * abs(high) or 0.5)
    return low - room, high + room


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, `least` or more."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((m * power for m in (1, 2, 5) if m * power >= least * (1 - 1e-9)), 10 * power)


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) > 1e-12 else "0"


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _draw_axes(draw: ImageDraw.ImageDraw, font: Font, x_axis: _Axis, y_axis: _Axis, text_px: int) -> None:
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        draw.line([(x_axis.start, y), (x_axis.end, y)], _GRID)
        draw.text((x_axis.start - 0.5 * text_px, y), _number(tick), _INK, font, anchor="rm")
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        draw.line([(x, y_axis.start), (x, y_axis.end)], _GRID)
        draw.text((x, y_axis.start + 0.9 * text_px), _number(tick), _INK, font, anchor="mm")
    draw.line([(x_axis.start, y_axis.end), (x_axis.start, y_axis.start), (x_axis.end, y_axis.start)], _INK)


def _draw_piece(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], color: str) -> None:
    if len(points) > 1:
        draw.line(points, color, 2)
        return
    x, y = points[0]
    draw.ellipse([(x - 2, y - 2), (x + 2, y + 2)], color)


def _draw_legend(draw: ImageDraw.ImageDraw, font: Font, names: list[str], place: tuple[float, float], px: int) -> None:
    x, y = place
    for i, name in enumerate(names):
        middle = y + (i + 0.5) * 1.4 * px
        draw.line([(x, middle), (x + 1.5 * px, middle)], COLOURS[i % len(COLOURS)], 3)
        draw.text((x + 2 * px, middle), name, _INK, font, anchor="lm", stroke_width=2, stroke_fill=_PAPER)
