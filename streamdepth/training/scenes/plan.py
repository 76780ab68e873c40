"""Which picture is rendered when, and the random numbers of each."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHARES: Mapping[str, float] = {"street": 0.35, "room": 0.35, "near": 0.12, "nature": 0.12, "abstract": 0.06}
"""Kind -> share of the pictures."""
VIEWS = 8
"""Views of one scene."""


@dataclass(frozen=True, slots=True)
class Job:
    """One scene and those of its views that are wanted."""

    kind: str
    scene: int
    views: range

    @property
    def name(self) -> str:
        """The data set's folder."""
        return f"scenes_{self.kind}"


def stem(scene: int, view: int) -> str:
    return f"{scene:05d}_{view}"


def plan(pictures: int, kinds: Sequence[str]) -> Iterator[Job]:
    """`pictures` in scenes of `VIEWS` views; at any time each kind has had its share, to within one scene."""
    total = sum(SHARES[kind] for kind in kinds)
    scenes = dict.fromkeys(kinds, 0)
    done = 0
    while done < pictures:
        kind = min(kinds, key=lambda k: (scenes[k] + 0.5) * total / SHARES[k])
        count = min(VIEWS, pictures - done)
        yield Job(kind, scenes[kind], range(count))
        scenes[kind] += 1
        done += count


def scene_rng(seed: int, kind: str, scene: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), scene])


def view_rng(seed: int, kind: str, scene: int, view: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), scene, view + 1])
