"""The filter of `recursive_filter.py` for depth on a GPU. Importing this module loads torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from streamdepth.core.device_map import DeviceMap
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import device_maps
from streamdepth.stabilizers.optical_flow import FlowPair
from streamdepth.stabilizers.recursive_filter import (
    EPSILON,
    INITIAL_SECONDS,
    MAX_DEVIATION,
    MAX_NOISE,
    MIN_NOISE,
    NOISE_SECONDS,
    UNIT_PIXELS,
)


class _State(NamedTuple):
    """The smoothed depth of each pixel, (h, w), and the evidence behind it."""

    depth: Tensor
    evidence_seconds: Tensor


class DeviceFilter:
    """`RecursiveFilter` for depth on a GPU: the same steps, with results that differ only by resampling.

    OpenCV samples at steps of 1/32 px and torch exactly, so that the results differ by a small share of the depth's
    range where something moves. Nothing waits for the device. The motion is still measured on the CPU, on a picture of
    160 px.
    """

    def __init__(self, memory_seconds: float, tolerance: float) -> None:
        self.memory_seconds, self.tolerance = memory_seconds, tolerance
        self._state: _State | None = None
        self._noise: Tensor | None = None

    def push(self, item: DepthFrame, flows: FlowPair | None, seconds: float) -> DeviceMap:
        """Returns the smoothed depth of the next frame. `flows` are those to the frame before; None starts anew."""
        new = _tensor_of(item)
        past = self._predict(new, item.kind, flows, seconds) if flows else None
        if past is None:
            self._state = _State(new, torch.full_like(new, INITIAL_SECONDS))
        else:
            self._state = _weighted_mean(new, past, seconds)
        return DeviceMap(self._state.depth)

    def _predict(self, new: Tensor, kind: DepthKind, flows: FlowPair, seconds: float) -> _State | None:
        """Returns the past depth warped to this frame, with its evidence; None without a past."""
        past, shape = self._state, (new.shape[0], new.shape[1])
        if past is None or past.depth.shape != new.shape:
            return None
        grid = device_maps.sampling_grid(flows.flow, shape, new.device)
        change = new - _warp_sharply(past.depth, grid, is_still=not flows.flow.any())
        unit = _unit_of_change(new, kind)
        residual = change.abs() / unit
        limit = self._measure_noise(residual, seconds) * self.tolerance
        residual = torch.fmin(residual, device_maps.neighbor_sum(residual) / 2) / limit
        evidence = device_maps.warp(past.evidence_seconds, grid, "nearest").clamp(max=self.memory_seconds)
        evidence = evidence * device_maps.resize(torch.from_numpy(flows.confidence).to(new.device), shape)
        evidence = evidence * torch.exp(-(residual.clamp(max=10) ** 4))
        excess = (residual - MAX_DEVIATION).clamp(min=0) * (unit * limit)
        return _State(new - (change - torch.copysign(excess, change)), evidence)

    def _measure_noise(self, residual: Tensor, seconds: float) -> Tensor:
        """Updates the estimate of the network's noise by the median of a sample; keeps it if nothing is known."""
        median = _upper_median(residual[::8, ::8])
        noise = self._noise if self._noise is not None else torch.full_like(median, MAX_NOISE)
        newest = (1.48 * median).clamp(MIN_NOISE, MAX_NOISE)
        followed = noise + (newest - noise) * (1 - math.exp(-seconds / NOISE_SECONDS))
        self._noise = followed.where(median.isfinite(), noise)
        return self._noise


def _tensor_of(item: DepthFrame) -> Tensor:
    depth = item.device_depth
    assert depth is not None
    return depth.tensor


def _upper_median(values: Tensor) -> Tensor:
    """Returns the value of rank n // 2 of the n finite values, (); NaN where none is finite."""
    finite = values.isfinite()
    ranked = values.where(finite, math.inf).flatten().sort().values
    count = finite.sum()
    return ranked[(count // 2).clamp(max=ranked.numel() - 1)].where(count > 0, math.nan)


def _warp_sharply(depth: Tensor, grid: Tensor, *, is_still: bool) -> Tensor:
    """Samples `depth` at the grid as `recursive_filter._warp_sharply` does."""
    if is_still:
        return depth
    low, high = device_maps.finite_range(depth).unbind()
    warped = device_maps.warp(depth, grid)
    for axis in (0, 1):
        fraction = grid[axis] - grid[axis].floor()
        warped = warped - (fraction - fraction**2) * device_maps.half_curvature(warped, axis)
    return warped.clamp(low, high)


def _unit_of_change(depth: Tensor, kind: DepthKind) -> Tensor:
    """Returns the unit of changes: the depth itself if it is metric, the frame's range if it is relative."""
    if kind is DepthKind.METRIC:
        return depth.abs().clamp(min=1e-3)
    low, high = device_maps.robust_range(depth, max_pixels=UNIT_PIXELS).unbind()
    return (high - low).clamp(min=1e-9).nan_to_num(nan=1.0)


def _weighted_mean(new: Tensor, past: _State, seconds: float) -> _State:
    """Returns the mean of two depths, weighted by their seconds; pixels unknown in one of them take the new depth."""
    total = past.evidence_seconds + (seconds + EPSILON)
    share = past.evidence_seconds / total
    mean = (past.depth - new) * share + new
    mean = mean.maximum(torch.minimum(past.depth, new)).minimum(torch.maximum(past.depth, new))
    known = mean.isfinite()
    return _State(mean.where(known, new), total.where(known, INITIAL_SECONDS))
