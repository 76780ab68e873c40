"""Depth added to LeRobot datasets, read by LeRobot's own formula."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.lerobot_set import (
    CAMERA,
    FPS,
    dequantized,
    episode_images,
    half_a_step,
    read_codes,
    to_pictures,
    to_v21,
    write_lerobot_set,
)

from streamdepth import factory
from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthKind
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report
from streamdepth.testing import ConstantEstimator

KEY = f"{CAMERA}_depth"


@pytest.fixture
def metric(monkeypatch) -> ConstantEstimator:
    estimator = ConstantEstimator(DepthKind.METRIC, size=(48, 64), from_brightness=True)
    monkeypatch.setattr(factory, "make_estimator", lambda _: estimator)
    return estimator


def test_a_data_set_gets_a_depth_camera(cli, metric, tmp_path) -> None:
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
        assert row[f"stats/{KEY}/count"] == [len(depth)]
    assert json.loads((root / "meta/stats.json").read_text())[KEY]["count"] == [30]
    assert not [path for path in root.rglob("*") if path.name.startswith(".") or path.name.endswith(".mp4.json")]


def codes_of(root: Path, row: dict) -> np.ndarray:
    """The codes of one episode, found by its times as LeRobot finds them."""
    path = root / f"videos/{KEY}/chunk-000/file-{row[f'videos/{KEY}/file_index']:03d}.mp4"
    first = round(row[f"videos/{KEY}/from_timestamp"] * FPS)
    return np.stack(read_codes(path)[first : first + row["length"]])


def test_episodes_are_stabilized_independently(cli, metric, tmp_path) -> None:
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
        (lambda root: (root / "meta/info.json").unlink(), 3, "no LeRobot dataset"),
        (lambda root: rewrite(root, codebase_version="v2.0"), 3, "convert_dataset"),
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
def test_a_damaged_data_set_is_an_error_and_stays_unchanged(cli, metric, tmp_path, spoil, code, words) -> None:
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


def test_the_error_for_an_unknown_camera_names_the_cameras_of_the_data_set(cli, metric, tmp_path) -> None:
    done = cli("lerobot", write_lerobot_set(tmp_path / "set"), "--camera", "front")
    assert done.code == 2
    assert CAMERA in done.err


@pytest.mark.parametrize("has_pictures", [False, True])
def test_version_2_1_has_one_depth_video_for_each_episode(cli, metric, tmp_path, has_pictures) -> None:
    root = write_lerobot_set(tmp_path / "set")
    if has_pictures:
        to_pictures(root)
    to_v21(root)
    done = cli("lerobot", root, "--camera", CAMERA, "--smooth", "off", "--fov", 90)
    assert done.code == 0, done.err
    info = json.loads((root / "meta/info.json").read_text())
    facts = info["features"][KEY]["info"]
    assert (info["total_videos"], facts["camera.fx"], facts["camera.cx"]) == (
        3 if has_pictures else 6,
        pytest.approx(32),
        31.5,
    )
    rows = [json.loads(line) for line in (root / "meta/episodes_stats.jsonl").read_text().splitlines()]
    for row, images in zip(rows, episode_images((64, 48)), strict=True):
        index = row["episode_index"]
        codes = read_codes(root / f"videos/chunk-{index // 2:03d}/{KEY}/episode_{index:06d}.mp4")
        assert_shows(codes, images, facts, tolerance_m=0 if has_pictures else 0.1)
        depth = dequantized(np.stack(codes), facts)
        assert set(row["stats"][KEY]) == {"min", "max", "mean", "std", "count"}
        assert row["stats"][KEY]["count"] == [len(images)]
        assert row["stats"][KEY]["mean"] == [[[pytest.approx(depth.mean(), abs=1e-4)]]]


def test_pictures_in_tables_get_depth_videos(cli, metric, tmp_path) -> None:
    root = to_pictures(write_lerobot_set(tmp_path / "set"))
    data = (root / "data/chunk-000/file-000.parquet").read_bytes()
    done = cli("lerobot", root, "--camera", CAMERA, "--smooth", "off", "--fov", "auto")
    assert done.code == 0, done.err
    info = json.loads((root / "meta/info.json").read_text())
    assert info["video_path"].startswith("videos/{video_key}")
    assert (info["features"][KEY]["dtype"], info["features"][CAMERA]["dtype"]) == ("video", "image")
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row[f"videos/{KEY}/from_timestamp"] for row in rows] == [0, 1.2, 2]
    assert [row[f"videos/{KEY}/to_timestamp"] for row in rows] == [1.2, 2, 3]
    for row, images in zip(rows, episode_images((64, 48)), strict=True):
        assert_shows(codes_of(root, row), images, info["features"][KEY]["info"])
        assert row[f"stats/{KEY}/count"] == [len(images)]
    assert (root / "data/chunk-000/file-000.parquet").read_bytes() == data


def assert_shows(codes, images, facts, tolerance_m: float = 0) -> None:
    """Depth is 0.1 m more than the brightness, as the model of these tests makes it."""
    for code, image in zip(codes, images, strict=True):
        expected = image.mean(axis=2) / 255 + 0.1
        assert (np.abs(dequantized(code, facts) - expected) <= half_a_step(expected, facts) + tolerance_m).all()


@pytest.mark.parametrize(
    "value", [{"bytes": b"no picture", "path": None}, {"bytes": None, "path": "../secret.png"}, None]
)
def test_pictures_that_are_damaged_or_elsewhere_are_an_error(cli, metric, tmp_path, value) -> None:
    root = to_pictures(write_lerobot_set(tmp_path / "set"), replaced={4: value})
    write_picture(tmp_path / "secret.png")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = cli("lerobot", root, "--camera", CAMERA)
    assert done.code == 3, done.err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def write_picture(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(path)


def test_statistics_that_lack_an_episode_are_found_before_the_work(cli, metric, tmp_path) -> None:
    root = to_v21(write_lerobot_set(tmp_path / "set"))
    path = root / "meta/episodes_stats.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    done = cli("lerobot", root, "--camera", CAMERA)
    assert (done.code, done.error_code, metric.batches) == (3, "damaged", [])
