"""LeRobot's depth video, read by LeRobot's own formula."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.lerobot_set import dequantized, half_a_step, read_codes
from helpers.sink_data import MODEL, fill, stream
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.types import DepthKind
from streamdepth.sinks.lerobot_video import DepthQuantizer, LeRobotVideoSink
from streamdepth.utils.containers import open_media_file


def test_values_are_within_half_a_step_of_what_lerobot_reads(tmp_path) -> None:
    info, items = stream(5, 64, 48)
    rng = np.random.default_rng(0)
    for item in items:
        item.depth[:] = rng.uniform(0.01, 10, item.depth.shape)
    fill(LeRobotVideoSink(tmp_path / "d.mp4"), info, items)
    lerobot_feature = json.loads((tmp_path / "d.mp4.json").read_text())
    assert lerobot_feature["shape"] == [48, 64, 1]
    for codes, item in zip(read_codes(tmp_path / "d.mp4"), items, strict=True):
        error = np.abs(dequantized(codes, lerobot_feature["info"]) - item.depth)
        assert (error <= half_a_step(item.depth, lerobot_feature["info"])).all()


@given(st.floats(0.01, 10.0))
def test_codes_come_back_within_half_a_step(meters) -> None:
    quantizer, depth = DepthQuantizer(), np.full((1, 1), meters, np.float32)
    codes = quantizer.encode(depth)
    assert abs(quantizer.decode(codes) - depth) <= half_a_step(depth, quantizer.lerobot_facts)
    assert abs(dequantized(codes, quantizer.lerobot_facts) - quantizer.decode(codes)) < 1e-5


def test_every_code_comes_back_as_itself() -> None:
    codes = np.arange(4096, dtype=np.uint16)[None]
    np.testing.assert_array_equal(DepthQuantizer().encode(DepthQuantizer().decode(codes)), codes)


def test_times_are_the_sources_and_every_other_frame_is_a_key_frame(tmp_path) -> None:
    info, items = stream(9, 64, 48)
    kept = [item for item in items if item.frame.index not in (3, 6)]
    fill(LeRobotVideoSink(tmp_path / "d.mp4"), info, kept)
    with open_media_file(tmp_path / "d.mp4") as container:
        frames = list(container.decode(video=0))
    assert [f.time for f in frames] == pytest.approx([i.frame.time for i in kept], abs=1e-6)
    assert [f.key_frame for f in frames] == [i % 2 == 0 for i in range(7)]


def test_what_has_no_code_is_told(tmp_path) -> None:
    info, items = stream(1, 64, 48)
    depth = items[0].depth.copy()
    depth[0, :3] = np.nan, np.inf, 25.0
    sink = LeRobotVideoSink(tmp_path / "d.mp4")
    fill(sink, info, [replace(items[0], depth=depth)])
    assert read_codes(tmp_path / "d.mp4")[0][0, :3].tolist() == [0, 4095, 4095]
    assert any("unknown" in n for n in sink.notices)
    assert any("beyond 10 m" in n for n in sink.notices)


def test_relative_depth_is_refused(tmp_path) -> None:
    with raises_code(SinkOpenError, "relative-depth"):
        LeRobotVideoSink(tmp_path / "d.mp4").open(stream(1)[0], replace(MODEL, kind=DepthKind.RELATIVE))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("near", "far"), [(1.0, 1.0), (-1.0, 2.0), (0.0, math.inf)])
def test_limits_that_cannot_be(near, far) -> None:
    with pytest.raises(ConfigError, match="near"):
        DepthQuantizer(near, far)
