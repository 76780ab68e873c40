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
from helpers.media import write_beginning, write_video
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
NEED_WHOLE_CLIP = ("streamdepth train motion ", "streamdepth eval temporal ")
OTHERS = [c for c in COMMANDS if not c.startswith("streamdepth ")]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a clone holds, pictures with depth, and the weights of an earlier training.

    Of the sample clip there is only the first second, to save time.
    """
    clone = tmp_path_factory.mktemp("clone")
    for name in ("samples", "configs"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("*.py"))
    write_beginning(ROOT / "samples" / "room.mp4", clone / "samples" / "room.mp4", seconds=1)
    write_pairs(clone, "DATA")
    write_lerobot_set(clone / "DATASET", size=(320, 240))
    (clone / "videos").mkdir()
    write_video(clone / "videos" / "clip.mp4", count=3)
    bags.write_bag(clone / "bag", {"/camera/image_raw": map(bags.image, range(3))})
    bags.write_bag(clone / "rgbd", bags.rgbd_topics(3))
    write_depth_pictures(clone)
    write_stand_in(clone / "onnxruntime-web-1.30.0.tgz")
    write_export(clone, "DA3METRIC-LARGE.onnx").rename(clone / "depth.onnx")
    (clone / "depth.yaml").write_text("kind: metric\nscale: focal_px / 300\n")
    (clone / "runs" / "place").mkdir(parents=True)
    shutil.copy(ROOT / "streamdepth" / "estimators" / "weights" / "nano.safetensors", clone / "runs" / "place")
    return clone


@pytest.fixture
def folder(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the clone to run in."""
    shutil.copytree(clone, tmp_path, dirs_exist_ok=True)
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


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub's local cache as downloads leave it, with the real architectures and small random weights."""
    hub = tmp_path_factory.mktemp("hub")
    make_cached_model(hub, "depth-anything/Depth-Anything-V2-Small-hf", "depth_anything")
    make_cached_model(hub, "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf", "depth_anything_metric")
    make_cached_model(hub, "depth-anything/prompt-depth-anything-vits-hf", "prompt_depth_anything")
    write_cached_checkpoint(hub)
    write_checkpoint(zipdepth.PUBLISHED.path)
    return hub


@pytest.fixture
def hub(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = git_blob_of(zipdepth.PUBLISHED.path)
    monkeypatch.setattr(zipdepth, "PUBLISHED", replace(zipdepth.PUBLISHED, git_blob=blob))
    monkeypatch.setattr("streamdepth.factory.chosen_model._gpu_memory_bytes", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(downloads))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(downloads))


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
    """Returns the arguments of a command.

    A server ends after a moment, and listens where nobody else can reach it; a bench measures hardly anything.
    """
    words = ["127.0.0.1" if word == "0.0.0.0" else word for word in shlex.split(command)[1:]]
    shorter = {"serve": ["--port", "0", "--max-frames", "3"], "bench": ["--frames", "2", "--rounds", "1"]}
    return [*words, *shorter.get(words[0], [])]


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
    if command.startswith(NEED_WHOLE_CLIP):
        shutil.copy(ROOT / "samples" / "room.mp4", "samples")
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
