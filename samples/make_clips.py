"""Makes a contact sheet of clips: the middle frame of each beside its depth, by one model or by several.

python samples/make_clips.py sheet.jpg CLIP [CLIP ...] [--model before.safetensors --model nano]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import streamdepth as sd
from streamdepth import config, factory
from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.types import DepthKind
from streamdepth.render.colors import colorize, display_range

CELL_WIDTH, CELL_HEIGHT = 300, 200
GAP = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--model", action="append", help="a name or weights; each gives a column (default: nano)")
    options = parser.parse_args()
    cells = [_cell(clip, options.model or ["nano"]) for clip in options.clips]
    if len(cells) % 2:
        cells.append(np.full_like(cells[0], 255))
    rows = [np.hstack(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    cv2.imwrite(str(options.sheet), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _cell(clip: str, models: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Returns the middle frame and its depth by each model side by side, each scaled into one cell."""
    image = _middle_frame(clip, config.make())
    pictures = [image]
    for model in models:
        depth = sd.estimate(image, model).predicted_depth
        pictures.append(colorize(depth, DepthKind.RELATIVE, display_range(depth)))
    return np.hstack([_fit_into_cell(picture) for picture in pictures])


def _middle_frame(clip: str, settings: config.Settings) -> Image:
    """Returns the middle frame; frames are counted by decoding, since containers give wrong numbers."""
    return _frame(clip, settings, _frame_count(clip, settings) // 2)


def _frame_count(clip: str, settings: config.Settings) -> int:
    source = factory.make_source(clip, settings)
    source.open()
    try:
        count = 0
        while source.read() is not None:
            count += 1
        return count
    finally:
        source.close()


def _frame(clip: str, settings: config.Settings, index: int) -> Image:
    source = factory.make_source(clip, settings)
    source.open()
    try:
        for _ in range(index):
            source.read()
        frame = source.read()
    finally:
        source.close()
    if frame is None:
        raise SourceOpenError(f"'{clip}' has no frame {index}")
    return frame.image


def _fit_into_cell(picture: Image) -> npt.NDArray[np.uint8]:
    factor = min((CELL_WIDTH - GAP) / picture.shape[1], (CELL_HEIGHT - GAP) / picture.shape[0])
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    cell = np.full((CELL_HEIGHT, CELL_WIDTH, 3), 255, np.uint8)
    top, left = (CELL_HEIGHT - small.shape[0]) // 2, (CELL_WIDTH - small.shape[1]) // 2
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cell


if __name__ == "__main__":
    main()
