"""AnimationSource: every picture of an animated PNG, WebP or AVIF, at its own time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from PIL import Image, features

import streamdepth as sd
from streamdepth.core.errors import ConfigError, SourceLostError
from streamdepth.sources.animation import AnimationSource
from streamdepth.testing import ConstantEstimator
from streamdepth.utils.media_kind import is_animation, media_kind

LEVELS = (20, 90, 160, 230)
DURATIONS = [100, 40, 500, 70]
SUFFIXES = [".png", ".webp", *([".avif"] if features.check("avif") else [])]


def write(path: Path, *, opaque: bool = True, **options: object) -> Path:
    pictures = [np.full((24, 32, 4), level, np.uint8) for level in LEVELS]
    for picture in pictures:
        picture[..., 3] = 255
        picture[:8, :, 3] = 255 if opaque else 0
    first, *rest = [Image.fromarray(picture if not opaque else picture[..., :3]) for picture in pictures]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=DURATIONS, **lossless, **options)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_picture_comes_at_its_time(tmp_path: Path, suffix: str) -> None:
    with sd.stream(str(write(tmp_path / f"a{suffix}")), model=ConstantEstimator(), smooth="off") as frames:
        assert (frames.info.width, frames.info.height, frames.info.frame_count) == (32, 24, 4)
        found = [(item.frame.time, int(item.frame.image[12, 12, 0])) for item in frames]
    assert [time for time, _ in found] == [0, 0.1, 0.14, 0.64]
    assert [level for _, level in found] == pytest.approx(LEVELS, abs=2)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_what_is_transparent_has_no_depth(tmp_path: Path, suffix: str) -> None:
    source = AnimationSource(write(tmp_path / f"a{suffix}", opaque=False))
    with source:
        source.open()
        for frame in iter(source.read, None):
            assert frame is not None
            np.testing.assert_array_equal(frame.valid, np.tile(np.arange(24)[:, None] >= 8, 32))
        assert len(source.notices) == 1


def test_the_picture_for_other_programs_is_left_out(tmp_path: Path) -> None:
    source = AnimationSource(write(tmp_path / "a.png", default_image=True))
    with source:
        assert source.open().frame_count == 3
        assert [int(frame.image[0, 0, 0]) for frame in iter(source.read, None) if frame] == list(LEVELS[1:])


def test_a_cut_off_animation_gives_what_is_there_and_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, *rest = [Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(4)]
    first.save(tmp_path / "a.png", save_all=True, append_images=rest, duration=100)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) * 5 // 8])
    with AnimationSource(tmp_path / "a.png") as source:
        source.open()
        frames = [source.read(), source.read()]
        assert [frame.index for frame in frames if frame] == [0, 1]
        with raises_code(SourceLostError, "damaged"):
            source.read()


def test_still_pictures_are_no_animations(tmp_path: Path) -> None:
    for suffix in (".png", ".webp", ".jpg"):
        Image.new("RGBA" if suffix != ".jpg" else "RGB", (8, 6)).save(tmp_path / f"a{suffix}")
        assert not is_animation(tmp_path / f"a{suffix}")
    assert not is_animation(tmp_path / "none")
    assert not is_animation("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_looked_into(tmp_path: Path) -> None:
    """To open it would wait for a writer and take the first bytes from the real reader."""
    os.mkfifo(tmp_path / "pipe")
    assert not is_animation(tmp_path / "pipe")
    assert media_kind(tmp_path / "pipe") is None


def test_its_clock_is_its_own(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.png"))
    with raises_code(ConfigError, "input-fps"), sd.stream(path, model=ConstantEstimator(), input_fps=10):
        pass
