"""Sequences with exact depth, made on the spot: what footage seldom has, and where smoothing goes wrong.

A box before a wall that leans, both textured so that optical flow can follow, at 30 frames a second. The depth that a
network would have given is the exact inverse depth, in a unit of its own, with noise.
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
from streamdepth.evaluation.steadiness.baselines import Jitter
from streamdepth.evaluation.steadiness.compare import Job
from streamdepth.evaluation.steadiness.inputs import DepthClip
from streamdepth.evaluation.steadiness.score import Truth

_WIDTH, _HEIGHT, _BOX = 320, 240, 90
_COUNT, _MIDDLE = 60, 30
_TICK = Fraction(1, 30)
_NEAR, _FAR, _LEAN = 1.0, 0.25, 0.1
"""Inverse depth (1 / m) of the box and of the wall's top, and how much nearer its bottom is."""
_NOISE = 0.5
"""Of `Jitter`'s, in every sequence."""
_SNOW = 0.0005, 0.01
"""Least and largest share of a frame's pixels that are outliers."""


@dataclass(slots=True)
class Sequence:
    """Pictures, exact depth and what a network made of it; all lists have one item per frame."""

    name: str
    ticks: list[int] = field(default_factory=list)
    """Time of each frame, in thirtieths of a second."""
    images: list[Image] = field(default_factory=list)
    """(240, 320, 3) uint8 RGB."""
    inverse: list[DepthMap] = field(default_factory=list)
    """(240, 320) float32, 1 / m, exact."""
    cuts: frozenset[int] = frozenset()
    """Numbers of the frames that begin a shot, the first frame aside."""
    snow: bool = False
    """Whether the network's depth has outliers."""

    def add(self, tick: int, image: Image, inverse: DepthMap) -> None:
        """One more frame."""
        self.ticks.append(tick)
        self.images.append(np.ascontiguousarray(image))
        self.inverse.append(inverse)

    def estimated(self) -> Iterator[DepthMap]:
        """What a network would have given: relative, noisy, the same at every reading."""
        jitter, rng = Jitter(amount=_NOISE), np.random.default_rng(7)
        for inverse in self.inverse:
            depth = jitter(inverse)
            if self.snow:
                flakes = rng.random(depth.shape) < rng.uniform(*_SNOW)
                depth[flakes] = rng.uniform(0, 1.5 * _NEAR, int(flakes.sum()))
            yield depth

    def job(self) -> Job:
        """For the comparison of `steadiness`."""
        raw = DepthClip("raw", DepthKind.RELATIVE, self.estimated, has_known_unit=True)
        truth = DepthClip("truth", DepthKind.METRIC, lambda: (np.reciprocal(i) for i in self.inverse))
        return Job(f"generated: {self.name}", lambda: SequenceSource(self), raw, truth, Truth(), self.cuts)


class SequenceSource(Source):
    """The pictures of a sequence."""

    def __init__(self, sequence: Sequence) -> None:
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


def sequences() -> list[Sequence]:
    """static, snow, moving box, zoom, cut, flash, fade, dropped frames and duplicated frames; always the same."""
    makers: dict[str, Callable[[Sequence], None]] = {
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
        sequence = Sequence(name, snow=name == "snow")
        make(sequence)
        made.append(sequence)
    return made


def _texture(seed: int, width: int, height: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _scene(seed: int, left: int, top: int = 80) -> tuple[Image, DepthMap]:
    """The box with its upper left corner at (left, top); `seed` chooses the textures."""
    image = _texture(seed, _WIDTH, _HEIGHT) // 2
    depth = np.repeat(np.linspace(_FAR, _FAR + _LEAN, _HEIGHT, dtype=np.float32)[:, None], _WIDTH, axis=1)
    box = slice(top, top + _BOX), slice(left, left + _BOX)
    image[box] = _texture(seed + 1, _BOX, _BOX) // 2 + 128
    depth[box] = _NEAR
    return image, depth


def _static(sequence: Sequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 120))


def _moving(sequence: Sequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 10 + 3 * i))


def _zoom(sequence: Sequence) -> None:
    image, depth = _scene(1, 120)
    for i in range(_COUNT):
        matrix = cv2.getRotationMatrix2D((_WIDTH / 2, _HEIGHT / 2), 0, 1.01**i)
        larger = cv2.warpAffine(image, matrix, (_WIDTH, _HEIGHT))
        widened = cv2.warpAffine(depth, matrix, (_WIDTH, _HEIGHT))
        sequence.add(i, np.asarray(larger, np.uint8), np.asarray(widened, np.float32))


def _cut(sequence: Sequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *(_scene(1, 60) if i < _MIDDLE else _scene(11, 200, 20)))
    sequence.cuts = frozenset({_MIDDLE})


def _flash(sequence: Sequence) -> None:
    for i in range(_COUNT):
        image, depth = _scene(1, 10 + 3 * i)
        bright = np.clip(image.astype(np.int16) + 200, 0, 255).astype(np.uint8)
        sequence.add(i, bright if i in (_MIDDLE, _MIDDLE + 1) else image, depth)


def _fade(sequence: Sequence) -> None:
    """To black and back."""
    for i in range(_COUNT):
        image, depth = _scene(1, 10 + 3 * i)
        light = min(1.0, abs(i - _MIDDLE) / 12)
        sequence.add(i, (image * light).astype(np.uint8), depth)


def _dropped(sequence: Sequence) -> None:
    for i in range(_COUNT):
        if i % 5 not in (2, 3):
            sequence.add(i, *_scene(1, 10 + 3 * i))


def _duplicated(sequence: Sequence) -> None:
    for i in range(_COUNT):
        sequence.add(i, *_scene(1, 10 + 3 * (i - i % 3)))
