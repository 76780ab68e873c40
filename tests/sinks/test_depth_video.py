from __future__ import annotations

import gc
import json
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, fill, stream
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, SinkOpenError, SourceLostError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.sinks import depth_facts
from streamdepth.sinks.depth_codes import (
    AdaptiveRange,
    decode_linear16,
    decode_log16,
    encode_linear16,
    encode_log16,
    range_of_frame,
)
from streamdepth.sinks.depth_video import DepthVideo, DepthVideoSink
from streamdepth.sinks.video import VideoSink

SHAPE = (2, 4)
SPECIAL = st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0, -1.0])
METERS = st.floats(float(np.float32(0.1)), 200, width=32)
RELATIVE = ModelInfo("relative", DepthKind.RELATIVE, license="CC-BY-NC-4.0", engine="openvino", precision="float16")


def maps(values: st.SearchStrategy[float]) -> st.SearchStrategy[DepthMap]:
    return arrays.arrays(np.float32, SHAPE, elements=values)


@settings(max_examples=50)
@given(maps(METERS))
def test_log16_keeps_meters_within_its_relative_error(depth: DepthMap) -> None:
    back = decode_log16(encode_log16(depth))
    assert back.dtype == np.float32
    assert np.abs(back / depth - 1).max() <= 6.1e-5


@settings(max_examples=50)
@given(maps(METERS | SPECIAL))
def test_log16_keeps_what_is_no_number(depth: DepthMap) -> None:
    codes = encode_log16(depth)
    invalid = np.isnan(depth) | (depth <= 0)
    np.testing.assert_array_equal(codes == 0, invalid)
    np.testing.assert_array_equal(codes == 65535, np.isposinf(depth))
    back = decode_log16(codes)
    np.testing.assert_array_equal(np.isnan(back), invalid)
    np.testing.assert_array_equal(np.isposinf(back), np.isposinf(depth))


@settings(max_examples=50)
@given(maps(METERS | SPECIAL), st.floats(0.01, 1), st.floats(2, 1000))
def test_codes_survive_decoding_and_encoding(depth: DepthMap, near_m: float, far_m: float) -> None:
    codes = encode_log16(depth, near_m, far_m)
    np.testing.assert_array_equal(encode_log16(decode_log16(codes, near_m, far_m), near_m, far_m), codes)


def test_log16_takes_the_nearest_end_outside_its_range() -> None:
    codes = encode_log16(np.array([[1e-9, 0.05, 0.1, 200, 500, 3e38]], np.float32))
    assert codes.tolist() == [[1, 1, 1, 65534, 65534, 65534]]


@settings(max_examples=50)
@given(maps(st.floats(-100, 100, width=32) | SPECIAL), st.floats(-200, -101), st.floats(101, 300))
def test_linear16_keeps_relative_depth_within_half_a_step(depth: DepthMap, low: float, high: float) -> None:
    codes = encode_linear16(depth, low, high)
    finite = np.isfinite(depth)
    np.testing.assert_array_equal(codes == 0, ~finite)
    back = decode_linear16(codes, low, high)
    np.testing.assert_array_equal(np.isnan(back), ~finite)
    assert np.abs(back[finite] - depth[finite]).max(initial=0) <= (high - low) / 65533 / 2 * 1.001 + 2e-5


@settings(max_examples=50)
@given(st.lists(maps(st.floats(-1e6, 1e6, width=32) | SPECIAL), min_size=1, max_size=12))
def test_a_growing_range_clips_nothing_and_keeps_eleven_bits(frames: list[DepthMap]) -> None:
    growing = AdaptiveRange()
    used = [growing.update(depth, i) for i, depth in enumerate(frames)]
    for i, (depth, limits) in enumerate(zip(frames, used, strict=True)):
        finite = depth[np.isfinite(depth)]
        assert not finite.size or range_of_frame(growing.ranges, i) == limits
        if finite.size:
            assert limits[0] <= finite.min() <= finite.max() <= limits[1]
            span = float(finite.max()) - float(finite.min())
            back = decode_linear16(encode_linear16(finite, *limits), *limits)
            assert np.abs(back - finite).max() <= max(span / 2**11, 1e-4 * np.abs(finite).max(), 1e-11)


