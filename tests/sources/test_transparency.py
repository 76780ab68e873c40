"""Transparent videos: shown before gray, and without depth where they are transparent."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import streamdepth
from streamdepth.core.types import Frame
from streamdepth.sources.file import FileSource
from streamdepth.sources.transparency import composite
from streamdepth.testing import ConstantEstimator

WIDTH, HEIGHT, CLEAR = 64, 48, 24


def cutout(index: int = 0) -> np.ndarray:
    """Draws (H, W, 4): noise where it is transparent, on the left, and a color elsewhere."""
    rgba = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., 3] = 0
    rgba[:, CLEAR:] = 200, 60, 90, 255
    return rgba


def write_transparent(path: Path, codec: str, pixel_format: str, **options: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        if path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(cutout(index), "rgba").reformat(format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_gif(path: Path) -> Path:
    frames = [Image.fromarray(cutout(i)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, disposal=2)
    return path


VIDEOS = {
    "vp9.webm": lambda path: write_transparent(path, "libvpx-vp9", "yuva420p", **{"auto-alt-ref": "0"}),
    "vp8.webm": lambda path: write_transparent(path, "libvpx", "yuva420p", **{"auto-alt-ref": "0"}),
    "prores4444.mov": lambda path: write_transparent(path, "prores_ks", "yuva444p10le", profile="4444"),
    "animation.mov": lambda path: write_transparent(path, "qtrle", "argb"),
    "png.mov": lambda path: write_transparent(path, "png", "rgba"),
    "a.apng": lambda path: write_transparent(path, "apng", "rgba"),
    "ffv1.mkv": lambda path: write_transparent(path, "ffv1", "bgra"),
    "a.gif": write_gif,
}


@pytest.mark.parametrize("name", VIDEOS)
def test_transparent_videos_show_gray_and_say_where(tmp_path: Path, name: str) -> None:
    with FileSource(VIDEOS[name](tmp_path / name)) as source:
        source.open()
        frames = list(iter(source.read, None))
    assert len(frames) == 3
    for frame in frames:
        assert frame.valid is not None
        far = np.abs(np.arange(WIDTH) - CLEAR) > 4  # compression blurs the edge
        np.testing.assert_array_equal(frame.valid[:, far], np.broadcast_to(np.arange(WIDTH) >= CLEAR, (48, 64))[:, far])
        assert np.abs(frame.image[:, : CLEAR - 4].astype(int) - 128).max() <= 2
        assert np.abs(frame.image[:, CLEAR + 4 :].astype(int) - (200, 60, 90)).max() <= 8


def test_what_is_transparent_has_no_depth(tmp_path: Path) -> None:
    video = write_transparent(tmp_path / "a.mkv", "ffv1", "bgra")
    for item in streamdepth.stream(video, model=ConstantEstimator()):
        np.testing.assert_array_equal(np.isfinite(item.at_frame_size()), np.arange(WIDTH) >= np.full((48, 1), CLEAR))
        assert (item.render(streamdepth.RenderOptions(style="depth"))[:, :CLEAR] == 0).all()


def test_an_opaque_picture_with_alpha_has_no_mask() -> None:
    rgba = cutout()
    rgba[..., 3] = 255
    colors, valid = composite(rgba)
    assert valid is None
    np.testing.assert_array_equal(colors, rgba[..., :3])


def test_half_transparent_pixels_are_mixed_and_count_from_one_half_on() -> None:
    rgba = np.array([[[255, 0, 128, alpha] for alpha in (0, 64, 127, 128, 255)]], np.uint8)
    colors, valid = composite(rgba)
    assert colors[0, :, 0].tolist() == [128, 160, 191, 192, 255]
    assert colors[0, :, 1].tolist() == [128, 96, 64, 64, 0]
    assert valid is not None
    assert valid[0].tolist() == [False, False, False, True, True]
    assert isinstance(Frame(colors, 0, 0, Fraction(1), 0.0, valid=valid), Frame)


@pytest.mark.parametrize("name", ["a.png", "a.gif", "ffv1.mkv"])
def test_lost_transparency_is_announced_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.png":
        Image.fromarray(cutout()).save(path)
    else:
        VIDEOS[name](path)
    report = streamdepth.convert(path, depth_out=tmp_path / "gray.mov", model=ConstantEstimator())
    assert len([notice for notice in report.notices if "transparent" in notice]) == 1


def test_an_opaque_source_is_not_announced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(cutout()[..., :3]).save(path)
    assert not streamdepth.convert(path, depth_out=tmp_path / "d.npz", model=ConstantEstimator()).notices


def test_transparent_parts_are_unknown_or_far_in_files(tmp_path: Path) -> None:
    path = write_transparent(tmp_path / "a.mkv", "ffv1", "bgra")
    options = {"model": ConstantEstimator(), "overwrite": True}
    streamdepth.convert(path, depth_out=tmp_path / "gray.mkv", depth_map="near-white", near=2, far=0.5, **options)
    streamdepth.convert(path, depth_out=tmp_path / "d%04d.npz", first_number=1001, **options)
    with av.open(str(tmp_path / "gray.mkv")) as container:
        gray = next(container.decode(video=0)).to_ndarray(format="gray")
    assert gray[:, : CLEAR - 4].max() <= 2
    assert gray[HEIGHT // 2 :, CLEAR + 4 :].min() > 100
    maps = [np.load(tmp_path / f"d{number}.npz")["depth"] for number in (1001, 1002, 1003)]
    for depth in maps:
        np.testing.assert_array_equal(np.isnan(depth), np.broadcast_to(np.arange(WIDTH) < CLEAR, (HEIGHT, WIDTH)))
