"""Array types that the modules of geometry share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
"""(..., 3) x, y, z in the camera's axes; NaN = unknown."""
Mask = npt.NDArray[np.bool_]
"""(h, w), True for the pixels that count."""
