from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import http_server
from helpers.media import write_video
from PIL import Image

import streamdepth
from streamdepth import ConfigError, DepthKind, InferenceError, SinkOpenError, SourceOpenError, factory
from streamdepth.api import Depth
from streamdepth.testing import ConstantEstimator, FailingEstimator


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mp4", count=12, size=(96, 64))


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))


SMALL = {"engine": "torch", "device": "cpu", "size": 64}


@pytest.mark.slow
def test_estimate_takes_a_path_and_a_pil_image(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "in.png")
    from_path = streamdepth.estimate(tmp_path / "in.png", **SMALL)
    from_image = streamdepth.estimate(picture, **SMALL)
    np.testing.assert_array_equal(from_path.predicted_depth, from_image.predicted_depth)
    assert from_path.predicted_depth.shape == (40, 60)
    assert from_path.predicted_depth.dtype == np.float32
    assert (from_path.depth.mode, from_path.depth.size) == ("L", (60, 40))
    assert (from_path.kind, from_path.unit) == (DepthKind.RELATIVE, None)
    assert from_path.depth.getextrema() == (0, 255)


@pytest.mark.parametrize("values", [np.full((4, 5), 2.5), np.full((4, 5), np.nan)])
def test_a_flat_map_gives_a_flat_picture(values: np.ndarray) -> None:
    depth = Depth(values.astype(np.float32), DepthKind.METRIC)
    assert depth.depth.getextrema() == (0, 0)
    assert depth.unit == "m"


def test_the_model_stays_loaded(monkeypatch, picture: Image.Image) -> None:
    from streamdepth import api

    api._loaded.cache_clear()
    loads = []
    monkeypatch.setattr(factory, "make_estimator", lambda s: loads.append(s) or ConstantEstimator())
    for _ in range(3):
        streamdepth.estimate(picture)
    assert len(loads) == 1
    api._loaded.cache_clear()


def test_stream_yields_depth_frames(clip: Path) -> None:
    items = list(streamdepth.stream(clip, max_frames=5, **SMALL))
    assert [i.frame.index for i in items] == [0, 1, 2, 3, 4]
    assert items[0].at_frame_size().shape == (64, 96)
    assert items[0].range is not None


def test_convert_returns_a_report_and_works_off_the_main_thread(clip: Path, tmp_path: Path) -> None:
    reports = []
    thread = threading.Thread(target=lambda: reports.append(streamdepth.convert(clip, tmp_path / "o.mp4", **SMALL)))
    thread.start()
    thread.join(60)
    assert reports[0].written == 12
    assert reports[0].model == "nano"
    assert (tmp_path / "o.mp4").exists()


def test_convert_keeps_the_report_however_it_ends(clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(factory, "make_estimator", lambda _: FailingEstimator(after=5))
    with pytest.raises(InferenceError):
        streamdepth.convert(clip, tmp_path / "o.mp4", stats=tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["inferred"] == 5
    with pytest.raises(SinkOpenError, match="exists already"):
        streamdepth.convert(clip, tmp_path / "o.mp4", stats=tmp_path / "s.json")
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    report = streamdepth.convert(clip, tmp_path / "o.mp4", stats=tmp_path / "s.json", overwrite=True)
    assert json.loads((tmp_path / "s.json").read_text())["written"] == report.written == 12


def test_a_cluster_is_for_the_command_line(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only the commands convert and run"):
        streamdepth.convert(clip, tmp_path / "o.mp4", cluster="auto")


def test_mistakes_are_the_trees_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'smooth'"):
        streamdepth.convert("a.mp4", tmp_path / "o.mp4", smoth="off")
    with pytest.raises(SourceOpenError):
        streamdepth.estimate(tmp_path / "no.png")
    with pytest.raises(SourceOpenError, match="name is empty; give a path or an http link"):
        streamdepth.estimate("")
    with pytest.raises(SourceOpenError):
        next(streamdepth.stream(tmp_path / "no.mp4", **SMALL))
    with pytest.raises(ConfigError, match=r"not a ndarray; PIL.Image.fromarray"):
        streamdepth.estimate(np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(ConfigError, match="not a list"):
        next(streamdepth.stream(["a.mp4"], **SMALL))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not a NoneType"):
        streamdepth.convert(None, tmp_path / "o.mp4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "output",
    [{"depth_out": "d.mkv"}, {"points": "%06d.ply"}, {"mesh": "%06d.glb"}, {"ply_every": 3}, {"stats": "s.json"}],
)
def test_stream_refuses_outputs(clip: Path, output: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"use convert\(\)"):
        next(streamdepth.stream(clip, **output))


def test_a_new_colour_map_loads_no_model_anew(monkeypatch, picture: Image.Image) -> None:
    from streamdepth import api

    api._loaded.cache_clear()
    loads = []
    monkeypatch.setattr(factory, "make_estimator", lambda s: loads.append(s) or ConstantEstimator())
    for colormap in ("inferno", "turbo"):
        streamdepth.estimate(picture, colormap=colormap)
    assert len(loads) == 1
    api._loaded.cache_clear()


def test_estimate_takes_an_http_link(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "in.png")
    with http_server.serve(tmp_path) as address:
        assert streamdepth.estimate(f"{address}/in.png", **SMALL).predicted_depth.shape == (40, 60)
