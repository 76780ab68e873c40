"""One result as encoders take it: 4:2:0, BT.709 in limited range."""

from __future__ import annotations

import av
import cv2
import numpy as np

from streamdepth.core.types import DepthFrame, Image, Style, YuvPlanes
from streamdepth.render.colors import drawn_size, render
from streamdepth.render.yuv import render_planes


def draw(
    item: DepthFrame,
    format: str,
    size: tuple[int, int],
    style: Style = "overlay",
    colormap: str = "inferno",
    alpha: float = 0.6,
    bar: bool = True,
) -> av.VideoFrame:
    """`item` as `render` shows it, scaled to the even `size` (width, height); odd sides get their last line twice.

    Where the source was decoded to what is encoded, nothing is converted.
    """
    is_odd = any(side % 2 for side in item.frame.size)
    if is_odd or item.frame.planes is None or drawn_size(item.frame.size, style) != size:
        return to_video_frame(render(item, style=style, colormap=colormap, alpha=alpha, bar=bar), format, size)
    frame = av.VideoFrame(*size, "yuv420p")
    render_planes(item, _planes_of(frame), style=style, colormap=colormap, alpha=alpha, bar=bar)
    frame.colorspace = frame.color_range = frame.color_primaries = frame.color_trc = 1
    return frame if format == "yuv420p" else frame.reformat(format=format)


def _planes_of(frame: av.VideoFrame) -> YuvPlanes:
    """To be written to."""
    rows = [np.asarray(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes]
    return YuvPlanes(*rows)


def to_video_frame(picture: Image, format: str, size: tuple[int, int]) -> av.VideoFrame:
    """RGB as 4:2:0, BT.709 in limited range, scaled to the even `size`; odd ones get their last row or column twice."""
    width, height = size
    if (picture.shape[1] + picture.shape[1] % 2, picture.shape[0] + picture.shape[0] % 2) != size:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # stays uint8
    missing = height - picture.shape[0], width - picture.shape[1]
    if any(missing):
        picture = cv2.copyMakeBorder(picture, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)  # type: ignore[assignment]  # stays uint8
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format=format,
        src_colorspace="ITU709",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
    )
    frame.color_primaries = frame.color_trc = 1
    return frame
