"""The description of an ONNX file that another program wrote: how pictures go in, and what comes out.

A description is a mapping: in a YAML file beside the model, in a configuration, or as texts `key=value`. Only `kind`
has to be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.foreign.confidence import Confidence

KINDS = ("inverse", "relative", "metric", "log-metric")
"""Meanings of an output: inverse depth without a unit, depth without a unit, meters, and the logarithm of meters."""
FOCAL = "focal_px"
"""The name that stands in a scale for the focal length in px of the network's input."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """An output of the file, and the value from which a pixel counts."""

    output: str
    value: float = 0.5


@dataclass(frozen=True, slots=True)
class Scale:
    """A product by which an output becomes meters."""

    number: float = 1.0
    focal_power: int = 0
    """The power of the focal length in px of the network's input."""
    output: str | None = None
    """The output with a further factor for each picture."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the network's input in px."""

    width: int
    height: int
    bounds: str
    """`short` and `long`: that side of the picture gets `width` px; `both`: the input has exactly this size."""


@dataclass(frozen=True, slots=True)
class Description:
    """The facts that are needed to run an ONNX file. Colors are in the order of `color`."""

    kind: str
    """One of KINDS."""
    layout: str = "NCHW"
    """One of `interface.LAYOUTS`."""
    output: str = ""
    """The output with depth, or with a map of points, whose z is the depth."""
    scale: Scale = Scale()
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Subtracted from a picture of 0 to 1."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Divided by afterwards."""
    color: str = "rgb"
    """`rgb` or `bgr`."""
    size: Size | None = None
    """None keeps the picture's own size, rounded to `multiple`."""
    multiple: int = 1
    """The input's sides are multiples of this, in px."""
    keep_aspect: bool | None = None
    """True fits the picture into `size`, with margins where that is both sides; False stretches it; None keeps the
    aspect where no margins are needed for it, and else stretches."""
    confidence: Confidence | None = None
    """The output with the confidence of each pixel."""
    sky: Threshold | None = None
    """Pixels from here on are infinitely far."""
    licence: str = "unknown"
    """License of the weights."""
    inputs: Mapping[str, float] | None = None
    """Values of the file's further inputs."""

    @property
    def depth_kind(self) -> DepthKind:
        """The kind of the depth that comes out in the end."""
        return DepthKind.METRIC if self.kind in ("metric", "log-metric") else DepthKind.RELATIVE

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that are used, that of depth first."""
        names = [self.output, *(given.output for given in (self.confidence, self.sky) if given)]
        return tuple(dict.fromkeys([*names, *([self.scale.output] if self.scale.output else [])]))


def description_error(where: str, why: str) -> ConfigError:
    """Builds the error for a description that cannot be used; where: the file or the setting it stands in."""
    return ConfigError(f"the description of a model in {where} cannot be used: {why}", code="bad-description")
