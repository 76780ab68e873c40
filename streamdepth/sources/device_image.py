"""Decoded frames in the memory of a GPU, which are copied to the CPU only when and as far as they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from streamdepth.core.arrays import GrayImage, Image
from streamdepth.core.device_picture import BT601, BT709, BT2020, DevicePicture, LumaWeights
from streamdepth.core.types import LazyImage, YuvPlanes

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS: dict[Colorspace | None, LumaWeights] = {
    Colorspace.ITU601: BT601,
    Colorspace.ITU709: BT709,
    Colorspace.BT2020: BT2020,
}
"""The matrices that are converted on the device; pictures in others are converted on the CPU."""


def is_on_device(frame: av.VideoFrame) -> bool:
    """True for a frame in the memory of an NVIDIA GPU."""
    return frame.format.name == "cuda"


def make_device_picture(
    frame: av.VideoFrame, matrix: Colorspace | None, color_range: ColorRange | None
) -> DevicePicture | None:
    """Returns a copy, on its device, of a frame in the format NV12; None for another format.

    The copy is complete when this returns, and the decoder, which has few frames, may use the frame again.
    """
    import torch
    from torch.utils.dlpack import from_dlpack

    format_name = frame.sw_format.name if frame.sw_format else frame.format.name
    if format_name != "nv12" or frame.width % 2 or frame.height % 2 or matrix not in _WEIGHTS:
        return None
    # As capsules: torch would name its stream, which PyAV refuses. Both use the default stream here.
    y, uv = (from_dlpack(cast(Any, plane.__dlpack__())).clone() for plane in frame.planes)
    if y.is_cuda:
        torch.cuda.current_stream(y.device).synchronize()
    return DevicePicture(y, uv, _WEIGHTS[matrix], color_range == ColorRange.JPEG)


class DeviceImage(LazyImage):
    """A picture in the memory of a GPU as a frame's pixels."""

    def __init__(self, picture: DevicePicture) -> None:
        self.size = picture.size
        self._picture = picture
        self._rgb: Image | None = None

    def device_picture(self) -> DevicePicture:
        return self._picture

    def rgb(self) -> Image:
        if self._rgb is None:
            self._rgb = _fetch(self._picture.rgb())
        return self._rgb

    def image_at_size(self, width: int, height: int) -> Image:
        return _fetch(self._picture.rgb_at_size(width, height))

    def yuv_planes(self) -> YuvPlanes | None:
        return None

    def luma(self) -> tuple[GrayImage, int]:
        return cast(GrayImage, _DeviceLuma(self._picture.y)), 0 if self._picture.is_full_range else 16


class _DeviceLuma:
    """The (H, W) brightness of a picture on a GPU, of which only the lines that are indexed are copied to the CPU."""

    def __init__(self, plane: Tensor) -> None:
        self._plane = plane
        self.shape = tuple(plane.shape)

    def __getitem__(self, part: tuple[slice, slice]) -> GrayImage:
        import torch

        rows, columns = (
            torch.arange(*which.indices(side), device=self._plane.device)
            for which, side in zip(part, self.shape, strict=True)
        )
        return _fetch(self._plane.index_select(0, rows).index_select(1, columns))


def _fetch(pixels: Tensor) -> Image:
    array: Image = np.ascontiguousarray(pixels.cpu().numpy())
    array.setflags(write=False)
    return array
