"""The inputs, outputs and metadata of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LAYOUTS = ("NCHW", "NHWC", "N1CHW", "1NCHW")
"""Orders of an input's dimensions. N counts pictures, and in 1NCHW the consecutive frames of one video."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output."""

    name: str
    shape: tuple[int | str, ...]
    """Sizes of the dimensions; those that are free have a name, or "?"."""
    type: str
    """Element type as numpy names it, such as `float32`."""

    def __str__(self) -> str:
        return f"{self.name} {self.type} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Interface:
    """The facts that a file tells of itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]

    @property
    def pictures(self) -> Port:
        """The input that takes pictures: the first with four or five dimensions, else the first."""
        return next((port for port in self.inputs if len(port.shape) in (4, 5)), self.inputs[0])


def spatial_dimensions(layout: str) -> tuple[int, int]:
    """Returns which dimensions of an input are height and width."""
    return layout.index("H"), layout.index("W")


def fixed_size(port: Port, layout: str) -> tuple[int, int] | None:
    """Returns (height, width) in px of the only input that a file takes; None where a side is free."""
    if len(port.shape) != len(layout):
        return None
    height, width = (port.shape[i] for i in spatial_dimensions(layout))
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def fixed_batch(port: Port, layout: str) -> int | None:
    """Returns the only number of pictures that a file takes at a time; None where it is free."""
    count = port.shape[layout.index("N")]
    return count if isinstance(count, int) else None
