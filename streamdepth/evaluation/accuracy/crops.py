"""Crops: the part of a picture that a benchmark evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from streamdepth.core.errors import ConfigError

Interval = tuple[Fraction, Fraction]
"""First and last row or column, as shares of the height or width."""
_ALL = (Fraction(0), Fraction(1))


@dataclass(frozen=True, slots=True)
class Crop:
    """The region in which ground truth counts, with its usual largest distance."""

    name: str
    rows: Interval = _ALL
    columns: Interval = _ALL
    border_px: int = 0
    """px cut off on each side before the model sees the picture."""
    size: tuple[int, int] | None = None
    """(width, height) in px that pictures must have without the border; None: any."""
    farthest_m: float = 10.0
    """Default of the largest distance at which ground truth counts, meters."""

    def region(self, width: int, height: int) -> tuple[slice, slice]:
        """Returns the rows and columns that count.

        Raises ConfigError, code "wrong-size", for pictures of another size.
        """
        if self.size not in (None, (width, height)):
            given = f"{width + 2 * self.border_px}x{height + 2 * self.border_px}"
            raise ConfigError(
                f"the Eigen crop is for NYU's 640x480 px, not for {given} px; try --crop none", code="wrong-size"
            )
        top, bottom = (int(share * height) for share in self.rows)
        left, right = (int(share * width) for share in self.columns)
        return slice(top, bottom), slice(left, right)


NYU_BORDER_PX = 8
"""Width of the white frame around NYU Depth v2's pictures."""
EIGEN_CROP = Crop(
    "eigen",
    rows=(Fraction(45 - NYU_BORDER_PX, 464), Fraction(471 - NYU_BORDER_PX, 464)),
    columns=(Fraction(41 - NYU_BORDER_PX, 624), Fraction(601 - NYU_BORDER_PX, 624)),
    border_px=NYU_BORDER_PX,
    size=(624, 464),
)
"""NYU Depth v2: rows 45 to 471, columns 41 to 601 of 640x480 px (Eigen et al., NeurIPS 2014)."""
GARG_CROP = Crop(
    "garg",
    rows=(Fraction("0.40810811"), Fraction("0.99189189")),
    columns=(Fraction("0.03594771"), Fraction("0.96405229")),
    farthest_m=80.0,
)
"""KITTI: the part of the picture that LiDAR sees (Garg et al., ECCV 2016)."""
NO_CROP = Crop("none")
CROPS: Mapping[str, Crop] = MappingProxyType({crop.name: crop for crop in (NO_CROP, EIGEN_CROP, GARG_CROP)})
"""Name on the command line -> crop."""


def crop_by_name(name: str) -> Crop:
    """Returns the crop of this name. Raises ConfigError, code "unknown-crop"."""
    if name not in CROPS:
        raise ConfigError(f"unknown crop {name!r}; allowed are {', '.join(CROPS)}", code="unknown-crop")
    return CROPS[name]