def test_a_steady_video_has_one_range() -> None:
    growing = AdaptiveRange()
    for i in range(100):
        growing.update(np.linspace(0.5, 2 + 0.5 * np.sin(i), 20, dtype=np.float32)[None], i)
    assert len(growing.ranges) == 1


def items_with(depths: list[DepthMap], kind: DepthKind) -> tuple[StreamInfo, list[DepthFrame]]:
    info, items = stream(len(depths))
    return info, [replace(i, depth=d, kind=kind) for i, d in zip(items, depths, strict=True)]


def noise(count: int, low: float, high: float) -> list[DepthMap]:
    rng = np.random.default_rng(0)
    return [rng.uniform(low, high, (24, 32)).astype(np.float32) for _ in range(count)]


def test_metric_depth_comes_back(tmp_path: Path) -> None:
    depths = noise(5, 0.2, 80)
    depths[1][0, :4] = np.nan, np.inf, 0, -3
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(depths, DepthKind.METRIC))
    video = DepthVideo(tmp_path / "d.mkv")
    assert video.kind is DepthKind.METRIC
    assert len(video) == 5
    for back, depth in zip(video, depths, strict=True):
        assert back.dtype == np.float32
        known = np.isfinite(depth) & (depth > 0)
        assert np.abs(back[known] / depth[known] - 1).max() <= 6.1e-5
        np.testing.assert_array_equal(np.isnan(back), np.isnan(depth) | (depth <= 0))
        np.testing.assert_array_equal(np.isposinf(back), np.isposinf(depth))


def test_relative_depth_comes_back_when_its_range_changes(tmp_path: Path) -> None:
    depths = [*noise(3, 0, 1), *noise(3, -500, 900), *noise(2, 5, 5.5)]
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(depths, DepthKind.RELATIVE), RELATIVE)
    video = DepthVideo(tmp_path / "d.mkv")
    assert video.metadata["unit"] is None
    assert [first for first, _, _ in video.metadata["ranges"]] == [0, 3, 6]
    for back, depth in zip(video, depths, strict=True):
        assert np.abs(back - depth).max() <= np.ptp(depth) / 2**14


@pytest.mark.parametrize("index", [0, 7, 19, -1, -20])
def test_random_access(tmp_path: Path, index: int) -> None:
    depths = noise(20, 1, 9)
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(depths, DepthKind.METRIC))
    video = DepthVideo(tmp_path / "d.mkv")
    assert np.abs(video[index] / depths[index] - 1).max() <= 6.1e-5
    with pytest.raises(IndexError):
        video[20]


@pytest.mark.parametrize(
    "ticks",
    [[0, 17, 1000, 1001, 90000, 123457], [-9000, -3000, 0, 3000, 6000, 9001], [10**9 + i for i in range(0, 600, 100)]],
)
def test_exact_times(tmp_path: Path, ticks: list[int]) -> None:
    tick = Fraction(1, 90000)
    depths = noise(6, 1, 9)
    info, items = items_with(depths, DepthKind.METRIC)
    items = [replace(i, frame=replace(i.frame, pts=t, time_base=tick)) for i, t in zip(items, ticks, strict=True)]
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), replace(info, time_base=tick), items)
    video = DepthVideo(tmp_path / "d.mkv")
    assert video.metadata["pts"] == ticks
    assert video.times == [pytest.approx(t / 90000) for t in ticks]
    for i, depth in enumerate(depths):
        assert np.abs(video[i] / depth - 1).max() <= 6.1e-5


