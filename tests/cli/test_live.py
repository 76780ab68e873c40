"""Several cameras from the command line: one that fails leaves the others, and the exit code and the report tell it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from helpers import rtsp_server
from helpers.errors import raises_code
from helpers.waiting import wait_until

from streamdepth import config, factory
from streamdepth.apps.web.session_factory import open_session, with_endless_reconnects
from streamdepth.core.errors import ConfigError
from streamdepth.testing import ConstantEstimator


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ConstantEstimator:
    """What all streams are inferred by."""
    estimator = ConstantEstimator()
    monkeypatch.setattr(factory, "make_estimator", lambda _: estimator)
    return estimator


def once_seen(model: ConstantEstimator, server: rtsp_server.Server, then: Callable[[], None]) -> threading.Thread:
    """Does it once the model has seen some frames of the server."""

    def wait() -> None:
        wait_until(lambda: sum(f":{server.port}/" in name for names in model.batches for name in names) > 5)
        then()

    return rtsp_server.start_thread(wait)


@pytest.mark.slow
def test_one_camera_dies_and_the_other_is_recorded_to_its_end(cli, tmp_path: Path, model: ConstantEstimator) -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    folder = tmp_path / "out"
    with rtsp_server.running() as first, rtsp_server.running() as second:
        stopper = once_seen(model, second, second.stop)
        urls = [f"rtsp://me:s3cr3t@127.0.0.1:{server.port}/h264" for server in (first, second)]
        gone = f"rtsp://127.0.0.1:{rtsp_server.free_port()}/x"
        limits = ("--max-seconds", "6", "--set", "network.reconnect_seconds=1", "--stats", tmp_path / "s.json")
        done = cli("convert", *urls, gone, "-o", folder, *limits)
        stopper.join()
    assert done.code == 3
    report = json.loads((tmp_path / "s.json").read_text())
    assert [stream["state"] for stream in report["streams"]] == ["ended", "failed", "failed"]
    for stream, name in zip(report["streams"][:2], ("127_0_0_1_h264", "127_0_0_1_h264_2"), strict=True):
        assert stream["read"] == stream["written"] + sum(stream["dropped"].values())
        with av.open(str(folder / f"{name}.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == stream["written"] > 0
    assert not (folder / "127_0_0_1_x.mp4").exists()
    assert "did not come back in 1 seconds" in done.err
    assert "nothing listens" in done.err
    assert "s3cr3t" not in done.err + json.dumps(report)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_model")
def test_a_page_begins_with_the_cameras_that_are_there_and_waits_for_the_others() -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    late = rtsp_server.Server(rtsp_server.free_port())
    with rtsp_server.running() as here:
        sources = [f"{server.address}/h264" for server in (here, late)]
        with open_session(config.make(source=sources)) as session:
            run = rtsp_server.start_thread(session.pipeline.run)
            try:
                wait_until(lambda: [s.source.state for s in session.pipeline.streams] == ["live", "connecting"])
                late.start()
                wait_until(lambda: all(stream.written > 5 for stream in session.pipeline.report().streams))
            finally:
                session.pipeline.stop()
                run.join()
                late.stop()


@pytest.mark.usefixtures("quick_model")
def test_a_page_names_the_outputs_of_all_that_it_shows(tmp_path: Path) -> None:
    clip = "lavfi:testsrc2"
    chosen = config.make(source=clip, browser_camera=True, folder=tmp_path, depth_out=tmp_path / "out")
    with open_session(chosen) as session:
        names = [stream.sinks[0].path for stream in session.pipeline.streams]  # type: ignore[attr-defined]
        assert list(session.streams) == ["lavfi_testsrc2", "browser"]
    assert names == [tmp_path / "out" / f"{name}.mkv" for name in ("lavfi_testsrc2", "browser")]
    with (
        raises_code(ConfigError, "not-a-folder", naming="d.mkv"),
        open_session(chosen.replace(depth_out=tmp_path / "d.mkv")),
    ):
        pass


@pytest.mark.usefixtures("quick_model")
def test_a_page_with_a_browsers_camera_alone_names_its_points(tmp_path: Path) -> None:
    with open_session(config.make(browser_camera=True, ply_every=2)) as session:
        (stream,) = session.pipeline.streams
        assert str(stream.sinks[0].pattern) == "browser_%06d.ply"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick_model")
def test_a_page_shows_an_address_that_is_too_long_for_a_file() -> None:
    long = "lavfi:testsrc2," + ",".join(["null"] * 100)
    with open_session(config.make(source=long)) as session:
        (shown,) = session.streams.values()
        assert shown.title == long


def test_a_page_tries_its_cameras_for_ever_unless_told_otherwise() -> None:
    assert with_endless_reconnects(config.make()).network.reconnect_seconds == math.inf
    assert with_endless_reconnects(config.make()).camera.reconnect_seconds == math.inf
    assert with_endless_reconnects(config.make(network_reconnect_seconds=9)).network.reconnect_seconds == 9


@pytest.mark.slow
def test_a_camera_that_comes_back_larger_begins_the_next_segment(cli, tmp_path: Path, model: ConstantEstimator) -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    server = rtsp_server.Server(rtsp_server.free_port())
    server.start()

    def grow() -> None:
        server.stop()
        server.size = (208, 160)
        server.start()

    grower = once_seen(model, server, grow)
    try:
        limits = ("--segment", "10m", "--max-frames", "45", "--stats", tmp_path / "s.json")
        done = cli("convert", f"{server.address}/h264", "-o", tmp_path / "cam.mp4", *limits)
    finally:
        grower.join()
        server.stop()
    assert done.code == 0, done.err
    sizes, frames = [], 0
    for path in sorted(tmp_path.glob("cam*.mp4")):
        with av.open(str(path)) as container:
            frames += sum(1 for _ in container.decode(video=0))
            sizes.append((container.streams.video[0].width, container.streams.video[0].height))
    assert sizes == [(160, 120), (208, 160)]
    report = json.loads((tmp_path / "s.json").read_text())
    assert frames == report["written"]
    assert report["reconnects"] == 1
