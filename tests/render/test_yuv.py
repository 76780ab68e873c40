from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers.sink_data import exact_depth_frame

from streamdepth.core.arrays import Image
from streamdepth.core.render_options import STEREO_STYLES, RenderOptions, Style
from streamdepth.core.resize import shrink
from streamdepth.core.types import DepthKind, LazyImage, YuvPlanes
from streamdepth.render.overlay import STYLES, render
from streamdepth.render.yuv import render_yuv, rgb_to_yuv


def as_planes(image: Image) -> YuvPlanes:
    y, u, v = rgb_to_yuv(image.astype(np.float32))
    half = image.shape[1] // 2, image.shape[0] // 2
    u, v = (cv2.resize(p, half, interpolation=cv2.INTER_AREA) for p in (u, v))
    return YuvPlanes(*(np.rint(p).astype(np.uint8) for p in (y, u, v)))


class Decoded(LazyImage):
    """A picture that came in planes."""

    def __init__(self, image: Image) -> None:
        self.image, self.size = image, (image.shape[1], image.shape[0])

    def rgb(self) -> Image:
        return self.image

    def image_at_size(self, width: int, height: int) -> Image:
        return shrink(self.image, width, height)

    def yuv_planes(self) -> YuvPlanes:
        return as_planes(self.image)


@pytest.mark.parametrize("style", [style for style in STYLES if style not in STEREO_STYLES])
@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("has_unknown", [False, True])
def test_planes_show_what_rgb_shows(style: Style, kind: DepthKind, has_unknown: bool) -> None:
    one = exact_depth_frame(kind, 320, 180)
    if has_unknown:
        depth = one.depth.copy()
        depth[40:90, 100:180] = np.nan
        one = replace(one, depth=depth)
    picture = np.ascontiguousarray(cv2.GaussianBlur(one.frame.image, (9, 9), 0))
    one = replace(one, frame=replace(one.frame, pixels=Decoded(picture)))
    options = RenderOptions(style=style, colormap="turbo", invert=has_unknown)
    wanted = as_planes(render(one, options))
    out = YuvPlanes(*(np.zeros_like(plane) for plane in wanted))
    render_yuv(one, out, options)
    for found, exact in zip(out, wanted, strict=True):
        apart = np.abs(found.astype(int) - exact)
        assert apart.mean() < 0.7
        assert np.percentile(apart, 99) <= 12  # colors at half size, at the edges of what is unknown


@pytest.mark.parametrize(
    ("color", "planes"),
    [
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (16 + 219 * 0.2126, 128 - 112 * 0.2126 / 0.9278, 240)),
        ((0, 0, 255), (16 + 219 * 0.0722, 240, 128 - 112 * 0.0722 / 0.7874)),
    ],
)
def test_planes_of_pure_colors_are_those_of_bt709(
    color: tuple[int, int, int], planes: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(np.ravel(rgb_to_yuv(np.array([[color]], np.float32))), planes, atol=0.01)
