"""Black bars around a picture, such as those of a wide film in a 16:9 video: found, and excluded from the valid pixels.

A bar is a flat, dark margin that ends in a straight edge along its whole side. Other dark margins, such as a night sky
or a vignette, have no such edge. Frames in which the edge cannot be seen, because the scene is dark too, change
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import GrayImage, Image, Mask
from streamdepth.core.interfaces import Source
from streamdepth.core.masks import rectangle_of
from streamdepth.core.types import Frame, LazyImage, StreamInfo
from streamdepth.core.wrappers import WrappedSource

_Lines = npt.NDArray[np.int16]
"""(lines, samples) brightness above black; the lines are parallel to a margin, and the first lies at it."""

_SAMPLES = 100
"""Approximate number of samples in a line."""
_MAX_LEVEL = 24
"""Brightest level of a bar above black, 0 to 255: in some videos black has the level of another range."""
_NOISE, _MAX_MEAN_DEVIATION = 16, 6
"""Greatest deviations of a bar's samples, and of the mean of a line, from its level: compression and noise."""
_FLAT_SHARE = 0.9
"""Share of the samples in a line of a bar that deviate no more than that."""
_RISE = 20
"""The picture is brighter than its bar by at least so much where the edge between them can be seen."""
_EDGE_LINES = 8
"""Lines behind the flat ones within which the picture begins; compression spreads an edge over a block of 8 px."""
_EDGE_SHARE, _EDGE_SHARE_ALONE = 0.5, 0.7
"""Share of the edge that must be visible: if the opposite bar is equally wide, and otherwise."""
_MIN_SHARE, _MIN_LINES = 0.01, 3
"""Narrowest bar, as a share of the side and in px."""
_MIN_CONTENT = 0.2
"""Least share of the frame that the picture takes between its bars: a film of 2.39:1 on a telephone takes 0.235."""
_SYMMETRY = 0.02
"""Difference of two opposite bars, as a share of the side, up to which they count as equally wide."""
_MARGIN_SHARE = 0.125
"""Share of a bar at each of its ends, where no subtitles stand."""
_SAME_PX = 2
"""Bars whose widths differ by no more than this are the same."""
_CHUNK_LINES = 64
"""Lines that are read at a time while a margin is measured."""
_SEARCH_SECONDS = 0.25
"""Time between two searches for other bars while the known ones are still dark."""
_STEADY_SECONDS = 0.5
"""Time after which wider bars replace the known ones."""


class Bars(NamedTuple):
    """Widths of the four bars of a picture in px; 0 where there is none."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def mask(self, width: int, height: int) -> Mask:
        """Returns the (height, width) mask of the picture between the bars, read-only."""
        mask = np.zeros((height, width), np.bool_)
        mask[self.top : height - self.bottom, self.left : width - self.right] = True
        mask.setflags(write=False)
        return mask


def valid_pixels(pixels: Image) -> Mask | None:
    """Returns the mask of a single RGB picture between its black bars; None if it has none."""
    bars = _find_bars(_Brightness(pixels))
    return bars.mask(pixels.shape[1], pixels.shape[0]) if bars is not None and any(bars) else None


def bars_notice(name: str, valid: Mask) -> str:
    """Returns a notice about the black bars around the valid pixels of `name`."""
    box = rectangle_of(valid)
    assert box is not None
    return (
        f"{name} has black bars around {box.right - box.left}x{box.bottom - box.top} px; their depth is unknown and "
        "does not count for the range; --no-find-bars takes them for a part of the picture"
    )


class BlackBarsSource(WrappedSource):
    """Another source whose frames are valid only between their black bars, as `Frame.valid` says.

    Bars begin with the first frame that shows their edge, and end with the first in which they are not dark; subtitles
    in a bar do not end it. Frames that have a mask already keep that.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._tracker = BarTracker()
        self._is_announced = False

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._tracker = BarTracker()
        return info

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None or frame.valid is not None:
            return frame
        mask = self._tracker.update(frame)
        if mask is None:
            return frame
        if not self._is_announced:
            self._is_announced = True
            self.add_notice(bars_notice(frame.stream or "the stream", mask))
        return replace(frame, valid=mask)


