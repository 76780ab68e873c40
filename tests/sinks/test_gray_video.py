"""Gray videos of depth: each gray is that of the stated mapping, in 8 and 10 bits, and what is read back says so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.media import write_video

import streamdepth
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.types import DepthKind, Estimate, ModelInfo
from streamdepth.sinks.encoders import EncodingOptions
from streamdepth.sinks.gray_video import GrayVideoSink
from streamdepth.testing import ConstantEstimator

NEAR, FAR = 0.5, 8.0


class RampEstimator(ConstantEstimator):
    """Depth that rises from left to right: 0.4 to 10 m, the first rows unknown."""

    def __init__(self, kind: DepthKind = DepthKind.METRIC) -> None:
        super().__init__(kind=kind)

    def estimate(self, frames):
        width, height = frames[0].size
        depth = np.linspace(0.4, 10, width, dtype=np.float32)[None].repeat(height, axis=0)
        depth[:8] = math.nan
        return [Estimate(depth) for _ in frames]


def read_gray(path: Path) -> list[np.ndarray]:
    """Returns the brightness of each frame, 0 to 1, from its luma."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            is_deep = "10" in frame.format.name
            plane = frame.planes[0]
            rows = np.asarray(memoryview(plane)).view(np.uint16 if is_deep else np.uint8).reshape(plane.height, -1)
            luma = rows[:, : plane.width].astype(float) / (4 if is_deep else 1)
            assert frame.color_range == 1
            found.append((luma - 16) / 219)
    return found


def expected(mapping: str, width: int, height: int) -> np.ndarray:
    depth = np.linspace(0.4, 10, width)[None].repeat(height, axis=0)
    gray = np.clip((FAR - depth) / (FAR - NEAR), 0, 1)
    gray[:8] = 0
    return gray if mapping == "near-white" else 1 - gray


@pytest.mark.parametrize("mapping", ["near-white", "near-black"])
@pytest.mark.parametrize(
    ("name", "bits", "codec", "pixel_format", "steps"),
    [
        ("g.mp4", 8, "auto", "yuv420p", 2.0),
        ("g.mp4", 10, "auto", "yuv420p10le", 1.0),
        ("g.mov", 8, "auto", "yuv422p10le", 1.0),
        ("g.mov", 8, "dnxhr", "yuv422p", 2.5),
        ("g.mov", 10, "dnxhr", "yuv422p10le", 1.0),
        ("g.mkv", 8, "auto", "yuv420p", 2.0),
    ],
)
def test_each_gray_is_that_of_the_mapping(tmp_path: Path, mapping, name, bits, codec, pixel_format, steps) -> None:
    width, height = size = (256, 128) if codec == "dnxhr" else (64, 48)  # DNxHR takes no smaller ones
    source = write_video(tmp_path / "in.mp4", count=4, size=size)
    options = {"depth_map": mapping, "near": NEAR, "far": FAR, "depth_bits": bits, "video_codec": codec}
    options |= {"depth_out": tmp_path / name, "smooth": "off", "video_crf": 2}
    streamdepth.convert(source, model=RampEstimator(), **options)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == pixel_format
        assert not container.streams.audio
    frames = read_gray(tmp_path / name)
    assert len(frames) == 4
    for gray in frames:
        assert gray.shape == (height, width)
        off = np.abs(gray - expected(mapping, width, height)) * 255
        off[6:10] = 0  # the edge of what is unknown
        assert off.mean() < steps / 2
        assert off.max() < 4 * steps
    facts = json.loads((tmp_path / f"{name}.json").read_text())
    assert (facts["mapping"], facts["kind"], facts["unit"]) == (mapping, "metric", "m")
    assert facts["ranges"] == [[0, NEAR, FAR]]


def test_relative_depth_spans_its_shot_and_says_so(tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "in.mp4", count=4), tmp_path / "g.mp4"
    streamdepth.convert(
        source,
        depth_out=out,
        model=RampEstimator(DepthKind.RELATIVE),
        smooth="off",
        depth_map="near-white",
        video_crf=2,
    )
    facts = json.loads((tmp_path / "g.mp4.json").read_text())
    assert facts["ranges"] == [[0, pytest.approx(10), pytest.approx(0.4)]]
    gray = read_gray(out)[0]
    np.testing.assert_allclose(gray[20], np.linspace(0, 1, 64), atol=0.03)


def test_a_wrong_order_and_a_codec_without_10_bits_are_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", count=2)
    with raises_code(ConfigError, "bad-range"):
        streamdepth.convert(
            source, depth_out=tmp_path / "g.mp4", model=RampEstimator(), depth_map="near-white", near=8, far=1
        )
    assert not (tmp_path / "g.mp4").exists()
    info = streamdepth.StreamInfo("s", 64, 48)
    with raises_code(SinkOpenError, "encoder-failed"):
        sink = GrayVideoSink(tmp_path / "x.mkv", encoding=EncodingOptions("mjpeg", bits=10))
        sink.open(info, ModelInfo("m", DepthKind.METRIC))
    with raises_code(ConfigError, "unknown-mapping"):
        GrayVideoSink(tmp_path / "x.mp4", "near-gray")  # type: ignore[arg-type]  # as a configuration may say


@pytest.mark.parametrize("name", ["r.mcap", "r.rrd"])
def test_the_extension_chooses_the_writer_of_a_recording(name: str, tmp_path: Path) -> None:
    pytest.importorskip({".mcap": "mcap", ".rrd": "rerun"}[Path(name).suffix])
    source = write_video(tmp_path / "in.mp4", count=3)
    streamdepth.convert(source, tmp_path / name, model=RampEstimator(), fov=60)
    assert (tmp_path / name).stat().st_size > 500
