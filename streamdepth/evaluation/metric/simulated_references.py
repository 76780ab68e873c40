"""The metric references that a user may give, simulated with the ground truth of a dataset.

A new one is one subclass of `SimulatedReference` and one line in `SIMULATED_REFERENCES`; it becomes one row of each set
that it applies to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame
from streamdepth.evaluation.datasets import DepthDataset, ImageDepthPair
from streamdepth.evaluation.metric.cameras import dataset_camera
from streamdepth.evaluation.metric.true_floor import TrueFloor, find_true_floor
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.projection import ASSUMED_FOV
from streamdepth.stabilizers.anchor_reference import AnchorReference
from streamdepth.stabilizers.floor_reference import FloorReference
from streamdepth.stabilizers.metric import MetricReference
from streamdepth.stabilizers.point_references import SparseDepthReference

_USUAL_HEIGHT_M, _LOWEST_FLOOR_M = 1.4, 0.3
"""Height of a camera whose picture shows no floor, and the least height above what counts as one."""
_SEEN_SHARE, _UNSEEN_SHARE = 0.125, 0.03
"""Share of a picture above which a floor counts as visible (a quarter of the lower half), and below which as not."""


class SimulatedReference(ABC):
    """A reference that a user may give for one dataset: one object for a video, one for each of single pictures."""

    def __init__(self, data: DepthDataset, camera: Intrinsics | None) -> None:
        self.data, self.camera = data, camera or dataset_camera(data.folder)

    @classmethod
    def applies_to(cls, data: DepthDataset) -> bool:
        """True if this reference makes sense for the dataset."""
        return True

    @abstractmethod
    def make_reference(self, pair: ImageDepthPair) -> MetricReference | None:
        """Returns the reference that a user would give for the stream that begins with `pair`; None without one."""

    def observe(self, index: int, pair: ImageDepthPair) -> None:
        """Gets the truth of each frame before the frame is converted."""

    def has_evidence(self, pair: ImageDepthPair) -> bool | None:
        """Returns True if this reference is visible in the truth, False if meters must be refused.

        None: refusing is right if the error of the meters would have been too large.
        """
        return None


class SimulatedSparseDepth(SimulatedReference):
    """A sensor gives the depth of every frame, as `--sparse %06d.png` does."""

    every = 1
    """The sensor gives depth in every `every`th frame."""

    def make_reference(self, pair: ImageDepthPair) -> MetricReference | None:
        self._newest: tuple[int, DepthMap] | None = None
        return SparseDepthReference(self._read)

    def observe(self, index: int, pair: ImageDepthPair) -> None:
        if index % self.every == 0:
            self._newest = index, pair.depth

    def _read(self, frame: Frame) -> DepthMap | None:
        return self._newest[1] if self._newest and self._newest[0] == frame.index else None


class SimulatedRareSparseDepth(SimulatedSparseDepth):
    """A sensor gives depth in every 30th frame only."""

    every = 30

    @classmethod
    def applies_to(cls, data: DepthDataset) -> bool:
        return data.is_video


class SimulatedAnchors(SimulatedReference):
    """Three measured points of the first frame, as `--anchor` gives them: a near one, a far one, one in between."""

    def make_reference(self, pair: ImageDepthPair) -> MetricReference | None:
        points = three_anchors(pair.depth)
        size = pair.depth.shape[1], pair.depth.shape[0]
        return None if points is None else AnchorReference(points, size=size)


def three_anchors(truth_m: DepthMap) -> Floats | None:
    """Returns (3, 3) x, y, meters of points whose distances are about the 10th, 50th and 90th percentile of the truth.

    Their surroundings of 7x7 px are known and smooth where the truth is dense. None where nothing is known.
    """
    known = np.isfinite(truth_m) & (truth_m > 0)
    if not known.any():
        return None
    rows, columns = np.nonzero(_smooth_parts(np.where(known, truth_m, np.float32(0))))
    if not len(rows):
        rows, columns = np.nonzero(known)
    meters = truth_m[rows, columns]
    chosen = [int(np.abs(meters - wanted).argmin()) for wanted in np.percentile(truth_m[known], (10, 50, 90))]
    return np.stack([columns[chosen], rows[chosen], meters[chosen]], axis=1).astype(np.float64)


def _smooth_parts(filled: DepthMap) -> Mask:
    """Returns (H, W): True where a map, 0 where unknown, changes by less than 5 % within 7x7 px inside the picture."""
    window = np.ones((7, 7), np.uint8)
    low, high = cv2.erode(filled, window), cv2.dilate(filled, window)
    is_smooth = np.zeros(filled.shape, np.bool_)
    inside = (slice(4, -4), slice(4, -4))
    is_smooth[inside] = ((low > 0) & (high < 1.05 * low))[inside]
    return is_smooth


class SimulatedCameraHeight(SimulatedReference):
    """The height of the camera above the floor is known, as `--camera-height` gives it.

    It is the height in each frame's truth. If no floor is visible, it is the last or the usual height, and meters
    should be refused.
    """

    has_pitch = False

    def __init__(self, data: DepthDataset, camera: Intrinsics | None) -> None:
        super().__init__(data, camera)
        self._reference = FloorReference(_USUAL_HEIGHT_M)
        self._newest: tuple[ImageDepthPair, TrueFloor | None] | None = None

    def make_reference(self, pair: ImageDepthPair) -> MetricReference | None:
        return self._reference

    def observe(self, index: int, pair: ImageDepthPair) -> None:
        floor = self._floor(pair)
        if floor is not None and floor.share > _UNSEEN_SHARE:
            self._reference.height_m = floor.height_m
            self._reference.pitch_degrees = floor.pitch_degrees if self.has_pitch else None

    def has_evidence(self, pair: ImageDepthPair) -> bool | None:
        floor = self._floor(pair)
        share = 0.0 if floor is None else floor.share
        return True if share > _SEEN_SHARE else False if share < _UNSEEN_SHARE else None

    def _floor(self, pair: ImageDepthPair) -> TrueFloor | None:
        if self._newest is None or self._newest[0] is not pair:
            height, width = pair.depth.shape
            camera = self.camera or Intrinsics.from_fov(ASSUMED_FOV, width, height)
            found = find_true_floor(pair.depth, camera)
            is_high = found is not None and found.height_m > _LOWEST_FLOOR_M
            self._newest = pair, found if is_high else None
        return self._newest[1]


class SimulatedCameraHeightAndPitch(SimulatedCameraHeight):
    """The height and the pitch of the camera are known, as `--camera-height` and `--camera-pitch` give them."""

    has_pitch = True


SIMULATED_REFERENCES: dict[str, type[SimulatedReference]] = {
    "sparse": SimulatedSparseDepth,
    "sparse-30": SimulatedRareSparseDepth,
    "anchors": SimulatedAnchors,
    "camera-height": SimulatedCameraHeight,
    "camera-height-and-pitch": SimulatedCameraHeightAndPitch,
}
"""Name in tables and of `--reference` -> class."""


def applicable_references(data: DepthDataset, names: tuple[str, ...] = ()) -> list[str]:
    """Returns the names of the references that apply to a dataset, all or of those in `names`."""
    return [
        name for name, kind in SIMULATED_REFERENCES.items() if (not names or name in names) and kind.applies_to(data)
    ]
