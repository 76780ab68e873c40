"""Reduction of samples of 16 bits or floating point to 8 bits, by the part of their range that is in use."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

_WHOLE_RANGES = (0, 65535), (0, 255), (0, 1)
"""Levels of pictures that use all of their bits; shown in 8 bits, they look the same."""
_BITS = 8, 10, 12, 14, 16
_FLOAT_TOPS = 1.0, 255.0, 65535.0
"""Levels of white in pictures of floating point: of the usual kind, and of those that were converted from integers."""
_MAX_EXAMINED = 1 << 18
"""Samples of a picture that are looked at, spread over all of it."""
_OUTLIERS_PERCENT = 0.05
"""Share of samples at either end that may be defects of a sensor, such as hot and dead pixels."""
_MAX_OUTSIDE = 0.01
"""Share of a later picture's samples that may be out of range before the range is widened."""


class SampleLevels:
    """The range of levels that pictures of more than 8 bits are stretched from; the first picture sets it.

    Cameras put 10, 12 or 14 bits into 16, and a thermal camera's counts fill a small part of them. All pictures of a
    sequence share one range, so that none of them flickers; it is widened where a later picture does not fit into it.

    Args:
        known: the range (black, white) where it is known beforehand.
        bits: of each integer, as the file states them; 16 may hold fewer.
    """

    def __init__(self, known: tuple[float, float] | None = None, *, bits: int = 16) -> None:
        self.bits = bits
        self.range = known
        """(black, white), None before the first such picture."""

    def fit(self, samples: npt.NDArray[Any], *, is_color: bool = False) -> tuple[float, float]:
        """Returns the range (black, white) that `samples` of any shape, NaN where unknown, are to be stretched from.

        It is 0 to the largest number of the stated bits, or of 8, 10, 12, 14 or 16 where those are 16, that holds the
        samples; in floating point 0 to 1.0, 255 or 65535. Where gray fills less than a quarter of that, it is its own
        range, except within 8 bits or 1.0. Single pixels that differ much from all others do not count.
        A picture of one level says nothing about those that follow.
        """
        flat = samples.reshape(-1)
        known = flat[:: max(1, flat.size // _MAX_EXAMINED)]
        known = known[np.isfinite(known)]
        if self.range is not None:
            low, high = self.range
            if not known.size or np.mean((known < low) | (known > high)) <= _MAX_OUTSIDE:
                return self.range
        found = _range_of(known, is_color, self.bits)
        if self.range is not None:
            found = _widened(self.range, found)
        if self.range is not None or (known.size and known.min() < known.max()):
            self.range = found
        return found

    def notice(self, name: str) -> str | None:
        """Returns a sentence that says how the picture `name` was stretched; None where it was not."""
        if self.range is None or self.range in (*_WHOLE_RANGES, (0, 2**self.bits - 1)):
            return None
        black, white = self.range
        return f"the levels {black:g} to {white:g} of {name} are stretched to all of 8 bits"


def to_eight_bits(samples: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Returns the levels `low`..`high` as 0..255, uint8 of the same shape; NaN becomes black."""
    if samples.dtype == np.uint16:
        return np.asarray(_table(low, high)[samples], np.uint8)
    return _scale(samples, low, high)


@lru_cache(maxsize=8)
def _table(low: float, high: float) -> npt.NDArray[np.uint8]:
    """Returns (65536,) the 8 bits of each sample of 16 bits."""
    return _scale(np.arange(2**16), low, high)


def _scale(samples: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    scaled = (samples.astype(np.float64) - low) * (255 / (high - low)) + 0.5
    return np.nan_to_num(np.clip(scaled, 0, 255)).astype(np.uint8)


def _range_of(known: npt.NDArray[Any], is_color: bool, bits: int) -> tuple[float, float]:
    low, high = _limits(known) if known.size else (0.0, 1.0)
    low = min(low, 0.0) if is_color else low
    is_float = known.dtype.kind == "f"
    tops = _FLOAT_TOPS if is_float else [2.0**held - 1 for held in (_BITS if bits == 16 else (bits,))]
    top = next((top for top in tops if high <= top), high)
    is_narrow = top > (1 if is_float else 255) and 0 < high - low < top / 4
    return (low, high) if is_narrow or low < 0 else (0.0, top)


def _limits(known: npt.NDArray[Any]) -> tuple[float, float]:
    """Returns the smallest and the largest sample, without the few that lie far from all others."""
    ends = [_OUTLIERS_PERCENT, 100 - _OUTLIERS_PERCENT]
    low, high = (float(value) for value in np.percentile(known, ends, method="nearest"))
    smallest, largest, margin = float(known.min()), float(known.max()), (high - low) / 4
    return (smallest if low - smallest <= margin else low), (largest if largest - high <= margin else high)


def _widened(old: tuple[float, float], new: tuple[float, float]) -> tuple[float, float]:
    """Returns a range that holds both, with room beyond limits that are not those of a number of bits."""
    low, high = min(old[0], new[0]), max(old[1], new[1])
    is_whole = low == 0 and high in (1.0, *(2.0**bits - 1 for bits in _BITS))
    room = 0 if is_whole else (high - low) / 4
    return (max(0.0, low - room) if low > 0 else low), high + room
