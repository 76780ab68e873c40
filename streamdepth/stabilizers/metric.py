"""Relative depth becomes metric where the user knows distances: the last stage before the range to display."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Stabilizer, announce
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, Image
from streamdepth.geometry.boards import Board, depth_of_corners
from streamdepth.geometry.ground import floor_slope
from streamdepth.geometry.metric_fit import Fit, ends_of, fit_points, inverse_of, to_meters, usual_shift
from streamdepth.geometry.points import ASSUMED_FOV, camera_of, rays

Floats = npt.NDArray[np.float64]
Known = npt.NDArray[np.float64]
"""(N, 3): x and y in px of the picture, metres along z."""
_REFRESH_SECONDS = 0.5


class Reference(ABC):
    """What tells metres in a frame."""

    name = ""
    """For messages."""
    caveat = ""
    """What a user should know of metres from it."""

    @abstractmethod
    def fit(self, item: DepthFrame, inverse: DepthMap) -> Fit | None:
        """From this frame alone; None where it cannot be seen in it. inverse: (h, w), see `metric.inverse_of`."""

    def reset(self) -> None:
        """Forgets the stream."""


class MetricFit(Stabilizer):
    """Fits scale and shift of inverse depth to a reference, and gives metres along z.

    The fit of a shot is reused where its reference cannot be seen, and follows a new one over `seconds`; a cut forgets
    it. Without a fit depth is unknown (NaN): relative values never pass for metres. `notices` tell the residual.
    """

    def __init__(self, reference: Reference, seconds: float = 2.0) -> None:
        self.reference, self.seconds = reference, seconds
        self._notices: list[str] = []
        self.reset()

    def reset(self) -> None:
        self._fit: Fit | None = None
        self._fitted_at = -math.inf
        self._has_told = self._has_missed = False
        self.reference.reset()

    def kind_of(self, kind: DepthKind) -> DepthKind:
        return DepthKind.METRIC

    @property
    def notices(self) -> Sequence[str]:
        return self._notices

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        inverse = inverse_of(item.depth, item.kind)
        if item.cut:
            self._fit = None
        if self._fit is None or not 0 <= item.frame.time - self._fitted_at < _REFRESH_SECONDS:
            self._refresh(item, inverse)
        if self._fit is None:
            self._miss(item)
            return [replace(item, depth=np.full_like(inverse, np.nan), kind=DepthKind.METRIC)]
        metric_fit = self._fit.scale, self._fit.shift
        return [replace(item, depth=to_meters(inverse, self._fit), kind=DepthKind.METRIC, metric_fit=metric_fit)]

    def _refresh(self, item: DepthFrame, inverse: DepthMap) -> None:
        fresh = self.reference.fit(item, inverse)
        if fresh is None:
            return
        if self._fit is None:
            self._tell(fresh)
            self._fit = fresh
        else:
            gain = 1 - math.exp(-abs(item.frame.time - self._fitted_at) / self.seconds)
            scale, shift = (old + gain * (new - old) for old, new in zip(self._fit[:2], fresh[:2], strict=True))
            self._fit = fresh._replace(scale=scale, shift=shift)
        self._fitted_at = item.frame.time

    def _tell(self, fit: Fit) -> None:
        if not self._has_told:
            self._has_told = True
            points = f"{fit.points} point{'s' * (fit.points > 1)}"
            few = "; three points or more tell scale and shift apart, with fewer the shift is guessed"
            announce(
                f"metres from {self.reference.name}: median residual {fit.residual:.1%} at {points} "
                f"(1/m = {fit.scale:.4g} x + {fit.shift:.4g}){few * (fit.points < 3)}{self.reference.caveat}",
                self._notices,
            )

    def _miss(self, item: DepthFrame) -> None:
        if not self._has_missed:
            self._has_missed = True
            announce(
                f"no metres from frame {item.frame.index} on until {self.reference.name} can be seen: depth is unknown",
                self._notices,
            )


class Points(Reference):
    """Distances measured at places of the picture, of the first frame and of all that show the same view.

    Where something else stands in front of a point, it does not count.

    Args:
        known: (N, 3) x, y in px and metres.
        size: (width, height) of what these px are of; None: of the picture. Another one is scaled to the picture's.
    """

    def __init__(self, known: Known, name: str = "the anchors", *, size: tuple[int, int] | None = None) -> None:
        self.known, self.name, self.size = known, name, size
        self.reset()

    def reset(self) -> None:
        self._view: npt.NDArray[np.float32] | None = None

    def fit(self, item: DepthFrame, inverse: DepthMap) -> Fit | None:
        picture = np.array(item.frame.size)
        measured = np.array(self.size or item.frame.size)
        if not ((self.known[:, :2] >= 0) & (self.known[:, :2] <= measured - 1)).all():
            raise ConfigError(f"{self.name} lie outside of the picture of {measured[0]}x{measured[1]} px")
        known = self.known.copy()
        known[:, :2] = (known[:, :2] + 0.5) * picture / measured - 0.5
        view = _thumbnail(item.frame.image)
        if self._view is None:
            self._view = view
        away = np.abs(view - np.median(view) - (self._view - np.median(self._view)))
        if np.median(away) > 0.03:
            return None
        rows, columns = view.shape
        cell = (known[:, :2] / picture * (columns, rows)).astype(int)
        seen = away[cell[:, 1], cell[:, 0]] < 0.12
        return fit_known(item, inverse, known[seen])


class SparseDepth(Reference):
    """A sensor's depth for each frame: `read` gives (H, W) metres by the frame's index, NaN = unknown, or None."""

    name = "the sparse depth"

    def __init__(self, read: Callable[[int], DepthMap | None]) -> None:
        self.read = read

    def fit(self, item: DepthFrame, inverse: DepthMap) -> Fit | None:
        depth = self.read(item.frame.index)
        return None if depth is None else fit_known(item, inverse, known_of(depth, item.frame.size[::-1]))


class BoardInView(Reference):
    """A board of known size; the camera must be known."""

    def __init__(self, board: Board) -> None:
        self.board, self.name = board, "the board"

    def fit(self, item: DepthFrame, inverse: DepthMap) -> Fit | None:
        if item.intrinsics is None:
            raise ConfigError("a board tells metres to a known camera only; add --fov or --camera-info")
        corners = self.board.find(item.frame.image)
        depth = None if corners is None else depth_of_corners(corners, item.intrinsics)
        if corners is None or depth is None:
            return None
        return fit_known(item, inverse, np.column_stack([corners.in_picture_px, depth]))


class FloorBelow(Reference):
    """The floor, seen by a camera `height_m` above it; an unknown camera is taken as `geometry.camera_of` does.

    On a plane, 1 / z is linear in the picture (n . ray / height). That fixes the scale; the shift of relative depth
    follows from `pitch`, the degrees by which the camera looks down, or without it from what pictures usually show
    (`metric.USUAL_RATIO`). The pitch is exact for exact depth, but multiplies the errors of a small model's floor.
    """

    name = "the floor"

    def __init__(self, height_m: float, pitch: float | None = None) -> None:
        self.height_m, self.pitch = height_m, pitch
        self._is_camera_known = True
        if pitch is None:
            self.caveat = "; the shift is guessed from what pictures usually show"

    def fit(self, item: DepthFrame, inverse: DepthMap) -> Fit | None:
        if item.intrinsics is None and self._is_camera_known:
            self._is_camera_known = False
            self.caveat += (
                f"; the camera is unknown: {ASSUMED_FOV:g} degrees are assumed; --fov or --camera-info tells it"
            )
        ends, floor = ends_of(inverse), floor_slope(inverse, rays(camera_of(item), *inverse.shape[::-1]))
        if ends is None or floor is None:
            return None
        across, down, level, off, middle, count = floor
        shift = 0.0
        if item.kind is DepthKind.RELATIVE:
            steep = math.hypot(across, down)
            shift = usual_shift(ends) if self.pitch is None else math.tan(math.radians(self.pitch)) * steep - level
        length = math.hypot(across, down, level + shift)
        scale = 1 / (self.height_m * length)
        return Fit(scale, scale * shift, off / max(middle + shift, 1e-9), count)


def fit_known(item: DepthFrame, inverse: DepthMap, known: Known) -> Fit | None:
    """The fit through (N, 3) x, y in px of the picture and metres."""
    ends = ends_of(inverse)
    if ends is None or not len(known):
        return None
    width, height = item.frame.size
    rows, columns = inverse.shape
    x = (known[:, 0] + 0.5) * columns / width - 0.5
    y = (known[:, 1] + 0.5) * rows / height - 0.5
    values = _sampled(inverse, x, y)
    return fit_points(values, known[:, 2], ends, item.kind)


def known_of(depth_m: DepthMap, shape: tuple[int, ...], most: int = 5000) -> Known:
    """Of a depth map of any size, at most so many pixels evenly chosen, as places in a picture of `shape`."""
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m > 0))
    step = max(1, len(rows) // most)
    rows, columns = rows[::step], columns[::step]
    x = (columns + 0.5) * shape[1] / depth_m.shape[1] - 0.5
    y = (rows + 0.5) * shape[0] / depth_m.shape[0] - 0.5
    return np.column_stack([x, y, depth_m[rows, columns]]).astype(np.float64)


def _sampled(values: DepthMap, x: Floats, y: Floats) -> Floats:
    """(N,) the median of 3x3 px, which an edge beside the point does not bend."""
    padded = np.pad(values, 1, mode="edge")
    column = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    around = np.stack([padded[row + i, column + j] for i in range(3) for j in range(3)])
    return np.asarray(np.median(around, axis=0), np.float64)


def _thumbnail(image: Image) -> npt.NDArray[np.float32]:
    """(24, 32) brightness, 0 to 1."""
    small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