class BarTracker:
    """Follows the black bars of one stream from frame to frame."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._set(Bars())

    def _set(self, bars: Bars) -> None:
        self.bars = bars
        """The bars of the newest frame."""
        self._mask = bars.mask(*self._size) if any(bars) else None
        self._next_search = -math.inf
        """Time of the first frame in which other bars are searched for."""
        self._wider: tuple[Bars, float] | None = None
        """Bars that are wider than those that count, and the time of the frame in which they were first seen."""

    def update(self, frame: Frame) -> Mask | None:
        """Returns the mask of the next frame between its bars; None if it has none."""
        if frame.size != self._size:
            self._size = frame.size
            self._set(Bars())
        brightness = _Brightness(frame.pixels)
        if any(self.bars) and not _are_dark(self.bars, brightness):
            self._set(Bars())
        if any(self.bars) and self._next_search - _SEARCH_SECONDS <= frame.time < self._next_search:
            return self._mask
        self._next_search = frame.time + _SEARCH_SECONDS
        found = _find_bars(brightness)
        if found is not None and any(found):
            self._consider(found, frame.time)
        return self._mask

    def _consider(self, found: Bars, time: float) -> None:
        """Accepts new bars: at once if there were none or wider ones before, and wider ones only after some time."""
        changes = [new - old for new, old in zip(found, self.bars, strict=True)]
        if max(map(abs, changes)) <= _SAME_PX:
            self._wider = None
        elif not any(self.bars) or max(changes) <= _SAME_PX:
            self._set(found)
        elif self._wider is None or self._wider[0] != found:
            self._wider = found, time
        elif time - self._wider[1] >= _STEADY_SECONDS:
            self._set(found)


class _Brightness:
    """The brightness of a picture above black, sampled along lines that are parallel to its margins."""

    def __init__(self, pixels: Image | LazyImage) -> None:
        self._black = 0
        self._luma: GrayImage | None = None
        self._rgb: Image | None = None
        if isinstance(pixels, LazyImage) and (luma := pixels.luma()):
            self._luma, self._black = luma
            self.height, self.width = self._luma.shape
        else:
            self._rgb = pixels.rgb() if isinstance(pixels, LazyImage) else pixels
            self.height, self.width = self._rgb.shape[:2]

    def rows(self, count: int, *, start: int = 0, from_end: bool = False, inside: slice = slice(None)) -> _Lines:
        """Returns samples of rows from the top or the bottom on, of their pixels `inside` alone."""
        return self._sample(_lines_at(self.height, start, count, from_end), _steps(inside, self.width))

    def columns(self, count: int, *, start: int = 0, from_end: bool = False, inside: slice = slice(None)) -> _Lines:
        """Returns samples of columns from the left or the right on, of their pixels `inside` alone."""
        return self._sample(_steps(inside, self.height), _lines_at(self.width, start, count, from_end)).T

    def _sample(self, rows: slice, columns: slice) -> _Lines:
        if self._luma is not None:
            return self._luma[rows, columns].astype(np.int16) - np.int16(self._black)
        assert self._rgb is not None
        part = self._rgb[rows, columns]
        return np.maximum(np.maximum(part[..., 0], part[..., 1]), part[..., 2]).astype(np.int16)


def _lines_at(side: int, start: int, count: int, from_end: bool) -> slice:
    if not from_end:
        return slice(start, start + count)
    stop = side - 1 - start - count
    return slice(max(0, side - 1 - start), stop if stop >= 0 else None, -1)


def _steps(inside: slice, side: int) -> slice:
    start, stop, _ = inside.indices(side)
    return slice(start, stop, max(1, (stop - start) // _SAMPLES))


def _find_bars(brightness: _Brightness) -> Bars | None:
    """Returns the bars whose edge can be seen; None where the whole picture is dark."""
    height, width = brightness.height, brightness.width
    top, bottom = (_flat_margin(partial(brightness.rows, from_end=end), height) for end in (False, True))
    if top + bottom >= height:
        return None
    inside = slice(top, height - bottom)
    left, right = (
        _flat_margin(partial(brightness.columns, from_end=end, inside=inside), width) for end in (False, True)
    )
    if left + right >= width:
        return None
    if not (top or bottom or left or right):
        return Bars()
    between = slice(left, width - right)
    rows, columns = partial(brightness.rows, inside=between), partial(brightness.columns, inside=inside)
    bars = Bars(
        *_opposite_bars(_measure_edge(rows, top), _measure_edge(partial(rows, from_end=True), bottom), height),
        *_opposite_bars(_measure_edge(columns, left), _measure_edge(partial(columns, from_end=True), right), width),
    )
    content = (height - bars.top - bars.bottom) * (width - bars.left - bars.right)
    is_plausible = content >= _MIN_CONTENT * height * width
    return bars if is_plausible else Bars()


def _flat_margin(lines_at: Callable[..., _Lines], side: int) -> int:
    """Returns how many lines, from the margin on, are as flat and dark as a bar."""
    level = float(np.median(lines_at(1)))
    if level > _MAX_LEVEL:
        return 0
    for start in range(0, side, _CHUNK_LINES):
        deviation = lines_at(min(_CHUNK_LINES, side - start), start=start) - level
        is_flat = (np.abs(deviation) <= _NOISE).mean(axis=1) >= _FLAT_SHARE
        is_flat &= np.abs(deviation.mean(axis=1)) <= _MAX_MEAN_DEVIATION
        if not is_flat.all():
            return start + int(np.argmin(is_flat))
    return side


def _measure_edge(lines_at: Callable[..., _Lines], flat_count: int) -> tuple[int, float]:
    """Returns the width in px of the margin that begins with so many flat lines, and the visible share of its edge."""
    if not flat_count:
        return 0, 0.0
    risen = lines_at(_EDGE_LINES, start=flat_count) - np.median(lines_at(1)) >= _RISE
    share = float(risen.any(axis=0).mean())
    return flat_count + int(np.argmax(risen.mean(axis=1) >= share / 2)), share


def _opposite_bars(first: tuple[int, float], second: tuple[int, float], side: int) -> tuple[int, int]:
    """Returns the widths of two opposite margins, 0 for one that is no bar."""
    is_symmetric = abs(first[0] - second[0]) <= _SYMMETRY * side
    least_share = _EDGE_SHARE if is_symmetric else _EDGE_SHARE_ALONE
    widest = max(_MIN_LINES, _MIN_SHARE * side)
    one, other = (width if share >= least_share and width >= widest else 0 for width, share in (first, second))
    return one, other


def _are_dark(bars: Bars, brightness: _Brightness) -> bool:
    """True if all these bars are still dark; letters in the middle of a bar do not count."""
    inside = slice(bars.top, brightness.height - bars.bottom)
    columns = partial(brightness.columns, inside=inside)
    sides: list[tuple[Callable[..., _Lines], bool]] = [
        *((brightness.rows, from_end) for from_end in (False, True)),
        *((columns, from_end) for from_end in (False, True)),
    ]
    return all(
        _is_dark(lines_at(max(1, width - 1), from_end=from_end))
        for (lines_at, from_end), width in zip(sides, bars, strict=True)
        if width
    )


def _is_dark(bar: _Lines) -> bool:
    level = np.median(bar[0])
    is_dark = np.abs(bar - level) <= _NOISE
    end = max(1, round(bar.shape[1] * _MARGIN_SHARE))
    ends = np.concatenate([is_dark[:, :end], is_dark[:, -end:]], axis=1)
    innermost = ends[-_EDGE_LINES:].mean()
    return bool(level <= _MAX_LEVEL and is_dark.mean() >= 0.5 and ends.mean() >= 0.95 and innermost >= _FLAT_SHARE)
