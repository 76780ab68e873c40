"""What the options of encoders do to size, quality and delay of a real video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import pytest
from av.video.codeccontext import VideoCodecContext

from streamdepth.sinks.encoders import encoder_options, low_latency_options, open_encoder

ROOM = Path(__file__).parents[2] / "samples" / "room.mp4"


@pytest.fixture(scope="module")
def pictures() -> list[av.VideoFrame]:
    with av.open(str(ROOM)) as container:
        frames = [frame for _, frame in zip(range(40), container.decode(video=0), strict=False)]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 30)
        frame.pict_type = 0  # the encoder chooses its own keyframes
    return frames


def x264(pictures: list[av.VideoFrame], options: dict[str, str]) -> VideoCodecContext:
    context = cast(VideoCodecContext, av.CodecContext.create("libx264", "w"))
    context.options = options
    open_encoder(context, pictures[0].width, pictures[0].height, Fraction(1, 30))
    return context


def size_and_psnr(pictures: list[av.VideoFrame], options: dict[str, str]) -> tuple[int, float]:
    """Returns the bytes of a video and the mean PSNR of its luma in dB."""
    context = x264(pictures, options)
    packets = [packet for picture in (*pictures, None) for packet in context.encode(picture)]
    decoder = cast(VideoCodecContext, av.CodecContext.create("h264", "r"))
    decoder.extradata = context.extradata
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    height = pictures[0].height
    psnr = [cv2.PSNR(a.to_ndarray()[:height], b.to_ndarray()[:height]) for a, b in zip(pictures, decoded, strict=True)]
    return sum(packet.size for packet in packets), sum(psnr) / len(psnr)


def test_the_usual_preset_gives_files_like_veryfast_and_not_like_bare_superfast(pictures) -> None:
    usual, usual_psnr = size_and_psnr(pictures, encoder_options("libx264", 20, "auto"))
    veryfast, veryfast_psnr = size_and_psnr(pictures, encoder_options("libx264", 20, "veryfast"))
    bare, _ = size_and_psnr(pictures, {"crf": "20", "preset": "superfast"})
    assert usual < 1.25 * veryfast < bare
    assert abs(usual_psnr - veryfast_psnr) < 0.5


@pytest.mark.parametrize("preset", ["auto", "superfast", "veryfast"])
def test_a_live_encoder_gives_each_picture_at_once(preset: str, pictures) -> None:
    context = x264(pictures, encoder_options("libx264", 23, preset) | low_latency_options("libx264"))
    assert [len(context.encode(picture)) for picture in pictures[:12]] == [1] * 12
