"""Depth as 16-bit codes: logarithmic for metric depth, linear for relative depth. Code 0 is unknown in both."""

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
"""The code of +inf in metric depth: too far to measure."""
_STEPS = 65533
"""Steps between the codes 1 and 65534, which are values."""


def encode_log16(depth: DepthMap, near_m: float = 0.1, far_m: float = 200.0) -> Codes:
    """Encodes meters as 1 + round(65533 ln(d / near) / ln(far / near)), with the same relative step everywhere.

    NaN and values that are not above 0 become 0, +inf becomes 65535; values outside [near_m, far_m] take the nearest
    end. The relative error inside is at most ln(far / near) / 131066, which is 5.8e-5 for 0.1 to 200 m.
    """
    known = depth > 0
    values = np.where(known, depth, np.float32(near_m))
    np.clip(values, near_m, far_m, out=values)
    values /= np.float32(near_m)
    np.log(values, out=values)  # float32 is exact to 0.005 codes, in a third of the time of float64
    values *= np.float32(_STEPS / math.log(far_m / near_m))
    codes = np.rint(values, out=values).astype(np.uint16)
    codes += 1
    codes[~known] = UNKNOWN
    codes[np.isposinf(depth)] = FAR
    return codes


def decode_log16(codes: Codes, near_m: float = 0.1, far_m: float = 200.0) -> DepthMap:
    """Decodes `encode_log16` to meters, float32; 0 becomes NaN, 65535 becomes +inf."""
    return _log16_table(near_m, far_m)[codes]


@lru_cache(maxsize=4)
def _log16_table(near_m: float, far_m: float) -> DepthMap:
    """Returns (65536,) meters, one per code."""
    table = near_m * np.exp((np.arange(FAR + 1) - 1) * (math.log(far_m / near_m) / _STEPS))
    table[UNKNOWN], table[FAR] = np.nan, np.inf
    return cast(DepthMap, table.astype(np.float32))


def encode_linear16(depth: DepthMap, low: float, high: float) -> Codes:
    """Encodes relative depth as 1 + round(65533 (d - low) / (high - low)).

    Values that are not finite become 0; the error is at most (high - low) / 131066 plus float32's own rounding.
    """
    finite = np.isfinite(depth)
    values = np.where(finite, depth, np.float32(low)).astype(np.float64)
    values -= low
    values *= _STEPS / (high - low)
    np.clip(values, 0, _STEPS, out=values)
    codes = np.rint(values, out=values).astype(np.uint16)
    codes += 1
    codes[~finite] = UNKNOWN
    return codes


def decode_linear16(codes: Codes, low: float, high: float) -> DepthMap:
    """Decodes `encode_linear16` to relative depth, float32; 0 becomes NaN."""
    values = (low + (codes.astype(np.float64) - 1) * ((high - low) / _STEPS)).astype(np.float32)
    values[codes == UNKNOWN] = np.nan
    return values


class AdaptiveRange:
    """The range that linear codes span for relative depth, whose limits are not known in advance.

    It starts around the first frame with a margin of one span on either side. A frame that does not fit, or that would
    use less than 1/32 of the range, starts a new range in the same way, so that nothing is clipped and each frame has
    at least 11 bits.
    """

    def __init__(self) -> None:
        self.ranges: list[tuple[int, float, float]] = []
        """(first frame, low, high): each range holds from its first frame on."""

    def update(self, depth: DepthMap, index: int) -> tuple[float, float]:
        """Takes the depth of frame `index`, and returns the (low, high) that it is to be encoded with."""
        finite = depth[np.isfinite(depth)]
        low, high = self.ranges[-1][1:] if self.ranges else (math.nan, math.nan)
        if not finite.size:
            return (low, high) if self.ranges else (0.0, 1.0)
        smallest, largest = float(finite.min()), float(finite.max())
        span = max(largest - smallest, 1e-4 * max(abs(smallest), abs(largest)), 1e-12)
        if not (low <= smallest and largest <= high) or span < (high - low) / 32:
            low, high = smallest - span, largest + span
            self.ranges.append((index, low, high))
        return low, high


def range_of_frame(ranges: list[tuple[int, float, float]], index: int) -> tuple[float, float]:
    """Returns the (low, high) that frame `index` was encoded with; (0, 1) before the first known depth."""
    found = (0.0, 1.0)
    for first, low, high in ranges:
        if first > index:
            break
        found = low, high
    return found
