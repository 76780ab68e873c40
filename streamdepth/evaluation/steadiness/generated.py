"""Synthetic sequences with exact depth and with events that are rare in footage and difficult for smoothing.

Each shows a box before a leaning wall, both textured so that optical flow can follow them, at 30 frames a second. The
simulated depth of a network is the exact inverse depth, in a unit of its own, with noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.interfaces import Source
from streamdepth.core.types import DepthKind, Frame, StreamInfo
from streamdepth.evaluation.steadiness.baselines import DepthNoise
from streamdepth.evaluation.steadiness.compare import StabilizerComparison
from streamdepth.evaluation.steadiness.inputs import DepthSequence
from streamdepth.evaluation.steadiness.score import TruthOptions

_WIDTH, _HEIGHT, _BOX = 320, 240, 90
_COUNT, _MIDDLE = 60, 30
_TICK = Fraction(1, 30)
_NEAR, _FAR, _LEAN = 1.0, 0.25, 0.1
"""Inverse depth (1 / m) of the box and of the wall's top, and the difference at the wall's bottom."""
_NOISE = 0.5
"""Amount of `DepthNoise` in every sequence."""
_OUTLIER_SHARES = 0.0005, 0.01
"""Smallest and largest share of a frame's pixels that are outliers in the sequence "snow"."""


@dataclass(slots=True)
class SyntheticSequence:
    """A generated clip with exact depth.

    A simulated network's noisy depth and a stabilizer comparison are made from it. All lists have one item per frame.
    """

    name: str
    ticks: list[int] = field(default_factory=list)
    """Time of each frame, in thirtieths of a second."""
    images: list[Image] = field(default_factory=list)
    """(240, 320, 3) uint8 RGB."""
    inverse: list[DepthMap] = field(default_factory=list)
    """(240, 320) float32, 1 / m, exact."""
    cuts: frozenset[int] = frozenset()
    """Indices of the first frames of shots, without the first shot's."""
    has_outliers: bool = False
    """True if the network's depth has outliers."""

    def add(self, tick: int, image: Image, inverse: DepthMap) -> None:
        """Adds a frame."""
        self.ticks.append(tick)
        self.images.append(np.ascontiguousarray(image))
        self.inverse.append(inverse)

    def estimated(self) -> Iterator[DepthMap]:
        """Yields the depth of a simulated network: relative, noisy, the same at every reading."""
        noise, rng = DepthNoise(amount=_NOISE), np.random.default_rng(7)
        for inverse in self.inverse:
            depth = noise(inverse)
            if self.has_outliers:
                outliers = rng.random(depth.shape) < rng.uniform(*_OUTLIER_SHARES)
                depth[outliers] = rng.uniform(0, 1.5 * _NEAR, int(outliers.sum()))
            yield depth

    def comparison(self) -> StabilizerComparison:
        """Returns the comparison of stabilizers on this sequence."""
        raw = DepthSequence("raw", DepthKind.RELATIVE, self.estimated, has_known_unit=True)
        truth = DepthSequence("truth", DepthKind.METRIC, lambda: (np.reciprocal(i) for i in self.inverse))
        return StabilizerComparison(
            f"generated: {self.name}", lambda: SyntheticSequenceSource(self), raw, truth, TruthOptions(), self.cuts
        )


class SyntheticSequenceSource(Source):
    """A source of a synthetic sequence's pictures."""

    def __init__(self, sequence: SyntheticSequence) -> None:
        super().__init__()
        self.sequence = sequence
        self._next = 0

    def open(self) -> StreamInfo:
        self._next = 0
        count = len(self.sequence.images)
        return StreamInfo(self.sequence.name, _WIDTH, _HEIGHT, fps=1 / _TICK, frame_count=count, time_base=_TICK)

    def read(self) -> Frame | None:
        if self._next == len(self.sequence.images):
            return None
        index, self._next = self._next, self._next + 1
        image, tick = self.sequence.images[index], self.sequence.ticks[index]
        return Frame(image, index, tick, _TICK, time.monotonic(), self.sequence.name)

    def close(self) -> None:
        self._next = 0
        super().close()


def synthetic_sequences() -> list[SyntheticSequence]:
    """Returns all sequences, always the same: from static scenes to dropped and duplicated frames."""
    makers: dict[str, Callable[[SyntheticSequence], None]] = {
        "static": _static,
        "snow": _static,
        "moving box": _moving,
        "zoom": _zoom,
        "cut": _cut,
        "flash": _flash,
        "fade": _fade,
        "dropped": _dropped,
        "duplicated": _duplicated,
    }
    made = []
    for name, make in makers.items():
        sequence = SyntheticSequence(name, has_outliers=name == "snow")
        make(sequence)
        made.append(sequence)
    return made


def _texture(seed: int, width: int, height: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _scene(seed: int, left: int, top: int = 80) -> tuple[Image, DepthMap]:
    """Returns picture and inverse depth, the box's upper left corner at (left, top); `seed` chooses the textures."""
    image = _texture(seed, _WIDTH, _HEIGHT) // 2
    depth = np.repeat(np.linspace(_FAR, _FAR + _LEAN, _HEIGHT, dtype=np.float32)[:, None], _WIDTH, axis=1)
    box = slice(top, top + _BOX), slice(left, left + _BOX)
    image[box] = _texture(seed + 1, _BOX, _BOX) // 2 + 128
    depth[box] = _NEAR
    return image, depth


def _static(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 120))


def _moving(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 10 + 3 * i))


def _zoom(sequence: SyntheticSequence) -> None:
    image, depth = _scene(1, 120)
    for i in range(_COUNT):
        matrix = cv2.getRotationMatrix2D((_WIDTH / 2, _HEIGHT / 2), 0, 1.01**i)
        larger = cv2.warpAffine(image, matrix, (_WIDTH, _HEIGHT))
        widened = cv2.warpAffine(depth, matrix, (_WIDTH, _HEIGHT))
        sequence.add(i, np.asarray(larger, np.uint8), np.asarray(widened, np.float32))


def _cut(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *(_scene(1, 60) if i < _MIDDLE else _scene(11, 200, 20)))
    sequence.cuts = frozenset({_MIDDLE})


def _flash(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        image, depth = _scene(1, 10 + 3 * i)
        bright = np.clip(image.astype(np.int16) + 200, 0, 255).astype(np.uint8)
        sequence.add(i, bright if i in (_MIDDLE, _MIDDLE + 1) else image, depth)


def _fade(sequence: SyntheticSequence) -> None:
    """Fades to black and back."""
    for i in range(_COUNT):
        image, depth = _scene(1, 10 + 3 * i)
        light = min(1.0, abs(i - _MIDDLE) / 12)
        sequence.add(i, (image * light).astype(np.uint8), depth)


def _dropped(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        if i % 5 not in (2, 3):
            sequence.add(i, *_scene(1, 10 + 3 * i))


def _duplicated(sequence: SyntheticSequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 10 + 3 * (i - i % 3)))
