"""Zones: named parts of a picture whose depth is watched, and the measurement of the depth in them.

Zones lie in px of the frame, as `Frame.size` has them: of the picture after it was cropped and rotated.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.masks import shrink_mask

if TYPE_CHECKING:
    from streamdepth.core.arrays import Mask
    from streamdepth.core.types import DepthFrame, DepthKind

Unit = Literal["m", "%"]
"""Unit of the depth in a zone: meters of metric depth, or percent of the steady range of relative depth."""
Corner = tuple[float, float]

NEAREST_SHARE = 0.05
"""Share of a zone's pixels that may be nearer than its nearest depth: noise and flying pixels are fewer."""
_LEAST_KNOWN_SHARE = 0.1
"""Share of a zone's pixels that must have depth; with fewer the depth in the zone is unknown."""
_SYNTAX = (
    "write NAME=X,Y,WIDTH,HEIGHT or NAME=X1,Y1,X2,Y2,X3,Y3,... in px, and @1.5m or @60% behind it for the depth at "
    "which something is in the zone; a name has letters, digits and single underscores, and begins with a letter"
)
_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9]){0,39}")
_NUMBER = r"\d+(?:\.\d+)?"
_ZONE = re.compile(rf"(?P<name>[^=]+)=(?P<numbers>{_NUMBER}(?:,{_NUMBER})+)(?:@(?P<near>{_NUMBER})(?P<unit>m|%))?")