def test_the_facts_are_complete_in_tag_and_sidecar(tmp_path: Path) -> None:
    info, items = items_with(noise(4, 1, 9), DepthKind.RELATIVE)
    camera = Intrinsics.from_fov(60, 48, 32)
    items[1] = replace(items[1], range=(0.0, 2.0), intrinsics=camera)
    items[2] = replace(items[2], cut=True, range=(0.0, 2.0), intrinsics=camera)
    items[3] = replace(items[3], frame=replace(items[3].frame, index=7), range=None, alignment=(1.5, -0.25))
    fill(DepthVideoSink(tmp_path / "d.mkv", smoothing="strong", size="network"), info, items, RELATIVE)
    facts = DepthVideo(tmp_path / "d.mkv").metadata
    assert facts == json.loads((tmp_path / "d.mkv.json").read_text())
    pinhole = [camera.fx, camera.fy, camera.cx, camera.cy]
    assert facts.pop("alignment") == [[3, 1.5, -0.25]]
    assert facts.pop("metric_fit") == []
    assert facts.pop("ranges")[0][0] == 0
    assert facts.pop("software").startswith("streamdepth")
    assert facts == {
        "schema_version": 1,
        "kind": "relative",
        "unit": None,
        "code": "linear16",
        "invalid_code": 0,
        "size": [32, 24],
        "frame_size": [48, 32],
        "model": "relative",
        "engine": "openvino",
        "device": "cpu",
        "precision": "float16",
        "weights_license": "CC-BY-NC-4.0",
        "smoothing": "strong",
        "source": "synthetic",
        "intrinsics": [[1, *pinhole]],
        "frames": 4,
        "time_base": [1, 30],
        "first_pts": 0,
        "pts": [0, 1, 2, 3],
        "frame_index": [0, 1, 2, 7],
        "cuts": [2],
        "display_ranges": [[0, 1.0, 4.0], [1, 0.0, 2.0]],
    }


def test_either_tag_or_sidecar_is_enough(tmp_path: Path) -> None:
    path, depths = tmp_path / "d.mkv", noise(3, 1, 9)
    fill(DepthVideoSink(path, size="network"), *items_with(depths, DepthKind.METRIC))
    (tmp_path / "d.mkv.json").rename(tmp_path / "away.json")
    assert len(list(DepthVideo(path))) == 3
    without_tag(path, tmp_path / "bare.mkv")
    with raises_code(SourceOpenError, "not-a-depth-video"):
        DepthVideo(tmp_path / "bare.mkv")
    (tmp_path / "away.json").rename(tmp_path / "bare.mkv.json")
    assert np.abs(DepthVideo(tmp_path / "bare.mkv")[2] / depths[2] - 1).max() <= 6.1e-5


