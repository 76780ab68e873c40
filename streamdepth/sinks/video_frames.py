"""Conversion of pictures to frames for video encoders: BT.709, 4:2:0 in limited range if the encoder supports that."""

from __future__ import annotations

import av
import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.deep_color import DeepColor
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, YuvPlanes
from streamdepth.render.deep import render_deep
from streamdepth.render.overlay import render, rendered_size
from streamdepth.render.yuv import render_yuv
from streamdepth.sinks.encoders import is_full_range


def render_video_frame(
    item: DepthFrame, pixel_format: str, size: tuple[int, int], options: RenderOptions
) -> av.VideoFrame:
    """Draws `item` as `render` does, and returns it as a frame for an encoder.

    If the source was decoded to 4:2:0, nothing is scaled and no zone is drawn, the picture is blended in YUV without
    any conversion. A picture on a GPU is drawn there.

    Args:
        pixel_format: FFmpeg's name, such as yuv420p, nv12, or cuda for an encoder that reads a GPU's memory.
        size: (width, height) in px, both even; another picture is scaled, an odd one has its last line repeated.
    """
    width, height = item.frame.size
    drawn_here = "nv12" if pixel_format == "cuda" else pixel_format  # PyAV copies it to the GPU
    if item.frame.device_picture is not None and rendered_size(item.frame.size, options.style) == size:
        from streamdepth.sinks.device_frames import render_device_frame

        if (drawn := render_device_frame(item, pixel_format, options)) is not None:
            return drawn
    if (
        width % 2
        or height % 2
        or item.frame.yuv_planes is None
        or options.is_stereo
        or rendered_size(item.frame.size, options.style) != size
        or options.drawn_zones
    ):
        return to_video_frame(render(item, options), drawn_here, size)
    frame = av.VideoFrame(*size, "yuv420p")
    render_yuv(item, _writable_planes(frame), options)
    frame.colorspace = frame.color_range = frame.color_primaries = frame.color_trc = 1
    if drawn_here == "yuv420p":
        return frame
    dst_range = "JPEG" if is_full_range(drawn_here) else "MPEG"
    return frame.reformat(format=drawn_here, src_color_range="MPEG", dst_color_range=dst_range)


def deep_video_frame(item: DepthFrame, options: RenderOptions, color: DeepColor) -> av.VideoFrame:
    """Draws `item` as `render_deep` does, and returns it as a frame of 10 bits for an encoder, tagged with `color`."""
    planes = render_deep(item, options, color)
    frame = av.VideoFrame(planes.y.shape[1], planes.y.shape[0], "yuv420p10le")
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.asarray(memoryview(plane)).view(np.uint16).reshape(plane.height, -1)
        rows[:, : plane.width] = samples
    frame.color_range, frame.colorspace = 1, color.matrix
    frame.color_primaries, frame.color_trc = color.primaries, color.transfer
    return frame


def _writable_planes(frame: av.VideoFrame) -> YuvPlanes:
    rows = [np.asarray(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes]
    return YuvPlanes(*rows)


def to_video_frame(picture: Image, pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """Converts an RGB picture to 4:2:0, BT.709 in limited range.

    Args:
        picture: (H, W, 3) uint8 RGB.
        pixel_format: FFmpeg's name, such as yuv420p or nv12.
        size: (width, height) in px, both even; another picture is scaled, an odd one has its last line repeated.
    """
    width, height = size
    if (picture.shape[1] + picture.shape[1] % 2, picture.shape[0] + picture.shape[0] % 2) != size:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # stays uint8
    missing = height - picture.shape[0], width - picture.shape[1]
    if any(missing):
        picture = cv2.copyMakeBorder(picture, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)  # type: ignore[assignment]  # stays uint8
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format=pixel_format,
        src_colorspace="ITU709",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="JPEG" if is_full_range(pixel_format) else "MPEG",
    )
    frame.color_primaries = frame.color_trc = 1
    return frame
