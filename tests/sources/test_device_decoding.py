"""Decoding on a GPU: what is decided without one, by decoders that only pretend to be a GPU's."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace
from helpers.on_device import device_picture_of
from helpers.paths import SAMPLES

from streamdepth.core.device_picture import BT601, BT709
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.types import Frame
from streamdepth.sources import device_decoding
from streamdepth.sources import file as file_module
from streamdepth.sources.black_bars import BarTracker
from streamdepth.sources.device_decoding import DEVICE_CODECS, find_refusal, refusal
from streamdepth.sources.device_image import DeviceImage, make_device_picture
from streamdepth.sources.file import FileSource
from streamdepth.utils.containers import open_media_file


def decode_on_cpu(video: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(video)) as container:
        return [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", DEVICE_CODECS)
def test_a_decoder_that_gives_the_cpus_pictures_is_used(codec: str) -> None:
    assert find_refusal(codec, decode_on_cpu) is None


def test_a_decoder_that_gives_other_pictures_is_not_used() -> None:
    reason = find_refusal("h264", lambda video: [luma + 1 for luma in decode_on_cpu(video)])
    assert reason is not None
    assert "other pictures" in reason


def test_a_decoder_that_loses_frames_is_not_used() -> None:
    assert find_refusal("h264", lambda video: decode_on_cpu(video)[:-1]) is not None


def test_the_reason_of_a_decoder_that_does_not_start_is_told() -> None:
    def fail(_: bytes) -> list[np.ndarray]:
        raise av.error.PermissionError(1, "no driver")

    reason = find_refusal("hevc", fail)
    assert reason is not None
    assert "hevc" in reason
    assert "no driver" in reason


def test_codecs_that_no_gpu_decodes_are_refused_at_once() -> None:
    assert find_refusal("prores", lambda _: pytest.fail("it was tried")) is not None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_file_is_read_on_the_cpu_and_the_reason_is_told() -> None:
    source = FileSource(SAMPLES / "room.mp4", device="cuda")
    info = source.open()
    assert info.device is None
    assert source.read().yuv_planes is not None
    assert [notice for notice in source.notices if "decoded on the CPU and not on cuda" in notice]
    source.close()


@pytest.fixture
def decoder_that_passed_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_decoding, "refusal", lambda *_: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.usefixtures("decoder_that_passed_its_test")
def test_a_gpu_that_is_lost_is_announced() -> None:
    source = FileSource(SAMPLES / "room.mp4", device="cuda")
    assert source.open().device is None
    assert any("decoded on the CPU and not on cuda" in notice for notice in source.notices)
    source.close()


@pytest.mark.usefixtures("decoder_that_passed_its_test")
def test_a_video_that_the_decoder_refuses_after_all_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec may be known and a profile of it not: libav then decodes on the CPU by itself."""
    monkeypatch.setattr(file_module, "open_media_file", lambda path, _=None: open_media_file(path))
    source = FileSource(SAMPLES / "room.mp4", device="cuda")
    assert source.open().device is None
    assert any("does not take this kind of video" in notice for notice in source.notices)
    source.close()


@pytest.mark.gpu
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_gpu_decodes(codec: str) -> None:
    assert refusal(codec, "cuda") is None


@pytest.mark.gpu
def test_frames_of_a_gpu_are_those_of_the_cpu() -> None:
    here, there = FileSource(SAMPLES / "room.mp4"), FileSource(SAMPLES / "room.mp4", device="cuda")
    here.open()
    assert there.open().device == "cuda"
    for one, other in zip(iter(here.read, None), iter(there.read, None), strict=True):
        assert one.pts == other.pts
        assert other.device_picture is not None
        np.testing.assert_array_equal(one.yuv_planes.y, other.device_picture.y.cpu().numpy())
        assert np.abs(one.image_at_size(160, 90).astype(int) - other.image_at_size(160, 90)).mean() < 1.5


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def test_a_device_image_shows_what_the_cpu_shows() -> None:
    source = FileSource(SAMPLES / "room.mp4")
    source.open()
    here = source.read()
    there = DeviceImage(device_picture_of(first_frame(SAMPLES / "room.mp4")))
    assert there.size == here.size
    assert np.abs(there.rgb().astype(int) - here.image).mean() < 1.5  # swscale cuts fractions off
    assert np.abs(there.image_at_size(160, 90).astype(int) - here.image_at_size(160, 90)).mean() < 1.5
    source.close()


def test_tags_decide_on_the_arithmetic() -> None:
    frame = first_frame(SAMPLES / "room.mp4").reformat(format="nv12")
    picture = make_device_picture(frame, Colorspace.ITU601, ColorRange.JPEG)
    assert picture is not None
    assert (picture.weights, picture.is_full_range) == (BT601, True)
    picture = make_device_picture(frame, Colorspace.ITU709, ColorRange.MPEG)
    assert picture is not None
    assert (picture.weights, picture.is_full_range) == (BT709, False)
    assert make_device_picture(frame, Colorspace.SMPTE240M, ColorRange.MPEG) is None


def test_black_bars_are_found_in_a_device_image() -> None:
    y = torch.full((180, 320), 120, dtype=torch.uint8)
    y[:20] = y[160:] = 16
    picture = make_device_picture(_nv12(y), Colorspace.ITU709, ColorRange.MPEG)
    assert picture is not None
    frame = Frame(DeviceImage(picture), 0, 0, Fraction(1, 25), 0.0)
    tracker = BarTracker()
    assert tracker.update(frame) is not None
    assert tracker.bars == (20, 20, 0, 0)


def _nv12(y: torch.Tensor) -> av.VideoFrame:
    uv = torch.full((y.shape[0] // 2, y.shape[1] // 2, 2), 128, dtype=torch.uint8)
    return av.VideoFrame.from_dlpack((y, uv), format="nv12")


def test_errors_of_the_file_are_those_of_the_cpu(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    with pytest.raises(StreamDepthError) as caught:
        FileSource(text, device="cuda").open()
    assert caught.value.code == "unknown-format"
