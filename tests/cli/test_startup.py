"""What a command imports before it begins: seconds for each start of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.media import write_video

from streamdepth.estimators.engines.gpu_presence import may_have_gpu

_RUN = """
import sys
from streamdepth.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *({"torch", "transformers", "av", "cv2", "numpy", "openvino"} & set(sys.modules)))
"""
_TORCH = {"torch", "transformers"}


def imported_by(*arguments: object, cache: Path | None = None) -> set[str]:
    """Runs a command to its successful end, and returns which of the heavy packages it imported."""
    environment = os.environ | ({"STREAMDEPTH_CACHE": str(cache)} if cache else {})
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", size=(64, 48), count=4)


def test_help_imports_no_heavy_package() -> None:
    assert imported_by("--help") == set()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--version",), ("convert", "--help"), ("settings",)])
def test_what_only_prints_imports_no_heavy_package(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) == set()


@pytest.mark.slow
def test_probe_and_models_do_not_import_torch(clip: Path) -> None:
    assert not imported_by("probe", clip) & _TORCH
    assert not imported_by("models") & _TORCH


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.skipif(may_have_gpu(), reason="torch is asked for a GPU")
def test_the_built_in_model_needs_torch_only_until_it_is_converted(clip: Path, tmp_path: Path) -> None:
    """The first run converts the network and checks its precision; later ones find both in the cache."""
    cache, output = tmp_path / "cache", tmp_path / "out"
    options = ("--size", "64", "--overwrite")
    assert "torch" in imported_by("convert", clip, "-o", output / "1.mp4", *options, cache=cache)
    frames = output / "frames"
    assert not imported_by("convert", clip, "-o", frames / "%d.png", *options, cache=cache) & _TORCH
    for command in (
        ("convert", clip, "-o", output / "2.mp4", "--inference-fps", "5", "--depth-out", output / "2.mkv"),
        ("image", next(frames.iterdir()), "-o", output / "3.png"),
    ):
        found = imported_by(*command, *options, cache=cache)
        assert "openvino" in found
        assert not found & _TORCH
    assert "torch" in imported_by("convert", clip, "-o", output / "4.mp4", *options, "--engine", "torch", cache=cache)
