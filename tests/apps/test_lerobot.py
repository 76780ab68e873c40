"""LeRobot's depth video and data sets, read by its own formula."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.lerobot_set import CAMERA, FPS, write_lerobot_set
from helpers.sink_data import MODEL, fill, stream
from hypothesis import given
from hypothesis import strategies as st

from streamdepth import factory
from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.types import DepthKind
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report
from streamdepth.sinks.lerobot_video import DepthQuantizer, LeRobotVideoSink
from streamdepth.sinks.pending_files import file_url
from streamdepth.testing import ConstantEstimator

KEY = f"{CAMERA}_depth"


def dequantized(codes: np.ndarray, facts: dict) -> np.ndarray:
    """Metres, as `lerobot.datasets.depth_utils.dequantize_depth` has them."""
    near, far, shift = (facts[f"video.{name}"] for name in ("depth_min", "depth_max", "shift"))
    low, high = math.log(near + shift), math.log(far + shift)
    return np.clip(np.exp(codes * ((high - low) / 4095) + low) - shift, near, far)


def half_a_code(depth: np.ndarray, facts: dict) -> np.ndarray:
    """Metres: half of the distance between two codes there."""
    near, far, shift = (facts[f"video.{name}"] for name in ("depth_min", "depth_max", "shift"))
    return (depth + shift) * math.expm1(math.log((far + shift) / (near + shift)) / 4095 / 2) + 1e-6


def read(path: Path) -> list[np.ndarray]:
    with av.open(file_url(path)) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert container.streams.video[0].pix_fmt == "gray12le"
        return [frame.to_ndarray(format="gray12le") for frame in container.decode(video=0)]


def test_values_are_within_half_a_code_of_what_lerobot_reads(tmp_path) -> None:
    info, items = stream(5, 64, 48)
    rng = np.random.default_rng(0)
    for item in items:
        item.depth[:] = rng.uniform(0.01, 10, item.depth.shape)
    fill(LeRobotVideoSink(tmp_path / "d.mp4"), info, items)
    lerobot_feature = json.loads((tmp_path / "d.mp4.json").read_text())
    assert lerobot_feature["shape"] == [48, 64, 1]
    for codes, item in zip(read(tmp_path / "d.mp4"), items, strict=True):
        error = np.abs(dequantized(codes, lerobot_feature["info"]) - item.depth)
        assert (error <= half_a_code(item.depth, lerobot_feature["info"])).all()


@given(st.floats(0.01, 10.0))
def test_codes_come_back_within_half_a_code(metres) -> None:
    quantizer, depth = DepthQuantizer(), np.full((1, 1), metres, np.float32)
    codes = quantizer.encode(depth)
    assert abs(quantizer.decode(codes) - depth) <= half_a_code(depth, quantizer.facts)
    assert abs(dequantized(codes, quantizer.facts) - quantizer.decode(codes)) < 1e-5


def test_every_code_comes_back_as_itself() -> None:
    codes = np.arange(4096, dtype=np.uint16)[None]
    np.testing.assert_array_equal(DepthQuantizer().encode(DepthQuantizer().decode(codes)), codes)


def test_times_are_the_sources_and_every_other_frame_is_a_key_frame(tmp_path) -> None:
    info, items = stream(9, 64, 48)
    kept = [item for item in items if item.frame.index not in (3, 6)]
    fill(LeRobotVideoSink(tmp_path / "d.mp4"), info, kept)
    with av.open(file_url(tmp_path / "d.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [f.time for f in frames] == pytest.approx([i.frame.time for i in kept], abs=1e-6)
    assert [f.key_frame for f in frames] == [i % 2 == 0 for i in range(7)]


def test_what_has_no_code_is_told(tmp_path) -> None:
    info, items = stream(1, 64, 48)
    depth = items[0].depth.copy()
    depth[0, :3] = np.nan, np.inf, 25.0
    sink = LeRobotVideoSink(tmp_path / "d.mp4")
    fill(sink, info, [replace(items[0], depth=depth)])
    assert read(tmp_path / "d.mp4")[0][0, :3].tolist() == [0, 4095, 4095]
    assert any("unknown" in n for n in sink.notices)
    assert any("beyond 10 m" in n for n in sink.notices)


def test_relative_depth_is_refused(tmp_path) -> None:
    with pytest.raises(SinkOpenError, match="relative"):
        LeRobotVideoSink(tmp_path / "d.mp4").open(stream(1)[0], replace(MODEL, kind=DepthKind.RELATIVE))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("near", "far"), [(1.0, 1.0), (-1.0, 2.0), (0.0, math.inf)])
def test_limits_that_cannot_be(near, far) -> None:
    with pytest.raises(ConfigError, match="near"):
        DepthQuantizer(near, far)


@pytest.fixture
def metric(monkeypatch) -> ConstantEstimator:
    estimator = ConstantEstimator(DepthKind.METRIC, size=(48, 64), from_brightness=True)
    monkeypatch.setattr(factory, "make_estimator", lambda _: estimator)
    return estimator


def test_a_data_set_gets_depth_beside_a_cameras_pictures(cli, metric, tmp_path) -> None:
    root = write_lerobot_set(tmp_path / "set")
    done = cli("lerobot", root, "--camera", CAMERA, "--smooth", "off")
    assert done.code == 0, done.err
    assert KEY in done.err
    info = json.loads((root / "meta/info.json").read_text())
    lerobot_feature = info["features"][KEY]
    assert lerobot_feature["info"]["is_depth_map"] is True
    assert (lerobot_feature["shape"], lerobot_feature["info"]["video.fps"]) == ([48, 64, 1], FPS)
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row in episodes:
        for name in ("chunk_index", "file_index", "from_timestamp", "to_timestamp"):
            assert row[f"videos/{KEY}/{name}"] == row[f"videos/{CAMERA}/{name}"]
        depth = dequantized(codes_of(root, row), lerobot_feature["info"])
        for name, value in {"min": depth.min(), "max": depth.max(), "mean": depth.mean(), "std": depth.std()}.items():
            assert row[f"stats/{KEY}/{name}"] == [[[pytest.approx(value, abs=1e-4)]]]
        assert row[f"stats/{KEY}/q50"] == [[[pytest.approx(np.median(depth), abs=0.01)]]]
        assert row[f"stats/{KEY}/count"] == [depth.size]
    assert json.loads((root / "meta/stats.json").read_text())[KEY]["count"] == [30 * 48 * 64]
    assert not [path for path in root.rglob("*") if path.name.startswith(".") or path.name.endswith(".mp4.json")]


def codes_of(root: Path, row: dict) -> np.ndarray:
    """The codes of one episode, found by its times as LeRobot finds them."""
    path = root / f"videos/{KEY}/chunk-000/file-{row[f'videos/{KEY}/file_index']:03d}.mp4"
    first = round(row[f"videos/{KEY}/from_timestamp"] * FPS)
    return np.stack(read(path)[first : first + row["length"]])


def test_episodes_know_nothing_of_each_other(cli, metric, tmp_path) -> None:
    whole, root = write_lerobot_set(tmp_path / "whole"), write_lerobot_set(tmp_path / "set")
    assert cli("lerobot", root, "--camera", CAMERA, "--smooth", "strong").code == 0
    assert cli("lerobot", whole, "--camera", CAMERA, "--smooth", "off").code == 0
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row in rows:
        np.testing.assert_array_equal(codes_of(root, row)[0], codes_of(whole, row)[0])


def test_a_run_that_is_ended_early_leaves_the_data_set_as_it_was(cli, metric, tmp_path, monkeypatch) -> None:
    root = write_lerobot_set(tmp_path / "set")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(
            "streamdepth.apps.lerobot.add_depth._publish", lambda *_: (_ for _ in ()).throw(SinkWriteError("the end"))
        )
        assert cli("lerobot", root, "--camera", CAMERA).code == 5
    assert {path: path.read_bytes() for path in before} == before
    assert cli("lerobot", root, "--camera", CAMERA).code == 0
    again = cli("lerobot", root, "--camera", CAMERA)
    assert (again.code, "--overwrite" in again.err) == (2, True)
    assert cli("lerobot", root, "--camera", CAMERA, "--overwrite").code == 0


@pytest.mark.parametrize("flags", [(), ("--overwrite",)])
def test_ctrl_c_leaves_the_data_set_as_it_was(cli, metric, tmp_path, monkeypatch, flags) -> None:
    root, run, runs = write_lerobot_set(tmp_path / "set"), Pipeline.run, []
    if flags:
        assert cli("lerobot", root, "--camera", CAMERA).code == 0
    before = {path: path.is_file() and path.read_bytes() for path in root.rglob("*")}

    def ended_in_the_second_file(pipeline: Pipeline) -> Report:
        runs.append(pipeline)
        if len(runs) == 2:
            pipeline.stop()
        return run(pipeline)

    monkeypatch.setattr(Pipeline, "run", ended_in_the_second_file)
    done = cli("lerobot", root, "--camera", CAMERA, "--smooth", "off", *flags)
    assert (done.code, len(runs)) == (130, 2)
    assert "as it was" in done.err
    assert {path: path.is_file() and path.read_bytes() for path in root.rglob("*")} == before


def test_what_a_killed_run_left_is_removed_by_the_next(cli, metric, tmp_path) -> None:
    root = write_lerobot_set(tmp_path / "set")
    (root / ".0123abcd.part" / "videos").mkdir(parents=True)
    (root / ".0123abcd.part" / "videos" / "half.mp4").write_bytes(b"half")
    (root / ".git").mkdir()
    assert cli("lerobot", root, "--camera", CAMERA).code == 0
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == [".git"]


def test_two_runs_do_not_work_on_one_data_set(cli, metric, tmp_path, monkeypatch) -> None:
    root, run, others = write_lerobot_set(tmp_path / "set"), Pipeline.run, []

    def with_another(pipeline: Pipeline) -> Report:
        with monkeypatch.context() as patch:
            patch.setattr(Pipeline, "run", run)
            others.append(cli("lerobot", root, "--camera", CAMERA))
        return run(pipeline)

    monkeypatch.setattr(Pipeline, "run", with_another)
    assert cli("lerobot", root, "--camera", CAMERA).code == 0
    assert {(other.code, "another run works on" in other.err) for other in others} == {(2, True)}


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda root: (root / "meta/info.json").unlink(), 3, "no LeRobot data set"),
        (lambda root: rewrite(root, codebase_version="v2.1"), 3, "convert_dataset"),
        (lambda root: rewrite(root, features=None), 3, "damaged"),
        (lambda root: rewrite(root, fps=None), 3, "damaged"),
        (lambda root: rewrite(root, video_path="{nobody}.mp4"), 3, "'nobody' is missing"),
        (lambda root: rewrite(root, video_path="../{video_key}/{file_index}.mp4"), 3, "outside of its folder"),
        (lambda root: rewrite(root, video_path=f"{root.parent}/{{video_key}}.mp4"), 3, "outside of its folder"),
        (lambda root: (root / "meta/episodes/chunk-000/file-000.parquet").write_bytes(b"no"), 3, "episodes"),
        (lambda root: (root / f"videos/{CAMERA}/chunk-000/file-001.mp4").unlink(), 3, "file-001.mp4"),
        (lambda root: shorten(root), 5, "have 10"),
    ],
)
def test_a_damaged_data_set_is_said_and_left_alone(cli, metric, tmp_path, spoil, code, words) -> None:
    root = write_lerobot_set(tmp_path / "set")
    spoil(root)
    before = {path: path.read_bytes() for path in (root / "meta").rglob("*") if path.is_file()}
    done = cli("lerobot", root, "--camera", CAMERA)
    assert done.code == code, done.err
    assert words in done.err
    assert {path: path.read_bytes() for path in before} == before


def rewrite(root: Path, **changes) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shorten(root: Path) -> None:
    from helpers.media import write_video

    write_video(root / f"videos/{CAMERA}/chunk-000/file-001.mp4", count=4, rate=FPS)


def test_an_unknown_camera_is_told_with_those_that_are_there(cli, metric, tmp_path) -> None:
    done = cli("lerobot", write_lerobot_set(tmp_path / "set"), "--camera", "front")
    assert done.code == 2
    assert CAMERA in done.err
