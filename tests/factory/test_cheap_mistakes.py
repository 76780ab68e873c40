"""A package that an output needs is missed before the model is loaded, whatever the output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from helpers.media import write_video

from streamdepth import factory
from streamdepth.apps.batch.batch_run import run_batch
from streamdepth.config import make
from streamdepth.core.errors import MissingDependencyError

OUTPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "exr": ({"depth_out": "d/%06d.exr"}, "OpenEXR"),
    "exr by -o": ({"output": "d/%06d.exr"}, "OpenEXR"),
    "mcap": ({"depth_out": "a.mcap"}, "mcap"),
    "mcap in segments": ({"depth_out": "a.mcap", "segment": 10}, "mcap"),
    "mcap of ros": ({"depth_out": "a.mcap"}, "rosbags"),
    "mcap of foxglove": ({"depth_out": "a.mcap", "robot_schemas": "foxglove"}, "foxglove"),
    "rerun's file": ({"depth_out": "a.rrd"}, "rerun"),
    "rerun": ({"publish": ["rerun"]}, "rerun"),
    "foxglove": ({"publish": ["foxglove"]}, "foxglove"),
    "zenoh": ({"publish": ["zenoh"]}, "zenoh"),
    "points": ({"points": "p_%06d.ply"}, "plyfile"),
    "points for Open3D": ({"points": "p_%06d.pcd"}, "open3d"),
    "meshes": ({"mesh": "m_%06d.glb"}, "trimesh"),
    "virtual camera": ({"push": ["virtualcam:"]}, "pyvirtualcam"),
    "ndi": ({"push": ["ndi:"]}, "cyndilib"),
}


def test_a_batch_misses_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    monkeypatch.setattr(factory, "make_estimator", lambda _: pytest.fail("the model was loaded"))
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", count=2)
    settings = make(
        source=[str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")],
        depth_out=str(tmp_path / "out" / "{name}" / "%06d.exr"),
    )
    with pytest.raises(MissingDependencyError):
        run_batch(settings, Mock())


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_missing_package_is_missed_before_the_model_is_loaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, module = OUTPUTS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(factory, "make_estimator", lambda _: pytest.fail("the model was loaded"))
    clip = write_video(tmp_path / "a.mp4", count=2)
    with pytest.raises(MissingDependencyError), factory.open_pipeline(make(source=str(clip), **outputs)):
        pass
