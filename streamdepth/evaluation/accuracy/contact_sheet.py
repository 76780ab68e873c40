"""Contact sheets for people to look at: picture, ground truth, prediction and error side by side."""

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
from streamdepth.evaluation.accuracy.evaluate import EvaluatedImage
from streamdepth.render.colors import Range, colorize, display_range
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.pending_files import atomic_write

CELL_PX = 256
"""Width of one picture on the sheet."""
MAX_ERROR = 0.5
"""|d - d*| / d* that is drawn as the brightest error."""
_TEXT_PX = 13
_LINE_PX = 20
_GAP_PX = 4
_TITLES = ("picture", "ground truth", "prediction, fitted", f"error |d - d*| / d*, black 0 to white {MAX_ERROR}")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def evenly_spaced(names: Sequence[str], count: int) -> set[str]:
    """Returns at most `count` of the names, with the first and the last."""
    positions = np.linspace(0, len(names) - 1, min(count, len(names)))
    return {names[round(position)] for position in positions}


class ContactSheet:
    """A contact sheet with one row for each added picture; only small copies stay in memory.

    Ground truth and prediction share colors: near is bright, by inverse depth, over the range of the ground truth.
    Pixels that do not count or are unknown are black.

    Args:
        path: the picture to write.
        per_set: number of pictures of each dataset on the sheet.
        overwrite: True allows a file that exists already.

    Raises:
        SinkOpenError: nothing can be written to `path`, or (code "unknown-format") it is no picture.
    """

    def __init__(self, path: Path, per_set: int = 8, *, overwrite: bool = False) -> None:
        if path.suffix.lower() not in _SUFFIXES:
            raise SinkOpenError(
                f"a contact sheet is a picture, {' '.join(_SUFFIXES)}, not '{path}'", code="unknown-format"
            )
        check_output(path, overwrite=overwrite)
        self.per_set = per_set
        self._path, self._overwrite = path, overwrite
        self._rows = [cv2.hconcat([_text_line(title, CELL_PX + _GAP_PX) for title in _TITLES])]

    def add(self, evaluated: EvaluatedImage, label: str) -> None:
        """Adds a row, headed by `label`, AbsRel and delta1 after the fit, and the range of the colors."""
        low, high = display_range(np.reciprocal(evaluated.truth_m))
        row = cv2.hconcat([_padded(cell) for cell in _cells(evaluated, (low, high))])
        scores = evaluated.aligned
        text = (
            f"{label}    AbsRel {scores.abs_rel:.3f}    delta1 {scores.delta1:.3f}    "
            f"bright {1 / high:.2g} m, dark {1 / low:.2g} m"
        )
        self._rows += [_text_line(text, row.shape[1]), cast(Image, row)]

    def write(self) -> None:
        """Writes the sheet. Raises SinkError."""
        with atomic_write(self._path, overwrite=self._overwrite) as temporary:
            Pillow.fromarray(np.concatenate(self._rows)).save(temporary)


def _cells(evaluated: EvaluatedImage, limits: Range) -> list[Image]:
    height, width = evaluated.truth_m.shape
    size = (CELL_PX, max(1, round(CELL_PX * height / width)))
    error = np.abs(evaluated.aligned_m - evaluated.truth_m) / evaluated.truth_m
    near = DepthKind.RELATIVE
    return [
        cast(Image, cv2.resize(evaluated.pair.image, size, interpolation=cv2.INTER_AREA)),
        colorize(_small(np.reciprocal(evaluated.truth_m), size), near, limits, size=size),
        colorize(_small(np.reciprocal(evaluated.aligned_m), size), near, limits, size=size),
        colorize(_small(error, size), near, (0, MAX_ERROR), "gray", size=size),
    ]


def _small(values: DepthMap, size: tuple[int, int]) -> DepthMap:
    """Returns the map at (width, height); points of a sparse map are enlarged, since single ones would be lost."""
    if np.isfinite(values).mean() >= DENSE_SHARE:
        return resize_depth(values, *size)
    rows, columns = np.nonzero(np.isfinite(values))
    points = np.full(size[::-1], -1, np.float32)
    points[rows * size[1] // values.shape[0], columns * size[0] // values.shape[1]] = values[rows, columns]
    enlarged = cv2.dilate(points, np.ones((3, 3), np.uint8))
    return np.where(enlarged < 0, np.float32(np.nan), enlarged)


def _padded(cell: Image) -> Image:
    return cast(Image, cv2.copyMakeBorder(cell, 0, _GAP_PX, 0, _GAP_PX, cv2.BORDER_CONSTANT))


def _text_line(text: str, width: int) -> Image:
    """Returns (line height, width, 3): white text on black."""
    line = Pillow.new("RGB", (width, _LINE_PX))
    ImageDraw.Draw(line).text((2, _LINE_PX / 2), text, "white", ImageFont.load_default(_TEXT_PX), anchor="lm")
    return np.array(line)
