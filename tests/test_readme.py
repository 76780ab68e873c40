"""README tells the truth: every command and every line of Python in it runs."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import bags, rtsp_server
from helpers.lerobot_set import write_lerobot_set
from helpers.media import write_video
from helpers.models import make_cached_model
from helpers.onnx_files import write_export
from helpers.onnxruntime_web import write_stand_in
from helpers.pairs import write_pairs
from helpers.paths import ROOT
from helpers.readmes import README_FILES, all_commands, blocks, our_commands
from helpers.video_depth import write_cached_checkpoint
from helpers.zipdepth_checkpoint import write_checkpoint

from streamdepth.cli import train as cli_train
from streamdepth.estimators import zipdepth
from streamdepth.estimators.published_file import git_blob_of
from streamdepth.testing import RecordingSink, SyntheticSource

pytestmark = pytest.mark.slow

COMMANDS = all_commands()
OURS = our_commands()
OTHERS = [c for c in COMMANDS if not c.startswith("streamdepth ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a clone holds, pictures with depth, and the weights of an earlier training, to run in."""
    for name in ("samples", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.py"))
    write_pairs(tmp_path, "DATA")
    write_lerobot_set(tmp_path / "DATASET", size=(320, 240))
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "clip.mp4", count=3)
    bags.write_bag(tmp_path / "bag", {"/camera/image_raw": map(bags.image, range(3))})
    bags.write_bag(tmp_path / "rgbd", bags.rgbd_topics(3))
    write_depth_pictures(tmp_path)
    write_stand_in(tmp_path / "onnxruntime-web-1.30.0.tgz")
    write_export(tmp_path, "DA3METRIC-LARGE.onnx").rename(tmp_path / "depth.onnx")
    (tmp_path / "depth.yaml").write_text("kind: metric\nscale: focal_px / 300\n")
    (tmp_path / "runs" / "place").mkdir(parents=True)
    shutil.copy(ROOT / "streamdepth" / "estimators" / "weights" / "nano.safetensors", tmp_path / "runs" / "place")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_depth_pictures(folder: Path) -> None:
    """Writes rgb/ and depth/, as RGB-D data sets have them."""
    for name, picture in (("rgb", bags.picture(0)), ("depth", np.full((32, 48), 1500, np.uint16))):
        (folder / name).mkdir()
        for index in range(3):
            cv2.imwrite(str(folder / name / f"{index}.png"), picture)


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera, a window, a virtual camera and NDI that this machine does not have."""
    monkeypatch.setattr("streamdepth.sources.camera.CameraSource", lambda *_, **__: SyntheticSource(is_live=True))
    monkeypatch.setattr("streamdepth.apps.web.session_factory.BrowserSource", lambda: SyntheticSource(is_live=True))
    for sink in (
        "window.WindowSink",
        "virtual_camera.VirtualCameraSink",
        "ndi.NdiSink",
        "robots.rerun_viewer.RerunViewerSink",
    ):
        monkeypatch.setattr(f"streamdepth.sinks.{sink}", lambda *_, **__: RecordingSink(can_drop_frames=True))


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's local cache as a download leaves it, with the real architecture and small random weights."""
    make_cached_model(folder / "hub", "depth-anything/Depth-Anything-V2-Small-hf", "depth_anything")
    indoor = "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
    make_cached_model(folder / "hub", indoor, "depth_anything_metric")
    monkeypatch.setattr("streamdepth.factory.chosen_model._gpu_memory_bytes", lambda _: None)
    weights = write_checkpoint(zipdepth.PUBLISHED.path)
    monkeypatch.setattr(zipdepth, "PUBLISHED", replace(zipdepth.PUBLISHED, git_blob=git_blob_of(weights)))
    make_cached_model(folder / "hub", "depth-anything/prompt-depth-anything-vits-hf", "prompt_depth_anything")
    write_cached_checkpoint(folder / "hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(folder / "hub"))


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small steps instead of a thousand, on small depth by motion."""
    monkeypatch.setattr("streamdepth.training.motion.sweep.WIDEST_PX", 96)
    small = {"steps": 2, "batch": 2, "pairs": 1, "sizes": [(32, 64)]}
    monkeypatch.setattr(cli_train, "FINE_TUNING", cli_train.FINE_TUNING | small)


@pytest.fixture
def camera() -> Iterator[str]:
    if missing := rtsp_server.unavailable_reason():
        pytest.skip(missing)
    with rtsp_server.running() as server:
        yield f"{server.address}/h264"


def _words(command: str) -> list[str]:
    """Without the name of the program; a server ends after a moment, and listens where nobody else can reach it."""
    words = ["127.0.0.1" if word == "0.0.0.0" else word for word in shlex.split(command)[1:]]
    return [*words, "--port", "0", "--max-frames", "3"] if words[0] == "serve" else words


def test_the_first_page_is_short() -> None:
    """A newcomer reads one page; reference lies in the README files of the folders."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160


def test_there_are_commands() -> None:
    assert len(OURS) > 8
    assert all(c.startswith(("pip install ", "pytest")) for c in OTHERS), OTHERS


@pytest.mark.parametrize("command", OTHERS)
def test_the_other_commands_are_run_on_a_fresh_machine(command: str) -> None:
    assert command.replace("pip install", "pip install -q") in (ROOT / ".ci/run").read_text()


@pytest.mark.usefixtures("folder", "hardware", "hub", "short_training")
@pytest.mark.parametrize("command", [c for c in OURS if "rtsp://" not in c and "--cluster" not in c])
def test_command(cli, command: str) -> None:
    done = cli(*_words(command))
    assert done.code == 0, done.err


@pytest.mark.usefixtures("folder", "hardware")
@pytest.mark.parametrize("command", [c.replace("10", "2") for c in OURS if "rtsp://" in c])
def test_command_with_a_network_camera(cli, camera: str, command: str) -> None:
    words = [camera if w.startswith("rtsp://") else w for w in _words(command)]
    done = cli(*words)
    assert done.code == 0, done.err
    assert words[0] in ("serve", "live") or [path for path in Path().glob("cam*.mp4") if path.stat().st_size]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("code", [code for path in README_FILES for code in blocks(path, "python")])
def test_python(code: str, capsys) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("readme", README_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(readme: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", readme.read_text(encoding="utf-8"))
    assert not [link for link in links if not (readme.parent / link).exists()]
