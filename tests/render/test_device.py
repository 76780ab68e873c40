"""Drawing on the device where picture and depth lie: as on the CPU."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers.on_device import on_device
from helpers.sink_data import exact_depth_frame

from streamdepth.core.device_picture import picture_from_rgb
from streamdepth.core.render_options import STEREO_STYLES, RenderOptions, Style
from streamdepth.core.types import DepthFrame, DepthKind, LazyImage, YuvPlanes
from streamdepth.render.device import can_render_on_device, render_on_device
from streamdepth.render.overlay import STYLES
from streamdepth.render.yuv import render_yuv
from streamdepth.sources.device_image import DeviceImage

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


class Planes(LazyImage):
    """The same picture on the CPU."""

    def __init__(self, planes: YuvPlanes) -> None:
        self.planes, self.size = planes, planes.y.shape[::-1]

    def rgb(self):
        raise NotImplementedError

    def image_at_size(self, width: int, height: int):
        raise NotImplementedError

    def yuv_planes(self) -> YuvPlanes:
        return self.planes


def both(kind: DepthKind, *, has_unknown: bool, device: str) -> tuple[DepthFrame, DepthFrame]:
    """One frame with its depth, on the CPU and on a device."""
    one = exact_depth_frame(kind, 320, 180)
    if has_unknown:
        depth = one.depth.copy()
        depth[40:90, 100:180] = np.nan
        one = replace(one, depth=depth)
    picture = picture_from_rgb(torch.tensor(cv2.GaussianBlur(one.frame.image, (9, 9), 0), device=device))
    u, v = (np.ascontiguousarray(plane) for plane in np.moveaxis(picture.uv.cpu().numpy(), -1, 0))
    planes = YuvPlanes(picture.y.cpu().numpy(), u, v)
    there = replace(on_device(one, device), frame=replace(one.frame, pixels=DeviceImage(picture)))
    return replace(one, frame=replace(one.frame, pixels=Planes(planes))), there


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("style", [style for style in STYLES if style not in STEREO_STYLES])
@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("has_unknown", [False, True])
def test_a_device_draws_what_the_cpu_draws(style: Style, kind: DepthKind, has_unknown: bool, device: str) -> None:
    here, there = both(kind, has_unknown=has_unknown, device=device)
    options = RenderOptions(style=style, colormap="turbo", invert=has_unknown)
    assert can_render_on_device(there, options)
    found = render_on_device(there, options)
    width = 640 if style == "side-by-side" else 320
    out = YuvPlanes(*(np.zeros((180 // n, width // n), np.uint8) for n in (1, 2, 2)))
    render_yuv(here, out, options)
    for plane, exact in zip((found.y, found.uv[..., 0], found.uv[..., 1]), out, strict=True):
        apart = np.abs(plane.cpu().numpy().astype(int) - exact)
        assert apart.mean() < 0.6
        assert np.percentile(apart, 99.5) <= 6  # one of 256 colors


def test_what_needs_the_cpu_is_left_to_it() -> None:
    here, there = both(DepthKind.RELATIVE, has_unknown=False, device="cpu")
    assert not can_render_on_device(here, RenderOptions())
    assert not can_render_on_device(there, RenderOptions(style="anaglyph"))
    assert not can_render_on_device(there, RenderOptions(edges="guided"))
    masked = replace(there.frame, valid=np.ones((180, 320), np.bool_))
    assert not can_render_on_device(replace(there, frame=masked), RenderOptions())
