"""Parts of recordings: exact to the frame, at a constant rate, of a rectangle, and deinterlaced."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import media
from helpers.errors import raises_code
from hypothesis import given
from hypothesis import strategies as st

from streamdepth import factory
from streamdepth.config import make
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.factory.sources import with_clip
from streamdepth.sources.clip import ClipSource, ConstantRateSource, CropSource
from streamdepth.sources.file import FileSource
from streamdepth.testing import SyntheticSource


def numbered(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Draws pictures that say their number: in 8 blocks of black or white, the lowest bit first."""
    images = []
    for index in range(count):
        bits = np.array([index >> bit & 1 for bit in range(8)], np.uint8) * 255
        images.append(np.broadcast_to(bits.repeat(size[0] // 8)[None, :, None], (size[1], size[0], 3)).copy())
    return images


def number_of(frame: Frame) -> int:
    width = frame.size[0]
    bits = frame.image[frame.size[1] // 2, width // 16 :: width // 8, 0] > 128
    return sum(int(bit) << place for place, bit in enumerate(bits))


def read_all(source: Source) -> tuple[StreamInfo, list[Frame]]:
    with source:
        info = source.open()
        return info, list(iter(source.read, None))


CUTS = [(0.4, 1.2, 10, 29), (0.41, 1.21, 11, 30), (1, None, 25, 59)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize(("start", "end", "first", "last"), CUTS)
def test_a_clip_is_exact_to_the_frame(tmp_path: Path, name: str, start, end, first: int, last: int) -> None:
    path = media.write_video(tmp_path / name, images=numbered(60), options={"g": "12", "bf": "2"})
    settings = make(source=str(path), start=start, end=end)
    source = with_clip(factory.make_source(str(path), settings), settings)
    info, frames = read_all(source)
    assert [number_of(frame) for frame in frames] == list(range(first, last + 1))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [round(frame.time * 25) for frame in frames] == list(range(len(frames)))
    assert frames[0].pts == 0
    assert info.clip_start == Fraction(first, 25)
    assert not source.undelivered


def test_what_cannot_be_cut_is_told(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.mp4", count=5)
    for settings, error, code in (
        (make(start=3.0), SourceOpenError, "empty"),
        (make(start=2.0, end=1.0), ConfigError, "bad-part"),
        (make(crop=(0, 0, 65, 10)), ConfigError, "bad-crop"),
    ):
        with raises_code(error, code):
            with_clip(FileSource(path), settings).open()
    with raises_code(ConfigError, "not-a-file"):
        ClipSource(SyntheticSource(is_live=True), 1.0).open()


class TimedSource(Source):
    """Small pictures at given times in milliseconds."""

    def __init__(self, times: list[int]) -> None:
        super().__init__()
        self.times = times
        self.position = 0

    def open(self) -> StreamInfo:
        self.position = 0
        return StreamInfo("timed", 8, 8, time_base=Fraction(1, 1000))

    def read(self) -> Frame | None:
        if self.position >= len(self.times):
            return None
        index, self.position = self.position, self.position + 1
        return Frame(np.zeros((8, 8, 3), np.uint8), index, self.times[index], Fraction(1, 1000), float(index))

    def close(self) -> None:
        super().close()


@given(
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    fps=st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(5), Fraction(100)]),
)
def test_a_constant_rate_takes_the_nearest_frame_for_each_slot(steps: list[int], fps: Fraction) -> None:
    times = [0, *np.cumsum(steps).tolist()]
    info, frames = read_all(ConstantRateSource(TimedSource(times), fps))
    assert (info.fps, info.time_base) == (fps, 1 / fps)
    assert [frame.pts for frame in frames] == [frame.index for frame in frames] == list(range(len(frames)))
    for frame in frames:
        distance = [abs(Fraction(time, 1000) - frame.pts / fps) for time in times]
        assert distance[int(frame.captured_at)] == min(distance)
    end = Fraction(times[-1] + (times[-1] - times[-2]), 1000)
    assert (len(frames) - 1) / fps < end <= len(frames) / fps


def test_a_file_gets_another_rate(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.mp4", images=numbered(50))
    for fps, expected in ((10, [round(k * 2.5 - 0.01) for k in range(20)]), (50, [k // 2 for k in range(100)])):
        _, frames = read_all(ConstantRateSource(FileSource(path), Fraction(fps)))
        found = [number_of(frame) for frame in frames]
        assert len(found) == len(expected)
        assert np.abs(np.subtract(found, expected)).max() <= 1


def test_a_crop_moves_the_camera_and_keeps_what_belongs_to_the_pixels() -> None:
    camera = Intrinsics(50, 50, 31.5, 23.5, 64, 48)

    class Sensor(SyntheticSource):
        def open(self) -> StreamInfo:
            return StreamInfo("s", 64, 48, intrinsics=camera) if super().open() else None

        def read(self) -> Frame | None:
            valid = np.ones((48, 64), np.bool_)
            valid[:10] = False
            depth = np.arange(24 * 32, dtype=np.float32).reshape(24, 32)
            image = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
            return Frame(image, 0, 0, Fraction(1), 0.0, valid=valid, sensor_depth=depth)

    with CropSource(Sensor(), (8, 6, 40, 30)) as source:
        info, frame = source.open(), source.read()
    assert (info.width, info.height) == frame.size == (40, 30)
    assert (info.intrinsics.cx, info.intrinsics.cy) == (23.5, 17.5)
    whole = Sensor().read()
    np.testing.assert_array_equal(frame.image, whole.image[6:36, 8:48])
    np.testing.assert_array_equal(frame.valid, whole.valid[6:36, 8:48])
    np.testing.assert_array_equal(frame.sensor_depth, whole.sensor_depth[3:18, 4:24])


def woven(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns pictures of a moving bar, and the same whose upper field is half an interval later, as x264 tags it."""

    def draw(position: float) -> np.ndarray:
        image = np.full((96, 128, 3), 40, np.uint8)
        left = int(position)
        image[:, left : left + 24] = 220
        return image

    first = [draw(8 + 6 * i) for i in range(count)]
    second = [draw(8 + 6 * i + 3) for i in range(count)]
    both = [image.copy() for image in first]
    for image, late in zip(both, second, strict=True):
        image[::2] = late[::2]
    return first, both


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("i.mp4", {"interlaced": True, "options": {"crf": "1"}}),
        ("i.mkv", {"field_order": 3, "codec": "ffv1"}),
        ("i.mov", {"field_order": 3, "codec": "mjpeg", "pixel_format": "yuvj444p", "options": {"qmax": "2"}}),
    ],
)
def test_deinterlacing_removes_the_combs_and_keeps_number_and_times(tmp_path: Path, name: str, settings: dict) -> None:
    """Field order 3 is libav's for bottom first."""
    truth, interlaced = woven(10)
    path = media.write_video(tmp_path / name, images=interlaced, **settings)
    _, before = read_all(FileSource(path))
    source = FileSource(path, deinterlaces=True)
    _, after = read_all(source)
    assert [(f.index, f.time) for f in after] == [(f.index, f.time) for f in before]
    combs, rest = (
        [np.abs(frame.image.astype(int) - image).mean() for frame, image in zip(frames, truth, strict=True)]
        for frames in (before, after)
    )
    assert np.mean(rest[1:-1]) < 0.35 * np.mean(combs[1:-1]), (combs, rest)
    assert sum("interlaced" in notice for notice in source.notices) == 1


def test_progressive_video_is_left_as_it_is(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "p.mp4", count=6)
    plain, deinterlaced = read_all(FileSource(path))[1], read_all(FileSource(path, deinterlaces=True))[1]
    for one, other in zip(plain, deinterlaced, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
