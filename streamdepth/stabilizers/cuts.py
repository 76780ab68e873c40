"""Scene cuts, found as they happen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.stages import Stabilizer
from streamdepth.types import DepthFrame, Image

GAP_SECONDS = 0.5
"""After a longer gap, or when the picture's size changes, nothing before counts any more."""


class CutDetector(Stabilizer):
    """Sets `cut` on the first frame of a new shot, the very first frame aside.

    A cut is a mean change of hue, saturation and value over `threshold` (0 to 255), as in PySceneDetect's content
    detector, that is also `ratio` times the recent average, so that fast motion is no cut. A gap of more than half a
    second, or a new picture size, counts as a cut too.
    """

    def __init__(self, threshold: float = 22.0, ratio: float = 3.0) -> None:
        self.threshold, self.ratio = threshold, ratio
        self.reset()

    def reset(self) -> None:
        self._before: tuple[npt.NDArray[np.float32], float, tuple[int, ...]] | None = None
        self._usual = 0.0

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        thumb, time, shape = _thumbnail(item.frame.image), item.frame.time, item.frame.image.shape
        before, self._before = self._before, (thumb, time, shape)
        if before is None:
            return [item]
        if shape != before[2] or not -GAP_SECONDS <= time - before[1] <= GAP_SECONDS:
            self._usual = 0.0
            return [replace(item, cut=True)]
        change = _distance(thumb, before[0])
        is_cut = change > max(self.threshold, self.ratio * self._usual)
        self._usual = 0.0 if is_cut else 0.8 * self._usual + 0.2 * change
        return [replace(item, cut=True)] if is_cut else [item]


def _thumbnail(image: Image) -> npt.NDArray[np.float32]:
    small = cv2.resize(image, (64, 36), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)


def _distance(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    difference = np.abs(a - b)
    difference[..., 0] = np.minimum(difference[..., 0], 180 - difference[..., 0])  # OpenCV's hue is a circle of 180
    return float(difference.mean())
