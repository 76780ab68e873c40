"""Pictures are painted when somebody looks at them, in the form he asks for, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from helpers import media

from streamdepth import config, factory
from streamdepth.core.resize import shrink
from streamdepth.core.types import Frame, LazyImage
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.sources.file import FileSource
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.realtime import RealtimeSource
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink

HD = Colorspace.ITU709


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """(width, height, format) of every conversion."""
    found = []
    plain = FrameConverter.reformat

    def noting(self, frame, width, height, pixel_format, *how):
        found.append((width, height, pixel_format))
        return plain(self, frame, width, height, pixel_format, *how)

    monkeypatch.setattr(FrameConverter, "reformat", noting)
    return found


def frames(path: Path) -> Iterator[Frame]:
    source = FileSource(path)
    source.open()
    while (frame := source.read()) is not None:
        yield frame
    source.close()


def test_all_forms_show_the_same_picture(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.mp4", size=(320, 180), count=3, colorspace=HD, options={"crf": "5"})
    for frame in frames(path):
        assert isinstance(frame.pixels, LazyImage)
        assert frame.size == (320, 180)
        assert frame.image is frame.image
        assert np.abs(frame.image_at_size(96, 64).astype(int) - shrink(frame.image, 96, 64)).mean() < 2
        as_yuv = av.VideoFrame(320, 180, "yuv420p")
        assert frame.yuv_planes is not None
        for plane, values in zip(as_yuv.planes, frame.yuv_planes, strict=True):
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:, : plane.width] = values
            plane.update(padded.tobytes())
        back = as_yuv.reformat(format="rgb24", src_colorspace=HD, src_color_range=1, dst_color_range=2).to_ndarray()
        assert np.abs(back.astype(int) - frame.image).mean() < 2


@pytest.mark.parametrize(
    "options",
    [
        {"colorspace": Colorspace.ITU601},
        {"colorspace": HD, "full_range": True},
        {"colorspace": HD, "pixel_format": "yuv444p"},
        {"colorspace": HD, "rotation": 90},
    ],
    ids=str,
)
def test_other_pictures_have_no_planes(options: dict, tmp_path: Path) -> None:
    assert [f.yuv_planes for f in frames(media.write_video(tmp_path / "a.mp4", count=2, **options))] == [None, None]


def test_a_picture_outlives_its_file(tmp_path: Path) -> None:
    kept = list(frames(media.write_video(tmp_path / "a.mp4", size=(64, 48), count=20)))
    for i, frame in enumerate(kept):
        assert np.abs(frame.image.astype(int) - media.moving(64, 48, i)).mean() < 12


def test_frames_that_come_too_late_are_never_painted(tmp_path: Path, painted: list) -> None:
    path = media.write_video(tmp_path / "a.mp4", count=60, rate=200)
    sink = RecordingSink(can_drop_frames=True)
    stream = Stream(RealtimeSource(FileSource(path)), make_stabilizer("off"), [sink])
    report = Pipeline([stream], ConstantEstimator(from_brightness=True, delay_seconds=0.03)).run()
    assert report.dropped["waiting_for_model"] > 10
    assert painted.count((64, 48, "rgb24")) <= 60 - report.dropped["waiting_for_model"]


def test_depth_alone_needs_no_full_picture(tmp_path: Path, painted: list) -> None:
    path = media.write_video(tmp_path / "a.mp4", size=(320, 180), count=4, colorspace=HD)
    settings = config.make(source=path, depth_out=tmp_path / "d.mkv", size=64, engine="torch", device="cpu")
    with factory.open_pipeline(settings) as pipeline:
        assert pipeline.run().written == 4
    assert {size[0] for size in painted} == {128, 160}


def test_arrays_have_the_same_forms() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    frame = Frame(image, 0, 0, Fraction(1), 0.0)
    assert frame.size == (120, 90)
    assert frame.yuv_planes is None
    np.testing.assert_array_equal(frame.image_at_size(40, 30), shrink(image, 40, 30))
    assert frame.image_at_size(240, 180).shape == (180, 240, 3)


def test_a_small_picture_is_made_from_a_larger_one_that_is_there(tmp_path: Path) -> None:
    """The picture for optical flow, from that for the network: the whole frame is read once, and hardly a level off."""
    path = media.write_video(tmp_path / "a.mp4", size=(640, 360), count=1, colorspace=HD, options={"crf": "5"})
    (first,), (second,) = frames(path), frames(path)
    direct = first.image_at_size(96, 54)
    large = second.image_at_size(256, 144)
    derived = second.image_at_size(96, 54)
    np.testing.assert_array_equal(derived, shrink(large, 96, 54))
    assert np.abs(derived.astype(int) - direct).mean() < 1
    assert not large.flags.writeable
    np.testing.assert_array_equal(second.image_at_size(200, 120), first.image_at_size(200, 120))