def test_the_container_is_ffv1_with_16_bits_and_key_frames_only(tmp_path: Path) -> None:
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(noise(3, 1, 9), DepthKind.METRIC))
    with av.open(str(tmp_path / "d.mkv")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("ffv1", "gray16le")
        assert all(p.is_keyframe for p in container.demux(video) if p.size)


def test_depth_outside_the_range_is_announced(tmp_path: Path) -> None:
    sink = DepthVideoSink(tmp_path / "d.mkv", size="network", near_m=0.5, far_m=5)
    fill(sink, *items_with(noise(2, 1, 9), DepthKind.METRIC))
    assert "0.5 to 5 m" in sink.notices[0]
    assert max(d.max() for d in DepthVideo(tmp_path / "d.mkv")) == pytest.approx(5)


def test_another_size_is_scaled_to_the_first_and_announced(tmp_path: Path) -> None:
    info, items = items_with([np.full((24, 32), 2, np.float32), np.full((48, 20), 3, np.float32)], DepthKind.METRIC)
    sink = DepthVideoSink(tmp_path / "d.mkv", size="network")
    fill(sink, info, items)
    assert "size" in sink.notices[0]
    second = DepthVideo(tmp_path / "d.mkv")[1]
    assert second.shape == (24, 32)
    np.testing.assert_allclose(second, 3, rtol=1e-4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("missing.mkv", None), ("empty.mkv", b""), ("text.mkv", b"hello " * 100)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceOpenError, match=name):
            DepthVideo(tmp_path / name)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.mkv"
    fill(DepthVideoSink(path, size="network"), *items_with(noise(1, 1, 9), DepthKind.METRIC))
    for file in (path, tmp_path / "d.mkv.json"):
        file.write_bytes(file.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 7'))
    with raises_code(SourceOpenError, "not-a-depth-video", naming="version 7"):
        DepthVideo(path)


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "d.mkv"
    fill(DepthVideoSink(path, size="network"), *items_with(noise(10, 1, 9), DepthKind.METRIC))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    video = DepthVideo(path)
    with raises_code(SourceLostError, "damaged", naming="10 frames"):
        list(video)
    with raises_code(SourceLostError, "damaged", naming="10 frames"):
        video[9]


def test_only_matroska(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-format", naming=r"d\.mkv"):
        DepthVideoSink(tmp_path / "d.mp4", size="network").open(stream()[0], MODEL)
    with raises_code(ConfigError, "bad-range", naming="near_m"):
        DepthVideoSink(tmp_path / "d.mkv", size="network", near_m=5, far_m=2)
    with raises_code(ConfigError, "bad-range", naming="near_m"):
        DepthVideoSink(tmp_path / "d.mkv", size="network", far_m=float("inf"))


@pytest.mark.slow
def test_a_frame_leaves_few_bytes_in_memory(tmp_path: Path) -> None:
    """Though the display range moves all the time, in steps small and large."""
    info, items = stream(1, 4, 4)
    sink = DepthVideoSink(tmp_path / "d.mkv", size="network")
    sink.open(info, MODEL)
    count, before = 3000, 0
    tracemalloc.start()
    for i in range(count + 200):
        if i == 200:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
        far = 4 * 1.0001**i * (1.1 if i % 5 == 0 else 1)
        sink.write(replace(items[0], frame=replace(items[0].frame, pts=i, index=i), range=(1.0, far)))
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    sink.close()
    assert grown < 40 * count


def test_a_display_range_is_noted_when_it_changes_by_half_a_percent(tmp_path: Path) -> None:
    info, items = items_with(noise(4, 1, 9), DepthKind.METRIC)
    ranges = [(1.0, 5.0), (1.0, 5.01), (1.0, 5.019), (1.0, 5.03)]
    items = [replace(i, range=r) for i, r in zip(items, ranges, strict=True)]
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), info, items)
    assert DepthVideo(tmp_path / "d.mkv").metadata["display_ranges"] == [[0, 1.0, 5.0], [3, 1.0, 5.03]]


@pytest.mark.parametrize("fact", ["range", "alignment", "metric_fit"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_fact_makes_a_file_unreadable(fact: str, value: float, tmp_path: Path) -> None:
    info, items = items_with(noise(3, 1, 9), DepthKind.METRIC)
    items = [replace(i, **{fact: (1.0, 2.0)}) for i in items]
    items[1] = replace(items[1], **{fact: (0.0, value)})
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), info, items)
    rows = DepthVideo(tmp_path / "d.mkv").metadata["display_ranges" if fact == "range" else fact]
    assert rows == [[0, 1.0, 2.0]]


@pytest.mark.parametrize(
    "ticks", [[-9000, -3000, 0, 3000, 6000, 9001], [450000, 453000, 500000, 500090, 600000, 900000]]
)
def test_a_video_too_long_for_its_tag(ticks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_facts, "_LARGEST_TAG", 500)
    path, tick, depths = tmp_path / "d.mkv", Fraction(1, 90000), noise(6, 1, 9)
    info, items = items_with(depths, DepthKind.METRIC)
    items = [replace(i, frame=replace(i.frame, pts=t, time_base=tick)) for i, t in zip(items, ticks, strict=True)]
    fill(DepthVideoSink(path, size="network"), replace(info, time_base=tick), items)
    with av.open(str(path)) as container:
        facts = json.loads(container.metadata["STREAMDEPTH"])
    assert "pts" not in facts
    assert facts["kind"] == "metric"
    assert DepthVideo(path).metadata["pts"] == ticks
    (tmp_path / "d.mkv.json").unlink()
    video = DepthVideo(path)
    assert len(video) == len(video.times) == 6
    assert video.times == pytest.approx([t / 90000 for t in ticks], abs=0.001)
    for i, depth in enumerate(depths):
        assert np.abs(video[i] / depth - 1).max() <= 6.1e-5
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = DepthVideo(path)
    assert len(video) == 6
    with raises_code(SourceLostError, "damaged", naming="6 frames"):
        list(video)
    with raises_code(SourceLostError, "damaged", naming="6 frames"):
        video[5]


def test_another_videos_sidecar_says_nothing_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_facts, "_LARGEST_TAG", 500)
    for name, count in (("d.mkv", 6), ("other.mkv", 5)):
        fill(DepthVideoSink(tmp_path / name), *items_with(noise(count, 1, 9), DepthKind.METRIC))
    (tmp_path / "other.mkv.json").rename(tmp_path / "d.mkv.json")
    assert len(DepthVideo(tmp_path / "d.mkv").times) == 6


