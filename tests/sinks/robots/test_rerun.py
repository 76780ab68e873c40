"""Rerun, read by its own reader: recordings, and what a listening server got."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.rerun_server import columns, free_port, listening, wait
from helpers.robot_scene import CAMERA, EPOCH_NS, scene, stamped
from helpers.sink_data import MODEL, fill

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.types import DepthKind
from streamdepth.geometry.mounts import Mount
from streamdepth.geometry.obstacles import ObstacleZone
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.rerun_file import RerunFileSink
from streamdepth.sinks.robots.rerun_viewer import RerunViewerSink

ALL = RobotOptions(points=True, zone=ObstacleZone(-0.5, 0.5))


def depth_of(row: list[Any], dtype: str = "<f4") -> np.ndarray:
    return np.array(row[0], np.uint8).view(dtype).reshape(32, 48)


def test_a_recording_holds_depth_with_its_meter_pinholes_and_pictures(tmp_path) -> None:
    info, items = scene(3, CAMERA.pinhole)
    fill(RerunFileSink(tmp_path / "a.rrd", options=ALL), stamped(info), items)
    read = columns(tmp_path / "a.rrd")
    depth, color = read["/camera/depth"], read["/camera/color"]
    assert depth["DepthImage:meter"] == [[1.0]] * 3
    for item, row in zip(items, depth["DepthImage:buffer"], strict=True):
        np.testing.assert_array_equal(depth_of(row), item.depth)
    (matrix, *_), (resolution, *_) = depth["Pinhole:image_from_camera"], depth["Pinhole:resolution"]
    assert np.reshape(matrix[0], (3, 3)).T.tolist() == [[40, 0, 23.5], [0, 41, 15.5], [0, 0, 1]]
    assert list(resolution[0]) == [48, 32]
    picture = cv2.imdecode(np.array(color["EncodedImage:blob"][0][0], np.uint8), 1)[..., ::-1]
    assert np.abs(picture.astype(int) - items[0].frame.image).mean() < 12
    assert len(read["/camera/points"]["Points3D:positions"][0]) == 48 * 32 - 2
    assert "1.5" in read["/camera/obstacles"]["Points3D:labels"][0][0] or len(read["/camera/obstacles"]) > 2


def test_uncertainty_is_a_picture_and_figures_over_time(tmp_path) -> None:
    info, items = scene(3)
    confidence = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48)
    known = {"scale_sigma": [0.5, 0.25, 0.125], "metric_residual": [None, 0.0625, 0.03125]}
    ages = [None, 0.0, 0.5]
    items = [
        replace(item, confidence=confidence, scale_sigma=sigma, metric_residual=residual, evidence_age_seconds=age)
        for item, sigma, residual, age in zip(items, *known.values(), ages, strict=True)
    ]
    items[0] = replace(items[0], scale_sigma=np.inf, confidence=None)
    fill(RerunFileSink(tmp_path / "a.rrd"), info, items)
    read = columns(tmp_path / "a.rrd")
    assert read["/camera/confidence"]["frame"] == [1, 2]
    np.testing.assert_array_equal(depth_of(read["/camera/confidence"]["Image:buffer"][0]), confidence)
    plots = {name: read[f"/camera/metric/{name}"] for name in (*known, "evidence_age_seconds")}
    assert {name: plot["Scalars:scalars"] for name, plot in plots.items()} == {
        "scale_sigma": [[0.25], [0.125]],
        "metric_residual": [[0.0625], [0.03125]],
        "evidence_age_seconds": [[0.0], [0.5]],
    }
    assert all(plot["frame"] == [1, 2] for plot in plots.values())


def test_several_cameras_share_a_file_and_one_that_fails_leaves_what_it_wrote(tmp_path) -> None:
    info, items = scene(3, CAMERA.pinhole)
    left, right, idle = (
        RerunFileSink(tmp_path / "a.rrd", options=RobotOptions(namespace=f"/{side}"), is_shared=True)
        for side in ("left", "right", "idle")
    )
    for sink in (left, right, idle):
        sink.open(info, MODEL)
    for item in items:
        left.write(item)
    right.write(items[0])
    right.discard()
    idle.discard()
    assert not (tmp_path / "a.rrd").exists(), "the left camera may still write"
    left.close()
    read = columns(tmp_path / "a.rrd")
    assert [len(read[f"/{side}/depth"]["DepthImage:buffer"]) for side in ("left", "right")] == [3, 1]
    assert not any(entity.startswith("/idle") for entity in read)
    np.testing.assert_array_equal(depth_of(read["/right/depth"]["DepthImage:buffer"][0]), items[0].depth)
    assert [path.name for path in tmp_path.iterdir()] == ["a.rrd"]


def test_times_are_dates_where_the_source_has_dates(tmp_path) -> None:
    info, items = scene(2)
    fill(RerunFileSink(tmp_path / "a.rrd"), stamped(info), items)
    fill(RerunFileSink(tmp_path / "b.rrd"), info, items)
    dated, counted = (columns(tmp_path / name)["/camera/depth"]["time"][:2] for name in ("a.rrd", "b.rrd"))
    assert dated == [EPOCH_NS, EPOCH_NS + round(1e9 / 30)]
    assert counted == [0, round(1e9 / 30)]


def test_millimeters_say_so(tmp_path) -> None:
    info, items = scene(1)
    fill(RerunFileSink(tmp_path / "a.rrd", options=RobotOptions(encoding="16UC1")), info, items)
    depth = columns(tmp_path / "a.rrd")["/camera/depth"]
    assert depth["DepthImage:meter"] == [[1000.0]]
    values = depth_of(depth["DepthImage:buffer"][0], "<u2")
    np.testing.assert_allclose(values[1:] / 1000, items[0].depth[1:], atol=0.00051)
    assert values[0, 0] == 0


def test_relative_depth_is_a_picture_that_no_one_takes_for_meters(tmp_path) -> None:
    info, items = scene(2)
    sink = RerunFileSink(tmp_path / "a.rrd", options=ALL)
    fill(sink, info, [replace(i, kind=DepthKind.RELATIVE) for i in items], replace(MODEL, kind=DepthKind.RELATIVE))
    read = columns(tmp_path / "a.rrd")
    assert set(read) == {"/camera/color", "/camera/inverse_depth_relative"}
    np.testing.assert_array_equal(depth_of(read["/camera/inverse_depth_relative"]["Image:buffer"][0]), items[0].depth)


def test_an_unknown_camera_has_no_pinhole(tmp_path) -> None:
    info, items = scene(1, None)
    fill(RerunFileSink(tmp_path / "a.rrd", options=ALL), info, items)
    read = columns(tmp_path / "a.rrd")
    assert set(read) == {"/camera/color", "/camera/depth"}
    assert not any("Pinhole" in name for name in read["/camera/depth"])


@pytest.mark.parametrize("early", [True, False])
def test_a_full_disk_is_told(tmp_path, early: bool) -> None:
    """In the middle, and, just before the end, where Rerun itself only logs it."""
    info, items = scene(3)
    fill(RerunFileSink(tmp_path / "a.rrd", overwrite=True), info, items)
    whole = (tmp_path / "a.rrd").stat().st_size
    (tmp_path / "a.rrd").unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole // 2 if early else whole - 100, limits[1]))
    try:
        with pytest.raises(SinkWriteError, match=r"a\.rrd"):
            fill(RerunFileSink(tmp_path / "a.rrd"), info, items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_viewer_elsewhere_gets_everything(tmp_path) -> None:
    info, items = scene(3)
    with listening(tmp_path / "got.rrd", tmp_path) as port:
        fill(RerunViewerSink(f"127.0.0.1:{port}"), info, items)

        def has_all() -> bool:
            try:
                return len(columns(tmp_path / "got.rrd")["/camera/depth"]["DepthImage:buffer"]) == 3
            except Exception:  # not all of the file is there yet
                return False

        wait(has_all)
    np.testing.assert_array_equal(
        depth_of(columns(tmp_path / "got.rrd")["/camera/depth"]["DepthImage:buffer"][2]), items[2].depth
    )


def test_a_viewer_that_goes_away_and_returns_is_served_again(tmp_path) -> None:
    info, (item,) = scene(1, CAMERA.pinhole)
    with listening(tmp_path / "first.rrd", tmp_path) as port:
        sink = RerunViewerSink(f"127.0.0.1:{port}")
        sink.open(info, MODEL)
        sink.write(item)

    def write_until(is_done: Callable[[], bool]) -> None:
        def step() -> bool:
            sink.write(item)
            return is_done()

        wait(step)

    write_until(lambda: bool(sink.notices))
    assert "went away" in sink.notices[0]

    def has_depth() -> bool:
        try:
            return "/camera/depth" in columns(tmp_path / "second.rrd")
        except Exception:  # not all of the file is there yet
            return False

    with listening(tmp_path / "second.rrd", tmp_path, port):
        write_until(has_depth)
        sink.close()
    assert len(sink.notices) == 1


def test_the_cameras_of_a_run_are_one_recording_with_their_places(tmp_path) -> None:
    info, (item,) = scene(1, CAMERA.pinhole)
    with listening(tmp_path / "got.rrd", tmp_path) as port:
        options = [RobotOptions(namespace=f"/{side}", mount=Mount(0, y, 1)) for side, y in (("left", 1), ("right", -1))]
        sinks = [RerunViewerSink(f"127.0.0.1:{port}", options=o) for o in options]
        for sink in sinks:
            sink.open(info, MODEL)
        ids = {sink._recording.stream.get_recording_id() for sink in sinks}
        for sink in sinks:
            sink.write(item)
        for sink in sinks:
            sink.close()
        sinks[0].open(info, MODEL)
        assert sinks[0]._recording.stream.get_recording_id() not in ids, "another run"
        sinks[0].close()
    assert len(ids) == 1


def test_no_viewer_and_no_screen_are_told(monkeypatch) -> None:
    info, _ = scene(1)
    with raises_code(SinkOpenError, "unreachable", naming="rerun --port"):
        RerunViewerSink(f"127.0.0.1:{free_port()}").open(info, MODEL)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with raises_code(SinkOpenError, "no-display", naming=r"rerun:HOST:PORT.*\.rrd"):
        RerunViewerSink().open(info, MODEL)


def test_a_missing_package_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"rerun-sdk.*\[rerun\]"):
        RerunFileSink(tmp_path / "a.rrd").open(scene(1)[0], MODEL)
    assert not list(tmp_path.iterdir())
