"""Matrices between YUV and RGB, by the tags of a video's frames."""

from __future__ import annotations

import av
from av.video.reformatter import ColorRange, Colorspace

_HD_LINES = 720
_BT709, _BT601 = 1, 6
"""Matrices by H.273."""
_YUV_MATRICES = {  # libav's AVColorSpace -> swscale's matrices
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
UNKNOWN_MATRICES = {
    11: "SMPTE ST 2085",
    12: "chromaticity-derived matrices",
    13: "chromaticity-derived matrices",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
"""Names of color matrices that swscale does not know, by H.273."""


def untagged_matrix(height: int) -> int:
    """Returns H.273's number of the matrix of video without tags: BT.709 from 720 lines on, BT.601 below."""
    return _BT709 if height >= _HD_LINES else _BT601


def yuv_matrix_and_range(frame: av.VideoFrame) -> tuple[Colorspace | None, ColorRange | None]:
    """Returns the color matrix and the range of a YUV frame; (None, None) for frames that are RGB or gray.

    Without tags the matrix is BT.709 from 720 lines on and BT.601 below, and the range is limited.
    """
    pixel_format = frame.sw_format or frame.format
    if pixel_format.is_rgb or len(pixel_format.components) < 3:
        return None, None
    full = frame.color_range == ColorRange.JPEG or pixel_format.name.startswith("yuvj")
    matrix = _YUV_MATRICES.get(frame.colorspace, _YUV_MATRICES[untagged_matrix(frame.height)])
    return matrix, ColorRange.JPEG if full else ColorRange.MPEG
