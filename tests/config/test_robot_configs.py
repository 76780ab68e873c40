"""configs/robot.yaml on a clip, from the command line to readers that are not ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.rerun_server import columns, listening, wait
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

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
    assert 0.5 < np.nanmedian(values) < 6  # meters of a room
    assert scans[0].range_max == 5
    assert np.isfinite(scans[0].ranges).mean() > 0.5


def _depths(path: Path) -> int:
    try:
        return len(columns(path)["/camera/depth"]["DepthImage:buffer"])
    except Exception:  # not all of the file is there yet
        return 0
