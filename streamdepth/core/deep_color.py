"""Pictures with 10 bits per channel, SDR or HDR, in the YUV planes of their source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Plane16 = npt.NDArray[np.uint16]

PQ, HLG, BT2020 = 16, 18, 9
"""Numbers of ITU-T H.273: the two transfer curves of HDR, and BT.2020's number, the same for its primaries and its
matrix."""


class DeepPlanes(NamedTuple):
    """A picture in YUV 4:2:0 of 10 bits in limited range: Y from 64 (black) to 940, U and V from 64 to 960."""

    y: Plane16
    """(H, W) luma."""
    u: Plane16
    """(H/2, W/2) blue-difference chroma; 512 is neutral."""
    v: Plane16
    """(H/2, W/2) red-difference chroma; 512 is neutral."""


@dataclass(frozen=True, slots=True)
class DeepColor:
    """The colors of a video of 10 bits in YUV 4:2:0, limited range, as its tags say by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    matrix: int
    mastering_display: str = ""
    """Colors and brightness of the display that HDR was made on (SMPTE ST 2086), as x265 writes them; may be empty."""
    light_level: str = ""
    """Brightest pixel and brightest mean of a frame in cd/m2, as "1000,400" (CTA-861.3); may be empty."""

    @property
    def is_hdr(self) -> bool:
        """True for the curves PQ and HLG."""
        return self.transfer in (PQ, HLG)
