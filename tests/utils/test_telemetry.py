"""No package under streamdepth sends statistics, or leaves an id in the home folder, unless the user wants it."""

from __future__ import annotations

import os
import sys
from importlib import import_module, util
from pathlib import Path

import pytest
from helpers.lookups import run_recorded
from helpers.media import quarters, write_video
from helpers.pairs import write_pairs
from PIL import Image as Pillow

from streamdepth.utils.telemetry import ALLOW_VARIABLE, OPT_OUT_VARIABLES, disable_telemetry, without_rerun_analytics

VERBS = {
    "convert auto": "convert in.mp4 -o auto.mp4",
    "convert torch": "convert in.mp4 -o torch.mp4 --engine torch",
    "convert onnx": "convert in.mp4 -o onnx.mp4 --engine onnx",
    "convert onnx again": "convert in.mp4 -o again.mp4 --engine onnx",
    "convert many": "convert in.mp4 two.mp4 -o many",
    "convert rerun": "convert in.mp4 -o rerun.mp4 --depth-out clip.rrd",
    "image": "image in.png -o out.png",
    "run": "run run.yaml",
    "probe": "probe in.mp4",
    "models": "models",
    "settings": "settings",
    "doctor": "doctor",
    "bench": "bench in.mp4 --frames 2 --rounds 1",
    "export": "export nano -o nano.onnx",
    "quantize": "quantize nano --calibrate in.mp4 --frames 4 -o nano_int8",
    "eval accuracy": "eval accuracy DATA",
    "eval temporal": "eval temporal in.mp4 --plot plot.png",
    "live": "live in.mp4 --max-frames 2",
    "calibrate": "calibrate in.mp4 --board 9x6@25mm -o camera.yaml",
    "volume": "volume in.png --region 5,5,40,30 --camera-height 1m --fov 66",
    "fuse": "fuse in.mp4 --poses poses.txt -o model.ply --fov 66 --camera-height 1m",
    "fuse auto": "fuse in.mp4 --poses auto --poses-out found.txt --fov 66 --camera-height 1m",
    "eval steadiness": "eval steadiness in.mp4",
    "train pairs": "train pairs DATA -o runs --steps 1",
}
MAY_FAIL = {"doctor", "quantize", "eval accuracy", "eval temporal", "train pairs"} | {
    *("live", "calibrate", "volume", "fuse", "fuse auto", "eval steadiness")
}
"""These judge their small inputs, or this machine; what counts here is what they look up meanwhile."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, which all verbs share with their cache."""
    folder = tmp_path_factory.mktemp("telemetry")
    for name in ("in.mp4", "two.mp4"):
        write_video(folder / name, count=8)
    write_pairs(folder, "DATA")
    Pillow.fromarray(quarters(64, 48)).save(folder / "in.png")
    (folder / "poses.txt").write_text("".join(f"{index / 25} 0 0 0 0 0 0 1\n" for index in range(8)))
    (folder / "run.yaml").write_text("source: in.mp4\noutputs: {video: run.mp4}\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_no_name_is_looked_up(folder: Path, verb: str) -> None:
    done = run_recorded(["-m", "streamdepth", *VERBS[verb].split()], folder)
    assert (done.lookups, done.files) == ([], [])
    assert done.returncode == 0 or verb in MAY_FAIL, done.output


@pytest.mark.slow
@pytest.mark.skipif(util.find_spec("ray") is None, reason="Ray is not installed")
def test_no_name_is_looked_up_on_a_cluster(folder: Path) -> None:
    arguments = ["convert", "in.mp4", "two.mp4", "-o", "ray", "--cluster", "auto"]
    done = run_recorded(["-m", "streamdepth", *arguments], folder)
    assert (done.lookups, done.files) == ([], [])
    assert done.returncode == 0, done.output


@pytest.mark.slow
def test_the_page_looks_up_no_name(folder: Path) -> None:
    code = """
import urllib.request
from streamdepth.apps.web.server import WebServer
from streamdepth.apps.web.session_factory import open_session, server_options
from streamdepth.config import Settings
settings = Settings().replace(source=["in.mp4"], port=0)
with open_session(settings) as session, WebServer(session, server_options(settings)) as server:
    results = session.pipeline.frames()
    next(results)
    urllib.request.urlopen(server.address + "healthz").read()
    results.close()
"""
    done = run_recorded(["-c", code], folder)
    assert (done.lookups, done.files) == ([], [])
    assert done.returncode == 0, done.output


@pytest.mark.slow
def test_look_ups_are_noticed(folder: Path) -> None:
    done = run_recorded(["-c", "import socket; socket.getaddrinfo('statistics.invalid', 443)"], folder)
    assert done.lookups == ["statistics.invalid"]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process in which nothing is switched off yet."""
    for name in (ALLOW_VARIABLE, "CI", *OPT_OUT_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    return monkeypatch


def test_the_import_switches_statistics_off() -> None:
    assert sys.modules["openvino_telemetry"] is None
    assert set(OPT_OUT_VARIABLES) <= set(os.environ)


def test_what_the_user_has_set_stays(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    disable_telemetry()
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "0"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_one_variable_allows_everything(bare: pytest.MonkeyPatch) -> None:
    bare.setenv(ALLOW_VARIABLE, "1")
    disable_telemetry()
    assert not set(OPT_OUT_VARIABLES) & set(os.environ)
    assert "openvino_telemetry" not in sys.modules
    with without_rerun_analytics():
        assert "CI" not in os.environ


@pytest.mark.slow
def test_openvino_and_nncf_work_without_their_statistics() -> None:
    for name in ("openvino", "nncf"):
        if util.find_spec(name):
            import_module(name)


def test_the_viewer_of_rerun_takes_the_machine_for_one_that_sends_nothing(bare: pytest.MonkeyPatch) -> None:
    with without_rerun_analytics():
        assert os.environ["CI"] == "true"
    assert "CI" not in os.environ
    bare.setenv("CI", "false")
    with without_rerun_analytics():
        assert os.environ["CI"] == "false"
