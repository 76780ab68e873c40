"""Pictures with measured or exact depth, read from folders.

A data set is a folder `NAME/rgb/*` and `NAME/depth/*.png` with the same stems. `index.json` beside the folders gives
`depth_scale`: metres = PNG value / scale, 0 = unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.errors import SourceOpenError
from streamdepth.types import DepthMap, Image


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture with its depth."""

    name: str
    image: Image
    """(H, W, 3) uint8 RGB."""
    depth: DepthMap
    """(H, W) float32 metres, NaN = unknown."""


def read_pairs(root: Path, name: str, border: int = 0) -> Iterator[Pair]:
    """The pairs of the set `name` in order; `border` px are cut away on each side.

    Raises SourceOpenError for a folder, an index or a picture that cannot be read.
    """
    scale = _scale(root, name)
    inside = (slice(border, -border or None),) * 2
    paths = sorted((root / name / "rgb").glob("*"))
    if not paths:
        raise SourceOpenError(f"there are no pictures in '{root / name / 'rgb'}'")
    for path in paths:
        image = _read(path, cv2.IMREAD_COLOR_RGB)[inside]
        raw = _read(root / name / "depth" / f"{path.stem}.png", cv2.IMREAD_UNCHANGED)[inside]
        depth = np.where(raw > 0, raw / np.float32(scale), np.nan).astype(np.float32)
        yield Pair(path.stem, np.ascontiguousarray(image, np.uint8), depth)


def _scale(root: Path, name: str) -> float:
    try:
        return float(json.loads((root / "index.json").read_text())[name]["depth_scale"])
    except (OSError, ValueError, KeyError) as error:
        raise SourceOpenError(
            f"'{root / 'index.json'}' does not tell the depth_scale of '{name}'; it needs "
            '{"NAME": {"depth_scale": 1000}} with metres = PNG value / depth_scale'
        ) from error


def _read(path: Path, mode: int) -> npt.NDArray[Any]:
    picture = cv2.imread(str(path), mode)
    if picture is None:
        raise SourceOpenError(f"cannot read the picture '{path}'")
    return picture
