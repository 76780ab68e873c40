"""Frames for encoders that are drawn on a GPU: only the finished picture is copied to the CPU, for NVENC nothing.

Importing this module loads torch.
"""

from __future__ import annotations

import av
import torch
from torch import Tensor

from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.render.device import can_render_on_device, render_on_device
from streamdepth.sinks.encoders import is_full_range


def render_device_frame(item: DepthFrame, pixel_format: str, options: RenderOptions) -> av.VideoFrame | None:
    """Draws an item on its GPU and returns it as a frame for an encoder; None if it must be drawn on the CPU.

    `pixel_format` is a name as `video_frames.render_video_frame` takes it.
    """
    if not can_render_on_device(item, options):
        return None
    y, uv = _join_planes(render_on_device(item, options))
    if pixel_format != "cuda":
        y, uv = y.cpu(), uv.cpu()
    elif y.is_cuda:
        torch.cuda.current_stream(y.device).synchronize()  # NVENC reads it on a stream of its own
    frame = av.VideoFrame.from_dlpack((y, uv), format="nv12")
    frame.colorspace = frame.color_range = frame.color_primaries = frame.color_trc = 1
    if pixel_format in ("nv12", "cuda"):
        return frame
    dst_range = "JPEG" if is_full_range(pixel_format) else "MPEG"
    return frame.reformat(format=pixel_format, src_color_range="MPEG", dst_color_range=dst_range)


def _join_planes(picture: DevicePicture) -> tuple[Tensor, Tensor]:
    """Returns the planes one after the other in one block of memory, as NVENC expects them."""
    width, height = picture.size
    joined = torch.cat([picture.y, picture.uv.reshape(height // 2, width)])
    return joined[:height], joined[height:].view(height // 2, width // 2, 2)
