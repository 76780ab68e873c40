"""Outputs of parts of recordings: sound and subtitles cut alike, and videos of another size."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from helpers.errors import raises_code
from helpers.media import write_video

import streamdepth
from streamdepth.core.errors import ConfigError
from streamdepth.sinks.video import OutputSize
from streamdepth.testing import ConstantEstimator

PLAIN = {"style": "side-by-side", "legend": False}
FPS, SECONDS, CLICK = 25, 4, 2.0
"""The sound clicks and the picture flashes at two seconds."""


def write_flash_and_click(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, width=64, height=48, pix_fmt="yuv420p", options={"g": "30"})
        sound = container.add_stream(codec, rate=48000, layout="mono")
        for index in range(FPS * SECONDS):
            level = 235 if index == round(CLICK * FPS) else 40
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
        samples = np.zeros(48000 * SECONDS, np.float32)
        samples[round(CLICK * 48000) : round(CLICK * 48000) + 480] = 0.9
        kind = "fltp" if codec == "aac" else "s16"
        data = samples if codec == "aac" else (samples * 32000).astype(np.int16)
        for start in range(0, len(samples) - 1023, 1024):
            frame = AudioFrame.from_ndarray(data[None, start : start + 1024], kind, "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return path


def read_flash_and_click(path: Path) -> tuple[list[float], float, float, float]:
    """Returns the times of the pictures, that of the flash, that of the click, and that at which the sound ends."""
    with av.open(str(path)) as container:
        frames = [(float(f.time), f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        click, end = -1.0, 0.0
        for frame in container.decode(audio=0):
            values = np.abs(frame.to_ndarray().astype(np.float64)).ravel()
            values /= 32768 if frame.format.name.startswith("s16") else 1
            loud = np.flatnonzero(values > 0.4)
            if loud.size and click < 0:
                click = float(frame.time) + loud[0] / 48000
            end = float(frame.time) + values.size / 48000
    return [t for t, _ in frames], next(t for t, level in frames if level > 150), click, end


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "pcm_s16le"), (".mkv", "aac")])
@pytest.mark.parametrize(("start", "end"), [(1.0, 3.0), (1.32, None), (None, 2.4)])
def test_sound_is_cut_with_the_picture_and_stays_in_step(tmp_path: Path, suffix: str, codec: str, start, end) -> None:
    source = write_flash_and_click(tmp_path / f"in{suffix}", codec)
    out = tmp_path / f"out{suffix}"
    streamdepth.convert(source, out, model=ConstantEstimator(), start=start, end=end, **PLAIN)
    times, flash, click, sound_end = read_flash_and_click(out)
    length = (end or SECONDS) - (start or 0)
    assert len(times) == round(length * FPS)
    assert times[0] == 0
    assert flash == pytest.approx(CLICK - (start or 0), abs=0.001)
    assert click == pytest.approx(flash, abs=0.004)
    assert abs(sound_end - length) < 0.05


@pytest.mark.parametrize("fps", [10, 50, 24000 / 1001])
def test_another_rate_keeps_the_speed_of_the_sound(tmp_path: Path, fps: float) -> None:
    source, out = write_flash_and_click(tmp_path / "in.mkv", "pcm_s16le"), tmp_path / "out.mkv"
    streamdepth.convert(source, out, model=ConstantEstimator(), fps=fps, start=1, end=3, **PLAIN)
    times, flash, click, sound_end = read_flash_and_click(out)
    assert len(times) == pytest.approx(2 * fps, abs=1)
    assert np.abs(np.subtract(times, np.arange(len(times)) / fps)).max() < 0.001
    assert click == pytest.approx(1.0, abs=0.004)
    assert abs(flash - click) <= 0.5 / fps + 0.001
    assert abs(sound_end - 2.0) < 0.12


def test_subtitles_are_cut_alike(tmp_path: Path) -> None:
    lines = [(0.0, 0.3, "before"), (0.5, 1.5, "at the start"), (1.6, 1.8, "within"), (2.5, 3.5, "at the end")]
    source = write_video(tmp_path / "in.mkv", count=100, subtitles=lines, audio_offset_seconds=0)
    out = tmp_path / "out.mkv"
    streamdepth.convert(source, out, model=ConstantEstimator(), start=1, end=3)
    with av.open(str(out)) as container:
        packets = [p for p in container.demux(container.streams.subtitles[0]) if p.size]
        found = [(float(p.pts * p.time_base), float(p.duration * p.time_base), bytes(p).decode()) for p in packets]
    assert found == [(0.0, 0.5, "at the start"), (0.6, 0.2, "within"), (1.5, 0.5, "at the end")]


@pytest.mark.parametrize(
    ("asked", "style", "expected"),
    [
        ({"height": 24}, "overlay", (32, 24)),
        ({"width": 128}, "overlay", (128, 96)),
        ({"scale": 0.5}, "side-by-side", (64, 24)),
        ({"height": 24}, "side-by-side", (64, 24)),
        ({"width": 40, "height": 40}, "depth", (40, 40)),
        ({}, "overlay", (64, 48)),
        ({"height": 24}, "sbs", (64, 24)),
        ({"width": 32}, "top-bottom", (32, 48)),
        ({}, "half-sbs", (64, 48)),
    ],
)
def test_the_video_has_the_size_that_is_asked_for(tmp_path: Path, asked, style, expected: tuple[int, int]) -> None:
    source = write_video(tmp_path / "in.mp4", count=3)
    out = tmp_path / "out.mp4"
    streamdepth.convert(source, out, model=ConstantEstimator(), style=style, **asked)
    with av.open(str(out)) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {expected}
    assert len(frames) == 3


def test_a_factor_beside_a_height_is_a_conflict() -> None:
    with raises_code(ConfigError, "conflict"):
        OutputSize(height=20, scale=0.5)


@pytest.mark.parametrize(("first_number", "expected"), [(1001, [1001, 1002, 1003]), (None, [0, 1, 2])])
def test_numbers_begin_where_compositors_expect_them(tmp_path: Path, first_number, expected: list[int]) -> None:
    source = write_video(tmp_path / "in.mp4", count=20)
    pattern = tmp_path / "plate" / "d.%04d.png"
    model = ConstantEstimator()
    streamdepth.convert(source, depth_out=pattern, model=model, start=0.4, max_frames=3, first_number=first_number)
    assert sorted(path.name for path in pattern.parent.glob("*.png")) == [f"d.{n:04d}.png" for n in expected]
    facts = json.loads((pattern.parent / "d.frames.json").read_text())["frames"]
    assert [entry["index"] for entry in facts.values()] == expected
