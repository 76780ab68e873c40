"""configs/robot.yaml on a clip, from the command line to readers that are not ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.rerun_server import columns, listening, wait
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from streamdepth import config
from streamdepth.factory.naming import stream_names
from streamdepth.factory.robots import make_robot_options

FRAMES = 12


@pytest.mark.slow
def test_a_clip_goes_to_mcap_and_rerun(tmp_path, monkeypatch, cli) -> None:
    monkeypatch.chdir(tmp_path)
    with listening(tmp_path / "got.rrd", tmp_path) as port:
        done = cli(
            *("run", ROOT / "configs" / "robot.yaml", "--source", ROOT / "samples" / "room.mp4"),
            *("--set", f"outputs.publish=rerun:127.0.0.1:{port}", "--max-frames", FRAMES, "--stats", "stats.json"),
        )
        assert done.code == 0, done.err
        wait(lambda: _depths(tmp_path / "got.rrd") > 0)
    assert json.loads(Path("stats.json").read_text())["written"] == FRAMES
    with Path("robot.mcap").open("rb") as file:
        read = list(make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages())
    depths = [message for _, channel, _, message in read if channel.topic == "/camera/depth/image_rect_raw"]
    scans = [message for _, channel, _, message in read if channel.topic == "/camera/scan"]
    assert len(depths) == len(scans) == FRAMES
    values = np.frombuffer(bytes(depths[0].data), "<f4")
    assert 0.5 < np.nanmedian(values) < 6  # metres of a room
    assert scans[0].range_max == 5
    assert np.isfinite(scans[0].ranges).mean() > 0.5


def test_names_of_several_cameras_are_what_ros_allows_and_apart() -> None:
    found = stream_names(["a/Büro.mp4", "b/Boro.mp4", "c/a  _b.mp4", "a_b.mp4", "Ж.mp4", "Я.mp4"])
    assert found[:4] == ["Büro", "Boro", "a__b", "a_b"]
    settings = config.make(robot_frame_id="optical")
    options = [make_robot_options(settings, name) for name in found]
    for names in ([o.namespace for o in options], [o.frame_id for o in options]):
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"/?[A-Za-z](_?[A-Za-z0-9])*", name, re.ASCII) for name in names), names
    alone = make_robot_options(settings)
    assert (alone.namespace, alone.frame_id) == ("/camera", "optical")
    assert make_robot_options(config.make(), "x").frame_id is None


def _depths(path: Path) -> int:
    try:
        return len(columns(path)["/camera/depth"]["DepthImage:buffer"])
    except Exception:  # not all of the file is there yet
        return 0
