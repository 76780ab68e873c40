"""A video of one's own pictures has the stream's times, and appears only when it is complete."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import names, stream

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.sinks.video_writer import VideoWriter

TICK = Fraction(1, 90000)


def test_pictures_have_the_times_of_the_frames_they_are_like(tmp_path: Path) -> None:
    info, items = stream(4)
    ticks = (0, 3000, 9000, 9600)
    items = [replace(i, frame=replace(i.frame, pts=t, time_base=TICK)) for i, t in zip(items, ticks, strict=True)]
    with VideoWriter(tmp_path / "own.mp4", replace(info, time_base=TICK), crf=5) as writer:
        for number, item in enumerate(items):
            like = item if number % 2 else item.frame
            writer.write(np.full((64, 96, 3), (200, 30, 20 * number), np.uint8), like=like)
        assert not (tmp_path / "own.mp4").exists()
    with av.open(str(tmp_path / "own.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [f.pts * f.time_base for f in frames] == [t * TICK for t in ticks]
    assert (frames[0].width, frames[0].height) == (96, 64)
    for number, frame in enumerate(frames):
        pixel = frame.to_ndarray(format="rgb24")[32, 48].astype(int)
        assert np.abs(pixel - (200, 30, 20 * number)).max() <= 4
    assert writer.notices == []
    assert names(tmp_path) == ["own.mp4"]


def test_the_first_picture_sets_the_size(tmp_path: Path) -> None:
    info, items = stream(2)
    with VideoWriter(tmp_path / "own.mkv", info) as writer:
        writer.write(np.zeros((33, 61, 3), np.uint8), like=items[0])
        writer.write(np.zeros((90, 200, 3), np.uint8), like=items[1])
    with av.open(str(tmp_path / "own.mkv")) as container:
        assert [(f.width, f.height) for f in container.decode(video=0)] == [(62, 34)] * 2


def test_a_view_and_a_picture_that_is_changed_afterwards_are_taken(tmp_path: Path) -> None:
    info, items = stream(1)
    picture = np.zeros((64, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "own.mp4", info, crf=5) as writer:
        writer.write(picture[:, ::-1], like=items[0])
        picture[:] = 255
    with av.open(str(tmp_path / "own.mp4")) as container:
        assert next(container.decode(video=0)).to_ndarray(format="rgb24").max() <= 4


@pytest.mark.parametrize("has_pictures", [True, False])
def test_a_block_that_raises_leaves_the_older_video(has_pictures: bool, tmp_path: Path) -> None:
    (tmp_path / "own.mp4").write_bytes(b"older")
    info, items = stream(1)

    def write_and_fail() -> None:
        with VideoWriter(tmp_path / "own.mp4", info, overwrite=True) as writer:
            if has_pictures:
                writer.write(items[0].frame.image, like=items[0])
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert (tmp_path / "own.mp4").read_bytes() == b"older"
    assert names(tmp_path) == ["own.mp4"]


def test_wrong_paths_are_said_at_once(tmp_path: Path) -> None:
    info, _ = stream(1)
    (tmp_path / "own.mp4").touch()
    for name, code in (("own.mp4", "exists"), ("own.avi", "unknown-format"), ("/dev/null/own.mp4", "no-folder")):
        with raises_code(SinkOpenError, code):
            VideoWriter(tmp_path / name, info)


def test_wrong_pictures_and_a_closed_writer_are_said(tmp_path: Path) -> None:
    info, items = stream(1)
    writer = VideoWriter(tmp_path / "own.mp4", info)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8 RGB"):
            writer.write(wrong, like=items[0])
    writer.close()
    writer.close()
    with raises_code(SinkWriteError, "not-open"):
        writer.write(items[0].frame.image, like=items[0])
    assert names(tmp_path) == []
