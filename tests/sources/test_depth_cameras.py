"""Live RealSense and OAK cameras, with stand-ins for their packages: no camera was at hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.fake_depth_cameras import COUNT, SIZE, color, fake_depthai, fake_realsense, units

import streamdepth as sd
from streamdepth import factory
from streamdepth.config import make
from streamdepth.core.errors import ConfigError, MissingDependencyError, SourceLostError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo

FAKES: dict[str, tuple[str, Callable[..., Any]]] = {
    "realsense:": ("pyrealsense2", fake_realsense),
    "oak:": ("depthai", fake_depthai),
}


@pytest.fixture(params=FAKES)
def camera(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Any]]:
    """Returns the address of a camera, and what is asked of its package."""
    log: list[Any] = []
    name, fake = FAKES[request.param]
    monkeypatch.setitem(sys.modules, name, fake(log))
    return request.param, log


def read_all(address: str, **settings: Any) -> tuple[StreamInfo, list[Frame]]:
    with factory.make_source(address, make(camera_size="48x32", camera_reconnect_seconds=0, **settings)) as source:
        info, frames = source.open(), []
        with raises_code(SourceLostError, "unplugged" if address == "realsense:" else "source-timeout"):
            while (frame := source.read()) is not None:
                frames.append(frame)
    return info, frames


def test_pictures_come_with_meters_and_the_camera(camera) -> None:
    address, log = camera
    info, frames = read_all(address)
    assert (info.width, info.height, info.fps, info.is_live) == (*SIZE, 30, True)
    assert info.intrinsics == Intrinsics(40, 41, 23.5, 15.5, 48, 32)
    assert len(frames) == COUNT
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, color(index))
        wanted = np.where(units(index) > 0, units(index) / 1000, np.nan)
        np.testing.assert_allclose(frame.sensor_depth, wanted, rtol=1e-6)
    assert log[-1] == "stopped"


def test_the_sensor_is_the_depth_of_a_run(camera, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.factory.make_estimator", pytest.fail)
    settings = {"camera_size": "48x32", "camera_reconnect_seconds": 0, "max_frames": 1, "smooth": "off"}
    with sd.stream(camera[0], depth_from="sensor", **settings) as items:
        (item,) = items
    meters = units(int(item.frame.image[0, 0, 0]) // 10)[0, 0] / 1000  # a camera may have dropped frames before
    assert item.kind.value == "metric"
    assert item.depth[3, 5] == pytest.approx(meters), "the hole is filled"
    assert item.point_at(23, 15)[2] == pytest.approx(meters)


def test_realsense_is_asked_for_size_rate_and_serial_and_its_units_count(monkeypatch) -> None:
    log: list[Any] = []
    monkeypatch.setitem(sys.modules, "pyrealsense2", fake_realsense(log, scale=0.0001))
    with factory.make_source("realsense:123", make(camera_size="48x32", camera_fps=15)) as source:
        source.open()
        frame = source.read()
    assert frame is not None
    assert frame.sensor_depth is not None
    assert frame.sensor_depth[0, 0] == pytest.approx(0.2)
    assert log[:3] == [("device", "123"), ("color", 48, 32, "rgb8", 15), ("depth", 0, 0, "z16", 15)]
    assert ("align", "color") in log


@pytest.mark.parametrize(("platform", "depth"), [("RVC2", "stereo depth"), ("RVC4", "aligned")])
def test_oak_aligns_its_stereo_pair_to_the_pictures(platform, depth, monkeypatch) -> None:
    log: list[Any] = []
    monkeypatch.setitem(sys.modules, "depthai", fake_depthai(log, platform=platform))
    with factory.make_source("oak:10.0.0.9", make(camera_size="48x32")) as source:
        source.open()
    assert ("opened", "10.0.0.9") in log
    assert ("A", (48, 32), "bgr", {"fps": 30.0, "enableUndistortion": True}) in log
    assert ("stereo", "B", "C") in log
    assert ("A", "stereo align" if platform == "RVC2" else "align to") in log
    assert {(depth, "sync depth"), ("A", "sync color")} <= set(filter(lambda entry: len(entry) == 2, log))


@pytest.mark.parametrize(("address", "fake"), [("realsense:", fake_realsense), ("oak:", fake_depthai)])
def test_what_is_missing_is_named(address, fake, monkeypatch) -> None:
    name = FAKES[address][0]
    monkeypatch.setitem(sys.modules, name, fake([], devices=0))
    with raises_code(SourceOpenError, "not-found", naming="plugged in"):
        factory.make_source(address, make()).open()
    monkeypatch.setitem(sys.modules, name, None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=rf"{name}.*\[{address[:-1]}\]"):
        factory.make_source(address, make()).open()


def test_other_sources_have_no_sensor() -> None:
    for source in ("0", "clip.mp4"):
        with raises_code(ConfigError, "no-sensor"):
            factory.make_source(source, make(depth_from="sensor"))
    with raises_code(ConfigError, "conflict"):
        factory.make_source("oak:", make(depth_from="sensor", undistort=True))
