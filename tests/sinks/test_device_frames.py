"""Frames for encoders that are drawn where picture and depth lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from helpers.on_device import on_device
from helpers.sink_data import MODEL, exact_depth_frame, stream

from streamdepth.core.device_picture import picture_from_rgb
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.sinks.encoders import available_encoders
from streamdepth.sinks.video import VideoSink
from streamdepth.sinks.video_frames import render_video_frame
from streamdepth.sources.device_image import DeviceImage


def item_on_device(item: DepthFrame, device: str = "cpu") -> DepthFrame:
    picture = picture_from_rgb(torch.tensor(item.frame.image, device=device))
    return replace(on_device(item, device), frame=replace(item.frame, pixels=DeviceImage(picture)))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "cuda"])
def test_the_picture_is_that_of_the_cpu_in_each_format(pixel_format: str) -> None:
    item = exact_depth_frame()
    exact = render_video_frame(item, "yuv420p", (320, 200), RenderOptions())
    found = render_video_frame(item_on_device(item), pixel_format, (320, 200), RenderOptions())
    assert found.format.name == ("yuv420p" if pixel_format == "yuv420p" else "nv12")  # of tensors on the CPU
    assert (found.colorspace, found.color_range) == (1, 1)
    apart = np.abs(found.reformat(format="yuv420p").to_ndarray().astype(int) - exact.to_ndarray())
    assert apart.mean() < 1.0


def test_chroma_lies_where_nvenc_looks_for_it() -> None:
    found = render_video_frame(item_on_device(exact_depth_frame()), "cuda", (320, 200), RenderOptions())
    luma, chroma = found.planes
    assert (luma.line_size, chroma.line_size) == (320, 320)
    assert chroma.buffer_ptr - luma.buffer_ptr == 320 * 200


@pytest.mark.parametrize("options", [RenderOptions(style="anaglyph"), RenderOptions(edges="guided")])
def test_what_a_gpu_does_not_draw_is_drawn_for_its_encoder_all_the_same(options: RenderOptions) -> None:
    item = exact_depth_frame()
    found = render_video_frame(item_on_device(item), "cuda", (320, 200), options)
    exact = render_video_frame(item, "nv12", (320, 200), options)
    assert found.format.name == "nv12"
    assert np.abs(found.to_ndarray().astype(int) - exact.to_ndarray()).mean() < 2.0


@pytest.mark.gpu
def test_nvenc_takes_frames_from_the_gpu(tmp_path: Path) -> None:
    if "h264_nvenc" not in available_encoders():
        pytest.skip("this GPU has no encoder, as A100 and H200 have none")
    info, items = stream(8, 320, 200)
    sink = VideoSink(tmp_path / "out.mp4", codec="h264_nvenc")
    sink.open(replace(info, device="cuda:0"), MODEL)
    for item in items:
        sink.write(item_on_device(item, "cuda"))
    sink.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        written = [frame.to_ndarray() for frame in container.decode(video=0)]
    exact = [render_video_frame(item, "yuv420p", (320, 200), RenderOptions()).to_ndarray() for item in items]
    assert len(written) == 8
    for one, other in zip(written, exact, strict=True):
        assert 10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()) > 30
