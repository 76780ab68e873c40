"""Every verb on a machine without libGL.so.1, which OpenCV's wheel needs: slim containers lack it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from helpers.media import write_video
from helpers.pairs import write_pairs
from helpers.paths import ROOT

from streamdepth.cli.app import app

LOADER_MESSAGE = "libGL.so.1: cannot open shared object file: No such file or directory"
VERBS = {
    "convert": "convert in.mp4 -o out.mp4",
    "live": "live 0",
    "serve": "serve in.mp4 --port 0",
    "image": "image in.png -o out.png",
    "run": "run run.yaml",
    "probe": "probe in.mp4",
    "calibrate": "calibrate in.mp4 --board 9x6@25mm -o camera.yaml",
    "volume": "volume in.png --region 1,1,9,9 --camera-height 1m --fov 60",
    "fuse": "fuse in.mp4 --poses poses.txt --fov 60 -o out.ply",
    "lerobot": "lerobot DATASET --camera front",
    "bench": "bench in.mp4 --frames 2 --rounds 1 --alone",
    "export": "export nano -o nano.onnx",
    "quantize": "quantize nano --calibrate DATA -o nano.onnx",
    "eval accuracy": "eval accuracy DATA",
    "eval temporal": "eval temporal in.mp4",
    "eval steadiness": "eval steadiness in.mp4",
    "eval metric": "eval metric DATA",
    "train pairs": "train pairs DATA -o runs",
    "train blend": "train blend nano.safetensors nano.safetensors -o blend.safetensors",
    "train recipe": "train recipe recipe.yaml --data DATA -o runs",
    "train pack": "train pack recipe.yaml --data DATA -o packed",
    "train distil": "train distil in.mp4 --teacher nano -o runs",
    "train motion": "train motion in.mp4 -o runs",
}
WORKS_WITHOUT_OPENCV = {"models", "settings", "doctor"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, and a stub of the package cv2 that fails as the real one does without libGL."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "stub" / "cv2").mkdir(parents=True)
    (folder / "stub" / "cv2" / "__init__.py").write_text(f"raise ImportError({LOADER_MESSAGE!r})")
    write_video(folder / "in.mp4", count=2)
    write_pairs(folder, "DATA")
    shutil.copy(ROOT / "streamdepth/estimators/weights/nano.safetensors", folder)
    shutil.copy(ROOT / "configs/train/nano.yaml", folder / "recipe.yaml")
    (folder / "run.yaml").write_text("source: in.mp4\noutputs: {video: out.mp4}\n")
    return folder


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m streamdepth` in that folder, with the stub before the real package."""
    search_path = os.pathsep.join([str(folder / "stub"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "streamdepth", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_list_of_verbs_is_whole() -> None:
    command = typer.main.get_command(app)
    names = set()
    for name, verb in command.commands.items():  # type: ignore[attr-defined]
        names |= {f"{name} {inner}" for inner in verb.commands} if hasattr(verb, "commands") else {name}
    assert names == VERBS.keys() | WORKS_WITHOUT_OPENCV


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_system_library_is_one_line_with_what_helps(folder: Path, verb: str) -> None:
    done = start(folder, *VERBS[verb].split())
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: ")
    assert "libGL.so.1" in line
    assert "apt-get install libgl1" in line
    assert "pip uninstall opencv-python && pip install opencv-python-headless" in line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", ["--version", "--help", "convert --help", "models", "settings"])
def test_what_needs_no_opencv_works(folder: Path, arguments: str) -> None:
    done = start(folder, *arguments.split())
    assert (done.returncode, done.stderr) == (0, "")


def test_the_doctor_says_it_and_goes_on(folder: Path) -> None:
    done = start(folder, "doctor")
    assert done.returncode == 1
    rows = [(line[:4].strip(), line[4:].strip()) for line in done.stdout.splitlines()]
    assert [mark for mark, text in rows if text.startswith("opencv ")] == ["NO"]
    assert "apt-get install libgl1" in done.stdout
    assert [mark for mark, text in rows if text.startswith("lossless depth encoder")] == ["ok"]
    assert "Traceback" not in done.stdout + done.stderr
