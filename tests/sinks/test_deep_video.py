"""Videos of 10 bits: samples, tags and facts of HDR10 of the source are kept where the codec can, else 8 bits."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from helpers.media import write_video

import streamdepth
from streamdepth.core.deep_color import DeepColor
from streamdepth.sources.deep_picture import deep_color
from streamdepth.testing import ConstantEstimator

DISPLAY = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1)"
SIZE = 128, 96


def write_ramp(path: Path, *, is_hdr: bool) -> Path:
    """Writes a gray ramp of 10 bits, with and without the tags and facts of HDR10."""
    ramp = np.linspace(4000, 60000, SIZE[0]).astype(np.uint16)
    images = [np.roll(ramp, 4 * i)[None, :, None].repeat(SIZE[1], 0).repeat(3, 2).copy() for i in range(4)]
    params = "log-level=error" + (f":master-display={DISPLAY}:max-cll=1000,400" if is_hdr else "")
    tags = {"transfer": ColorTrc.SMPTE2084, "primaries": ColorPrimaries.BT2020, "colorspace": Colorspace.BT2020}
    return write_video(
        path,
        images=images,
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"crf": "1", "preset": "ultrafast", "x265-params": params},
        **(tags if is_hdr else {"colorspace": Colorspace.ITU709}),
    )


def read(path: Path) -> tuple[list[av.VideoFrame], list[np.ndarray]]:
    """Returns the frames, and their luma in 10 bits."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    rows = [np.asarray(memoryview(f.planes[0])).view(np.uint16).reshape(f.height, -1)[:, : f.width] for f in frames]
    return frames, [row.astype(int) for row in rows]


@pytest.mark.parametrize(("is_hdr", "name"), [(True, "out.mp4"), (False, "out.mp4"), (True, "out.mkv")])
def test_hevc_keeps_samples_tags_and_facts(tmp_path: Path, is_hdr: bool, name: str) -> None:
    source, out = write_ramp(tmp_path / "in.mp4", is_hdr=is_hdr), tmp_path / name
    options = {"style": "side-by-side", "legend": False, "video_codec": "hevc", "video_crf": 4}
    streamdepth.convert(source, out, model=ConstantEstimator(), **options)
    frames, luma = read(out)
    originals, expected = read(source)
    assert {frame.format.name for frame in frames} == {"yuv420p10le"}
    color = DeepColor(9, 16, 9, DISPLAY, "1000,400") if is_hdr else DeepColor(2, 2, 1)
    assert deep_color(originals[0], 1) == deep_color(frames[0], 1) == color
    assert len(luma) == len(expected) == 4
    for got, original in zip(luma, expected, strict=True):
        off = np.abs(got[:, : SIZE[0]] - original)
        assert off.mean() < 1.5  # of 1024; the last of 8 bits would be 4


@pytest.mark.parametrize(
    "options",
    [{}, {"video_codec": "hevc", "height": 48}, {"video_codec": "hevc", "crop": (0, 0, 64, 48)}],
    ids=["h264", "scaled", "cropped"],
)
def test_other_videos_have_8_bits_and_are_tagged_so(tmp_path: Path, options: dict) -> None:
    source, out = write_ramp(tmp_path / "in.mp4", is_hdr=True), tmp_path / "out.mp4"
    report = streamdepth.convert(source, out, model=ConstantEstimator(), **options)
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "yuv420p"
    assert (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)) == (1, 1, 1)
    assert any("HDR (PQ)" in notice for notice in report.notices)
    assert any("10 bits" in notice for notice in report.notices) == ("height" in options)


def test_frames_that_wait_on_disk_are_drawn_from_8_bits_and_that_is_told(tmp_path: Path) -> None:
    source, out = write_ramp(tmp_path / "in.mp4", is_hdr=True), tmp_path / "out.mp4"
    report = streamdepth.convert(source, out, model=ConstantEstimator(), video_codec="hevc", range="per-shot")
    frames, _ = read(out)
    assert [frame.format.name for frame in frames] == ["yuv420p10le"] * 4
    assert any("10 bits" in notice for notice in report.notices)


def test_styles_and_pictures_beside_depth_that_have_8_bits_say_so(tmp_path: Path) -> None:
    source = write_ramp(tmp_path / "in.mp4", is_hdr=False)
    options = {"model": ConstantEstimator(), "video_codec": "hevc"}
    stereo = streamdepth.convert(source, tmp_path / "eyes.mkv", style="sbs", **options)
    both = streamdepth.convert(source, depth_out=tmp_path / "both.mkv", with_rgb=True, **options)
    for report in (stereo, both):
        assert any("8" in notice and "10 bits" in notice for notice in report.notices)
