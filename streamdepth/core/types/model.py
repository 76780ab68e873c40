"""The facts of a model, and the meaning of the depth that it gives."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DepthKind(enum.StrEnum):
    """The meaning of a depth map's numbers. It comes from the model and is never guessed from the values.

    >>> sd.DepthKind.METRIC.unit, sd.DepthKind("relative").unit
    ('m', None)
    """

    METRIC = "metric"
    """Meters along the optical axis (Z); far is large."""
    RELATIVE = "relative"
    """Inverse depth without unit; near is large; scale and shift unknown."""

    @property
    def unit(self) -> str | None:
        """`"m"` for metric depth, None for relative depth."""
        return "m" if self is DepthKind.METRIC else None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The facts of a loaded model, as they stand in reports and files.

    >>> info = sd.load_model("nano", size=96, engine="torch", device="cpu").info
    >>> info.name, info.license, info.engine, info.precision
    ('nano', 'Apache-2.0', 'torch', 'float32')
    """

    name: str
    kind: DepthKind
    license: str = "unknown"
    engine: str = "torch"
    device: str = "cpu"
    precision: str = "float32"
    parameters: int | None = None
    """Number of learned parameters, None when unknown."""
    reason: str = ""
    """A sentence for people: why this engine runs the model, and how far reduced precision is from float32."""
