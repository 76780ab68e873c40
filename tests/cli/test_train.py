"""`streamdepth train`, end to end with little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.media import write_video
from helpers.models import make_model
from helpers.pairs import write_pairs
from safetensors.torch import save_file

from streamdepth.estimators.nano import load_network

Cli = Callable[..., Any]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("steps: 2\nbatch: 2\npairs: 1\nsizes: [[32, 64]]\n")
    return path


def test_a_recipe_trains_from_its_file(tmp_path: Path, small: Path, cli: Cli) -> None:
    write_pairs(tmp_path, "rooms")
    small.write_text(small.read_text() + "start: nano\nsets: [{name: rooms}]\n")
    done = cli("train", "recipe", small, "--data", tmp_path, "-o", tmp_path / "run", "--device", "cpu")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "nano.safetensors").exists()


@pytest.mark.slow
def test_own_pictures_fine_tune_nano_and_the_weights_are_a_model(tmp_path: Path, small: Path, cli: Cli) -> None:
    write_pairs(tmp_path, "mine", count=6)
    run = tmp_path / "run"
    done = cli("train", "pairs", tmp_path / "mine", "-o", run, "--config", small, "--steps", 1, "--device", "cpu")
    assert done.code == 0, done.err
    assert f"--model {run / 'nano.safetensors'}" in done.out
    assert "error on pictures held back:" in done.out
    video = write_video(tmp_path / "clip.mp4", count=3)
    out = tmp_path / "out.mp4"
    done = cli("convert", video, "-o", out, "--model", run / "nano.safetensors", "--engine", "torch", "--device", "cpu")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_large_model_teaches_nano_the_users_videos(tmp_path: Path, small: Path, cli: Cli) -> None:
    videos = [write_video(_made(tmp_path / folder) / "clip.mp4", count=8) for folder in ("a", "b")]
    teacher, run = make_model("depth_anything", tmp_path / "teacher"), tmp_path / "run"
    arguments = ("train", "distil", *videos, "--teacher", teacher, "-o", run, "--config", small, "--every", 0)
    done = cli(*arguments, "--device", "cpu", "--accept-license", "--most", 5)
    assert done.code == 0, done.err
    for name in ("clip", "clip_2"):
        assert len(list((run / "labels" / name / "depth").glob("*.png"))) == 5
    assert (run / "nano.safetensors").exists()
    assert "before" in done.out


def test_a_blend_lies_between_two_weights(tmp_path: Path, cli: Cli) -> None:
    shipped = load_network()
    ends = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for end, factor in zip(ends, (1.0, 3.0), strict=True):
        weights = {k: (v * factor).half() for k, v in shipped.state_dict().items() if v.is_floating_point()}
        save_file(weights, end)
    done = cli("train", "blend", *ends, "--share", 0.25, "-o", tmp_path / "out.safetensors")
    assert done.code == 0, done.err
    mixed = load_network(tmp_path / "out.safetensors").head.pixels.weight
    torch.testing.assert_close(mixed, shipped.head.pixels.weight * 2.5, rtol=2e-3, atol=1e-3)
    assert cli("train", "blend", *ends, "--share", 2, "-o", tmp_path / "out.safetensors").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pairs", "{0}/none", "-o", "{0}/run"), "none"),
        (("recipe", "{0}/none.yaml", "--data", "{0}", "-o", "{0}/run"), "cannot read the training settings"),
        (("distil", "{0}/none.mp4", "--teacher", "nano", "-o", "{0}/run"), "none.mp4"),
        (("pairs", "{0}", "-o", "{0}/run", "--device", "abacus"), "abacus"),
        (("pairs", "{0}", "-o", "{0}/run", "--start", "{0}/none.safetensors"), "none.safetensors"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    write_pairs(tmp_path, "x")
    filled = [argument.format(tmp_path / "x" if argument == "{0}" else tmp_path) for argument in arguments]
    done = cli("train", *filled)
    assert done.code in (2, 3, 4)
    assert message in done.err
    assert done.err.count("\n") == 1


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