@dataclass(frozen=True, slots=True)
class Zone:
    """A named part of the picture, a box or a polygon.

    >>> door = sd.Zone.parse("door=100,50,200,300@1.5m")
    >>> door.corners
    ((100.0, 50.0), (300.0, 50.0), (300.0, 350.0), (100.0, 350.0))
    >>> (door.name, door.near, door.unit)
    ('door', 1.5, 'm')
    """

    name: str
    """Letters, digits and single underscores; it begins with a letter."""
    corners: tuple[Corner, ...]
    """(x, y) of at least three corners in px of the frame. The pixel in the upper left corner reaches from (0, 0) to
    (1, 1)."""
    near: float | None = None
    """Depth at which something is in the zone, once the nearest depth is nearer; None: nearer than the background."""
    unit: Unit | None = None
    """Unit of `near`; None where there is no `near`."""

    def __post_init__(self) -> None:
        is_valid = _NAME.fullmatch(self.name) and len(self.corners) >= 3 and (self.near is None) == (self.unit is None)
        if not is_valid or not all(0 <= c < math.inf for corner in self.corners for c in corner):
            raise ValueError(_SYNTAX)

    @staticmethod
    def parse(text: str) -> Zone:
        """Returns the zone of a text: NAME=X,Y,WIDTH,HEIGHT is a box, and six or more numbers are a polygon's corners.

        `@1.5m` (metric depth) or `@60%` (relative depth) behind it is the zone's `near`. Raises ValueError.
        """
        match = _ZONE.fullmatch(text.strip())
        if match is None:
            raise ValueError(_SYNTAX)
        numbers = [float(number) for number in match["numbers"].split(",")]
        if len(numbers) == 4:
            corners = _corners_of_box(*numbers)
        elif len(numbers) >= 6 and len(numbers) % 2 == 0:
            corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        else:
            raise ValueError(_SYNTAX)
        near = None if match["near"] is None else float(match["near"])
        return Zone(match["name"], corners, near, match["unit"])  # type: ignore[arg-type]  # m, % or None

    def resized(self, across: float, down: float) -> Zone:
        """Returns the same zone of a picture whose width and height are multiplied by `across` and `down`."""
        return replace(self, corners=tuple((x * across, y * down) for x, y in self.corners))

    def __str__(self) -> str:
        """Returns the text that `parse` reads."""
        (left, top), (right, bottom) = self.corners[0], self.corners[len(self.corners) // 2]
        is_box = (
            right > left and bottom > top and self.corners == _corners_of_box(left, top, right - left, bottom - top)
        )
        numbers = (left, top, right - left, bottom - top) if is_box else [c for corner in self.corners for c in corner]
        near = "" if self.near is None else f"@{self.near:g}{self.unit}"
        return f"{self.name}={','.join(f'{number:.10g}' for number in numbers)}{near}"


def _corners_of_box(left: float, top: float, width: float, height: float) -> tuple[Corner, ...]:
    if not (width > 0 and height > 0):
        raise ValueError(_SYNTAX)
    right, bottom = left + width, top + height
    return (left, top), (right, top), (right, bottom), (left, bottom)


class ZoneDepth(NamedTuple):
    """The depth in a zone at one frame, in meters of metric depth or percent of the range of relative depth.

    Percent count from the far end (0) to the near end (100) of `DepthFrame.range`; depth beyond an end lies beyond.
    """

    nearest: float
    """Depth of which 5 % of the zone's known pixels are nearer; NaN unknown, inf: too far to be measured, as sky is."""
    median: float
    """The median of the zone's known pixels; NaN and inf as for `nearest`."""
    known: float
    """Share of the zone's pixels whose depth is known, sky included. Below 0.1 the depth in the zone is unknown."""


def unit_of(kind: DepthKind) -> Unit:
    """Returns the unit of the depth in zones."""
    return "m" if kind.unit == "m" else "%"


def measure_zone(zone: Zone, item: DepthFrame) -> ZoneDepth:
    """Returns the depth in a zone; all of it is unknown where the zone lies outside of the frame."""
    area = _area(zone, item.frame.size, item.depth.shape)
    if area is None:
        return ZoneDepth(math.nan, math.nan, 0.0)
    rows, columns, inside = area
    values = item.depth[rows, columns][inside]
    is_metric = unit_of(item.kind) == "m"
    is_known = values > 0 if is_metric else np.isfinite(values)
    if item.frame.valid is not None:
        height, width = item.depth.shape
        is_known &= shrink_mask(item.frame.valid, width, height)[rows, columns][inside]
    share = int(np.count_nonzero(is_known)) / values.size
    if share < _LEAST_KNOWN_SHARE:
        return ZoneDepth(math.nan, math.nan, share)
    nearest, median = _quantiles(values[is_known], NEAREST_SHARE if is_metric else 1 - NEAREST_SHARE)
    if is_metric:
        return ZoneDepth(nearest, median, share)
    return ZoneDepth(_percent(nearest, item), _percent(median, item), share)


def _quantiles(values: npt.NDArray[np.float32], share: float) -> tuple[float, float]:
    """Returns the value at a share of the sorted values, and the one in their middle."""
    last = values.size - 1
    at, middle = round(last * share), last // 2
    values = np.partition(values, (at, middle))
    return float(values[at]), float(values[middle])


def _percent(value: float, item: DepthFrame) -> float:
    if item.range is None or not item.range[1] > item.range[0]:
        return math.nan
    low, high = item.range
    return 100 * (value - low) / (high - low)


Area = tuple[slice, slice, "Mask"]
"""Rows and columns around a zone in a depth map, and the mask of the pixels between them that belong to it."""


def is_outside(zone: Zone, width: int, height: int) -> bool:
    """True if the zone lies to the right of or below a frame of this size."""
    return min(x for x, _ in zone.corners) >= width or min(y for _, y in zone.corners) >= height


@lru_cache(maxsize=256)
def _area(zone: Zone, frame_size: tuple[int, int], shape: tuple[int, int]) -> Area | None:
    """Returns the pixels of a depth map whose centers lie in the zone, by the even-odd rule; None outside of the frame.

    A zone that contains no pixel center, because it is small or thin, gets the pixel in its middle.
    """
    corners = np.array(zone.corners) * (shape[1] / frame_size[0], shape[0] / frame_size[1])
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    left, top, right, bottom = max(0, low[0]), max(0, low[1]), min(shape[1], high[0]), min(shape[0], high[1])
    if left >= right or top >= bottom:
        return None
    inside = _contains(corners, np.arange(left, right) + 0.5, np.arange(top, bottom)[:, None] + 0.5)
    if not inside.any():
        inside[inside.shape[0] // 2, inside.shape[1] // 2] = True
    return slice(top, bottom), slice(left, right), inside


def _contains(corners: npt.NDArray[np.float64], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Mask:
    """Returns a mask of points (x, y) inside a polygon (n, 2): a ray to the right crosses an odd number of edges."""
    inside = np.zeros(np.broadcast(x, y).shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            inside ^= ((y1 <= y) != (y2 <= y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside
