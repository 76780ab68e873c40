"""Random draws that all builders of scenes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Rng = np.random.Generator


def choose(rng: Rng, choices: Sequence[T]) -> T:
    """Returns one of the choices at random."""
    return choices[int(rng.integers(len(choices)))]


def chance(rng: Rng, probability: float) -> bool:
    """Returns True with this probability."""
    return bool(rng.random() < probability)
