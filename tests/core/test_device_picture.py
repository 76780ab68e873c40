"""Arithmetic of NV12 on tensors, against swscale."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streamdepth.core.device_picture import (
    BT601,
    BT709,
    BT2020,
    DevicePicture,
    LumaWeights,
    picture_from_rgb,
    resize_plane,
)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
MATRICES = {Colorspace.ITU601: BT601, Colorspace.ITU709: BT709, Colorspace.BT2020: BT2020}


def smooth_picture(width: int = 192, height: int = 108) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(rgb: np.ndarray, matrix: Colorspace, color_range: ColorRange) -> av.VideoFrame:
    """swscale's NV12 of an RGB picture."""
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format="nv12", dst_colorspace=matrix, src_color_range=ColorRange.JPEG, dst_color_range=color_range
    )


def planes_of(frame: av.VideoFrame, weights: LumaWeights, is_full: bool, device: str = "cpu") -> DevicePicture:
    y, uv = (torch.from_dlpack(plane.__dlpack__()).clone().to(device) for plane in frame.planes)
    return DevicePicture(y, uv, weights, is_full)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", MATRICES)
def test_rgb_is_that_of_swscale(matrix: Colorspace, color_range: ColorRange, device: str) -> None:
    frame = encoded(smooth_picture(), matrix, color_range)
    exact = (
        frame.reformat(format="yuv420p")  # as the CPU decodes it
        .reformat(format="rgb24", src_colorspace=matrix, src_color_range=color_range, dst_color_range=ColorRange.JPEG)
        .to_ndarray()
    )
    found = planes_of(frame, MATRICES[matrix], color_range == ColorRange.JPEG, device).rgb().cpu().numpy()
    apart = np.abs(found.astype(int) - exact)
    assert apart.mean() < 1.5  # swscale cuts fractions off
    assert np.percentile(apart, 99) <= 3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(64, 36), (70, 50), (384, 216)])
def test_resized_pictures_are_those_of_swscale(size: tuple[int, int], device: str) -> None:
    frame = encoded(smooth_picture(), Colorspace.ITU709, ColorRange.MPEG)
    exact = frame.reformat(
        *size,
        "gbrp",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA,
    ).to_ndarray()
    found = planes_of(frame, BT709, False, device).rgb_at_size(*size).cpu().numpy()
    apart = np.abs(found.astype(int) - exact)
    assert apart.mean() < 0.1
    assert np.percentile(apart, 99) <= 1


@pytest.mark.parametrize("size", [(17, 9), (40, 24), (200, 120)])
def test_planes_are_resized_by_areas(size: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).random((50, 80), np.float32)
    how = cv2.INTER_AREA if size[0] < 80 else cv2.INTER_LINEAR
    found = resize_plane(torch.tensor(plane), *size).numpy()
    np.testing.assert_allclose(found, cv2.resize(plane, size, interpolation=how), atol=1e-5)


def test_nv12_is_that_of_swscale() -> None:
    rgb = smooth_picture()
    exact = planes_of(encoded(rgb, Colorspace.ITU709, ColorRange.MPEG), BT709, False)
    found = picture_from_rgb(torch.tensor(rgb))
    assert (found.y.int() - exact.y.int()).abs().float().mean() < 0.6
    assert (found.uv.int() - exact.uv.int()).abs().float().mean() < 1.0
    assert (found.y.int() - exact.y.int()).abs().max() <= 2


@pytest.mark.parametrize(
    ("rgb", "planes"), [((255, 255, 255), (235, 128, 128)), ((255, 0, 0), (63, 102, 240)), ((0, 0, 0), (16, 128, 128))]
)
def test_pure_colors_are_those_of_bt709(rgb: tuple[int, int, int], planes: tuple[int, int, int]) -> None:
    picture = picture_from_rgb(torch.tensor(rgb, dtype=torch.uint8).expand(2, 2, 3))
    assert (int(picture.y[0, 0]), *picture.uv[0, 0].tolist()) == planes
    assert np.abs(np.array(rgb) - picture.rgb()[0, 0].numpy()).max() <= 1


def test_other_matrices_become_bt709_for_videos() -> None:
    rgb = smooth_picture()
    picture = planes_of(encoded(rgb, Colorspace.ITU601, ColorRange.JPEG), BT601, True)
    converted = picture.as_bt709()
    assert (converted.weights, converted.is_full_range) == (BT709, False)
    assert np.abs(converted.rgb().numpy().astype(int) - picture.rgb().numpy()).mean() < 1.5
    assert converted.as_bt709() is converted
