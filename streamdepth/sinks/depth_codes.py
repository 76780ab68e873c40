"""Depth in 16 bits: logarithmic for metres, linear for relative depth. Code 0 is unknown in both."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap

Codes = npt.NDArray[np.uint16]

UNKNOWN = 0
FAR = 65535
"""Metric depth only: +inf, nothing was hit."""
_STEPS = 65533
"""The codes 1 to 65534 are values."""


def encode_log16(depth: DepthMap, near_m: float = 0.1, far_m: float = 200.0) -> Codes:
    """Metres as 1 + round(65533 ln(d / near) / ln(far / near)): the same relative step everywhere.

    NaN and what is not above 0 become 0, +inf becomes 65535; values outside [near_m, far_m] take the nearest end. The
    relative error within is at most ln(far / near) / 131066, 5.8e-5 for 0.1 to 200 m.
    """
    known = depth > 0
    clipped = np.clip(np.where(known, depth, np.float32(near_m)), near_m, far_m)
    scale = _STEPS / math.log(far_m / near_m)
    codes = 1 + np.rint(np.log(clipped.astype(np.float64) / near_m) * scale)
    codes[np.isposinf(depth)] = FAR
    return np.where(known, codes, UNKNOWN).astype(np.uint16)


def decode_log16(codes: Codes, near_m: float = 0.1, far_m: float = 200.0) -> DepthMap:
    """Metres, float32: the inverse of `encode_log16`; 0 becomes NaN, 65535 becomes +inf."""
    return _log16_table(near_m, far_m)[codes]


@lru_cache(maxsize=4)
def _log16_table(near_m: float, far_m: float) -> DepthMap:
    """(65536,) metres, one per code."""
    table = near_m * np.exp((np.arange(FAR + 1) - 1) * (math.log(far_m / near_m) / _STEPS))
    table[UNKNOWN], table[FAR] = np.nan, np.inf
    return cast(DepthMap, table.astype(np.float32))


def encode_linear16(depth: DepthMap, low: float, high: float) -> Codes:
    """Relative depth as 1 + round(65533 (d - low) / (high - low)).

    What is not finite becomes 0; the error is at most (high - low) / 131066 plus float32's own.
    """
    finite = np.isfinite(depth)
    share = (np.where(finite, depth, low).astype(np.float64) - low) / (high - low)
    return np.where(finite, 1 + np.rint(np.clip(share, 0, 1) * _STEPS), UNKNOWN).astype(np.uint16)


def decode_linear16(codes: Codes, low: float, high: float) -> DepthMap:
    """The inverse of `encode_linear16`, float32; 0 becomes NaN."""
    values = (low + (codes.astype(np.float64) - 1) * ((high - low) / _STEPS)).astype(np.float32)
    values[codes == UNKNOWN] = np.nan
    return values


class GrowingRange:
    """The range of codes for relative depth, whose limits nobody knows in advance.

    It starts around the first frame with a margin of one span on either side. A frame that does not fit, or that would
    use less than 1/32 of it, starts a new segment in the same way, so that nothing is clipped and each frame has at
    least 11 bits.
    """

    def __init__(self) -> None:
        self.segments: list[tuple[int, float, float]] = []
        """(first frame, low, high)."""

    def fit(self, depth: DepthMap, index: int) -> tuple[float, float]:
        """(low, high) for frame `index`."""
        finite = depth[np.isfinite(depth)]
        low, high = self.segments[-1][1:] if self.segments else (math.nan, math.nan)
        if not finite.size:
            return (low, high) if self.segments else (0.0, 1.0)
        least, most = float(finite.min()), float(finite.max())
        span = max(most - least, 1e-4 * max(abs(least), abs(most)), 1e-12)
        if not (low <= least and most <= high) or span < (high - low) / 32:
            low, high = least - span, most + span
            self.segments.append((index, low, high))
        return low, high


def range_at(segments: list[tuple[int, float, float]], index: int) -> tuple[float, float]:
    """(low, high) of frame `index`; any range where nothing is known yet."""
    found = (0.0, 1.0)
    for first, low, high in segments:
        if first > index:
            break
        found = low, high
    return found