def without_tag(path: Path, target: Path, tag: str | None = None) -> Path:
    """The same packets in a file with another tag, or none."""
    with av.open(str(path)) as source, av.open(str(target), "w") as output:
        video = output.add_stream_from_template(source.streams.video[0], opaque=True)
        output.metadata.update({"STREAMDEPTH": tag} if tag else {})
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
    return target


RUINED: list[dict[str, object] | bytes] = [
    b"\xff\xfe\x00broken",
    b"",
    b"[" * 100_000,
    b"[1, 2]",
    b"{}",
    {"kind": "furlongs"},
    {"code": ["log16"]},
    {"code": "jpeg"},
    {"size": [32]},
    {"size": [0, 24]},
    {"size": [4000, 24]},
    {"time_base": [1, 0]},
    {"time_base": "1/30"},
    {"near_m": 0},
    {"near_m": 300},
    {"far_m": None},
    {"far_m": float("nan")},
    {"pts": [0, 2, 1]},
    {"pts": ["0", "1", "2"]},
    {"pts": [0, 1, 10**400]},
    {"pts": [0, 1]},
    {"pts": None},
    {"frames": -1},
    {"code": "linear16"},
    {"code": "linear16", "ranges": [[0, 1]]},
    {"code": "linear16", "ranges": [[0, 1, 1]]},
    {"code": "linear16", "ranges": {"0": 1}},
    {"display_ranges": [[0, "a", 1]]},
]


@pytest.mark.parametrize("ruin", RUINED, ids=lambda r: repr(r)[:30])
@pytest.mark.parametrize("place", ["sidecar", "tag"])
def test_facts_that_cannot_be_used(ruin: dict[str, object] | bytes, place: str, tmp_path: Path) -> None:
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(noise(3, 1, 9), DepthKind.METRIC))
    sidecar = tmp_path / "d.mkv.json"
    good = json.loads(sidecar.read_text())
    bad = ruin if isinstance(ruin, bytes) else json.dumps(good | ruin).encode()
    sidecar.unlink()
    if place == "sidecar":
        path = without_tag(tmp_path / "d.mkv", tmp_path / "e.mkv")
        (tmp_path / "e.mkv.json").write_bytes(bad)
    else:
        path = without_tag(tmp_path / "d.mkv", tmp_path / "e.mkv", bad.decode(errors="replace").replace("\0", ""))
    with raises_code(SourceOpenError, "not-a-depth-video", naming=r"e\.mkv"):
        DepthVideo(path)


def test_a_sidecar_helps_where_the_tag_is_another_programs(tmp_path: Path) -> None:
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), *items_with(noise(3, 1, 9), DepthKind.METRIC))
    path = without_tag(tmp_path / "d.mkv", tmp_path / "e.mkv", "a note")
    (tmp_path / "d.mkv.json").rename(tmp_path / "e.mkv.json")
    assert len(list(DepthVideo(path))) == 3


def test_facts_beside_another_kind_of_video(tmp_path: Path) -> None:
    info, items = stream(3)
    fill(DepthVideoSink(tmp_path / "d.mkv", size="network"), info, items)
    fill(VideoSink(tmp_path / "e.mkv"), info, items)
    (tmp_path / "d.mkv.json").rename(tmp_path / "e.mkv.json")
    with raises_code(SourceOpenError, "not-a-depth-video", naming="16-bit gray"):
        DepthVideo(tmp_path / "e.mkv")
