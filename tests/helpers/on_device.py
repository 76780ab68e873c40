"""Stages whose pictures and depth are tensors, as on a GPU; the device is the CPU unless a test has another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import av
import torch
from av.video.reformatter import ColorRange, Colorspace

from streamdepth.core.device_map import DeviceMap, for_depth_field
from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.interfaces import Estimator, Stabilizer
from streamdepth.core.types import DepthFrame, Estimate, Frame, ModelInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.sources.device_image import DeviceImage, make_device_picture


def on_device(item: DepthFrame, device: str = "cpu") -> DepthFrame:
    return replace(item, depth=for_depth_field(DeviceMap(torch.tensor(item.depth, device=device))))


class OnDevice(Stabilizer):
    """A stabilizer that gets depth as tensors."""

    def __init__(self, stabilizer: Stabilizer, device: str = "cpu") -> None:
        self._stabilizer, self._device = stabilizer, device
        self.is_offline = stabilizer.is_offline

    def output_kind(self, kind):
        return self._stabilizer.output_kind(kind)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        return self._stabilizer.push(on_device(item, self._device))

    def flush(self) -> Iterable[DepthFrame]:
        return self._stabilizer.flush()

    def reset(self) -> None:
        self._stabilizer.reset()


def device_picture_of(frame: av.VideoFrame, device: str = "cpu") -> DevicePicture:
    """Returns an ordinary decoded frame in BT.709 and limited range as a GPU's decoder would give it."""
    picture = make_device_picture(frame.reformat(format="nv12"), Colorspace.ITU709, ColorRange.MPEG)
    assert picture is not None
    return replace(picture, y=picture.y.to(device), uv=picture.uv.to(device))


class OnDeviceSource(WrappedSource):
    """A source of YUV 4:2:0 in BT.709 whose pictures lie on a device."""

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None:
            return None
        planes = frame.yuv_planes
        assert planes is not None
        y, u, v = (torch.tensor(plane) for plane in planes)
        return replace(frame, pixels=DeviceImage(DevicePicture(y, torch.stack([u, v], -1))))


class OnDeviceEstimator(Estimator):
    """An estimator whose depth stays on a device."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    @property
    def info(self) -> ModelInfo:
        return self._estimator.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        found = self._estimator.estimate(frames)
        return [replace(e, depth=for_depth_field(DeviceMap(torch.tensor(e.depth)))) for e in found]
