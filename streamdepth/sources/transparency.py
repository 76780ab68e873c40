"""Transparent pictures: shown before a neutral gray, and without depth where nothing of the picture is to be seen."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image, Mask

BACKGROUND = 128
"""Gray level in sRGB behind what is transparent; black would be taken for a hole or a shadow."""
_LEAST_ALPHA = 128
"""Opacity, 0 to 255, from which on a pixel counts as a part of the picture."""


def transparency_notice(name: str) -> str:
    """Returns the sentence that says what becomes of the transparent parts of a source."""
    return (
        f"what is transparent in {name} is shown before gray and has no depth: 0 in PNG, NaN in EXR and NPZ, the far "
        "end in gray videos; outputs have no alpha"
    )


def composite(rgba: npt.NDArray[np.uint8]) -> tuple[Image, Mask | None]:
    """Returns (H, W, 4) RGBA with straight alpha as RGB before gray, and where it is more opaque than transparent.

    The mask is None where all pixels are opaque.
    """
    colors, alpha = np.ascontiguousarray(rgba[..., :3]), rgba[..., 3]
    if alpha.min() == 255:
        return colors, None
    share = cv2.merge([alpha.astype(np.float32) * np.float32(1 / 255)] * 3)
    mixed = (colors - np.float32(BACKGROUND)) * share + np.float32(BACKGROUND)
    return np.rint(mixed).astype(np.uint8), valid_where_opaque(alpha)


def valid_where_opaque(alpha: npt.NDArray[np.uint8]) -> Mask | None:
    """Returns the mask of pixels that are more opaque than transparent; None where all are."""
    valid = alpha >= _LEAST_ALPHA
    return None if valid.all() else valid
