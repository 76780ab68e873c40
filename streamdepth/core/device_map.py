"""Depth maps in the memory of a GPU, which are copied to arrays when they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from streamdepth.core.arrays import DepthMap

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class DeviceMap:
    """A depth map as a tensor of torch on any device; it is copied to an array once, when `array` is called first.

    >>> import torch
    >>> depth = DeviceMap(torch.ones(2, 3))
    >>> depth.shape, depth.array().sum().item()
    ((2, 3), 6.0)

    Args:
        tensor: (h, w) float32, complete for the device's default stream, and never changed afterwards.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, tensor: Tensor) -> None:
        if tensor.ndim != 2 or str(tensor.dtype) != "torch.float32":
            raise ValueError(f"depth is (h, w) float32, not {tuple(tensor.shape)} {tensor.dtype}")
        self.tensor = tensor
        self.shape = (tensor.shape[0], tensor.shape[1])
        self._array: DepthMap | None = None

    def array(self) -> DepthMap:
        """Returns the map as a read-only array, (h, w) float32."""
        if self._array is None:
            array: DepthMap = self.tensor.detach().cpu().numpy()
            array.setflags(write=False)
            self._array = array
        return self._array


StoredMap = DepthMap | DeviceMap
"""A depth map in the memory of the CPU or of a GPU."""


def as_depth_map(depth: StoredMap) -> DepthMap:
    """Returns a depth map as an array; one on a GPU is copied to the CPU."""
    return depth.array() if isinstance(depth, DeviceMap) else depth


def for_depth_field(depth: StoredMap) -> DepthMap:
    """Returns `depth` unchanged, for the field `depth` of a class that `fetch_depth_on_read` was applied to.

    Type checkers take the field for an array, which it is to its readers.
    """
    return cast(DepthMap, depth)


class _FetchedOnRead:
    """Stands for a slot in which a `DeviceMap` may lie, and whose readers get an array."""

    def __init__(self, slot: Any) -> None:
        self.slot = slot

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return self if owner is None else as_depth_map(self.slot.__get__(owner))

    def __set__(self, owner: object, value: StoredMap) -> None:
        self.slot.__set__(owner, value)


def fetch_depth_on_read(cls: type[T]) -> type[T]:
    """Makes the field `depth` of a dataclass with slots accept a `DeviceMap`; reading the field gives an array."""
    slot: Callable[..., Any] = cls.__dict__["depth"]
    setattr(cls, "depth", _FetchedOnRead(slot))  # noqa: B010 - to mypy the field stays what the class says
    return cls


def stored_depth(owner: object) -> StoredMap:
    """Returns what lies in the field `depth` of an object whose class `fetch_depth_on_read` was applied to."""
    stored: StoredMap = type(owner).__dict__["depth"].slot.__get__(owner)
    return stored
