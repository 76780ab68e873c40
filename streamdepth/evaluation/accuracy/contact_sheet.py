"""Pictures to look at: input, truth, prediction and error, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthKind
from streamdepth.evaluation.accuracy.boundary import DENSE_SHARE
from streamdepth.evaluation.accuracy.evaluate import Judged
from streamdepth.render.colors import Range, colorize, display_range
from streamdepth.sinks.pending_files import atomic_write, check_output

CELL_PX = 256
"""Width of one picture."""
WORST = 0.5
"""|d - d*| / d* that is shown as the brightest error."""
_TEXT_PX = 13
_LINE_PX = 20
_GAP_PX = 4
_TITLES = ("picture", "truth", "prediction, fitted", f"error |d - d*| / d*, black 0 to white {WORST}")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def evenly_spaced(names: Sequence[str], count: int) -> set[str]:
    """At most `count` of the names, with the first and the last."""
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return {names[round(place)] for place in places}


class ContactSheet:
    """One row for each picture added; only small copies are kept.

    per_set: how many pictures of each data set are wanted on it.
    Truth and prediction share colours: near is bright, by inverse depth, over the range of the truth. What does not
    count, or is unknown, is black. Raises SinkOpenError when nothing can be written to `path`.
    """

    def __init__(self, path: Path, per_set: int = 8, *, overwrite: bool = False) -> None:
        if path.suffix.lower() not in _SUFFIXES:
            raise SinkOpenError(f"a contact sheet is a picture, {' '.join(_SUFFIXES)}, not '{path}'")
        check_output(path, overwrite=overwrite)
        self.per_set = per_set
        self._path, self._overwrite = path, overwrite
        self._rows = [cv2.hconcat([_words(title, CELL_PX + _GAP_PX) for title in _TITLES])]

    def add(self, judged: Judged, label: str) -> None:
        """A row headed by `label`, AbsRel and delta1 after the fit, and the range of the colours."""
        low, high = display_range(np.reciprocal(judged.truth_m))
        row = cv2.hconcat([_padded(cell) for cell in _cells(judged, (low, high))])
        scores = judged.aligned
        text = (
            f"{label}    AbsRel {scores.abs_rel:.3f}    delta1 {scores.delta1:.3f}    "
            f"bright {1 / high:.2g} m, dark {1 / low:.2g} m"
        )
        self._rows += [_words(text, row.shape[1]), cast(Image, row)]

    def write(self) -> None:
        """Raises SinkError."""
        with atomic_write(self._path, overwrite=self._overwrite) as temporary:
            Pillow.fromarray(np.concatenate(self._rows)).save(temporary)


def _cells(judged: Judged, range: Range) -> list[Image]:
    height, width = judged.truth_m.shape
    size = (CELL_PX, max(1, round(CELL_PX * height / width)))
    error = np.abs(judged.aligned_m - judged.truth_m) / judged.truth_m
    near = DepthKind.RELATIVE
    return [
        cast(Image, cv2.resize(judged.pair.image, size, interpolation=cv2.INTER_AREA)),
        colorize(_small(np.reciprocal(judged.truth_m), size), near, range, size=size),
        colorize(_small(np.reciprocal(judged.aligned_m), size), near, range, size=size),
        colorize(_small(error, size), near, (0, WORST), "gray", size=size),
    ]


def _small(values: DepthMap, size: tuple[int, int]) -> DepthMap:
    """At (width, height); the points of a sparse map grow, for single ones would be lost."""
    if np.isfinite(values).mean() >= DENSE_SHARE:
        return resize_depth(values, *size)
    rows, columns = np.nonzero(np.isfinite(values))
    points = np.full(size[::-1], -1, np.float32)
    points[rows * size[1] // values.shape[0], columns * size[0] // values.shape[1]] = values[rows, columns]
    grown = cv2.dilate(points, np.ones((3, 3), np.uint8))
    return np.where(grown < 0, np.float32(np.nan), grown)


def _padded(cell: Image) -> Image:
    return cast(Image, cv2.copyMakeBorder(cell, 0, _GAP_PX, 0, _GAP_PX, cv2.BORDER_CONSTANT))


def _words(text: str, width: int) -> Image:
    """(line, width, 3): white on black."""
    line = Pillow.new("RGB", (width, _LINE_PX))
    ImageDraw.Draw(line).text((2, _LINE_PX / 2), text, "white", ImageFont.load_default(_TEXT_PX), anchor="lm")
    return np.array(line)
