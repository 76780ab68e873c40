"""The order in which pictures are rendered, and the random numbers of each."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHARES: Mapping[str, float] = {"street": 0.35, "room": 0.35, "near": 0.12, "nature": 0.12, "abstract": 0.06}
"""Kind of scene -> share of the pictures."""
VIEWS = 8
"""Number of views of one scene."""


@dataclass(frozen=True, slots=True)
class SceneViews:
    """The views of one scene that are rendered."""

    kind: str
    scene_index: int
    views: range

    @property
    def name(self) -> str:
        """Name of the dataset's folder."""
        return f"scenes_{self.kind}"


def picture_stem(scene_index: int, view: int) -> str:
    """Returns the picture's file name without its suffix."""
    return f"{scene_index:05d}_{view}"


def plan(pictures: int, kinds: Sequence[str]) -> Iterator[SceneViews]:
    """Yields scenes of VIEWS views each for `pictures` pictures; each kind always has its share, to within a scene."""
    total = sum(SHARES[kind] for kind in kinds)
    scenes = dict.fromkeys(kinds, 0)
    done = 0
    while done < pictures:
        kind = min(kinds, key=lambda k: (scenes[k] + 0.5) * total / SHARES[k])
        count = min(VIEWS, pictures - done)
        yield SceneViews(kind, scenes[kind], range(count))
        scenes[kind] += 1
        done += count


def scene_rng(seed: int, kind: str, scene_index: int) -> np.random.Generator:
    """Returns the random generator of a scene."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), scene_index])


def view_rng(seed: int, kind: str, scene_index: int, view: int) -> np.random.Generator:
    """Returns the random generator of a view."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), scene_index, view + 1])
