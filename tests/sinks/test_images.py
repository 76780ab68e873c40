from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, fill, names, stream
from PIL import Image

import streamdepth
from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.types import DepthKind, ModelInfo
from streamdepth.sinks.images import ImagesSink, write_depth_image
from streamdepth.testing import ConstantEstimator

RELATIVE = ModelInfo("relative", DepthKind.RELATIVE)


def read_png(path: Path) -> np.ndarray:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert codes.dtype == np.uint16
    return np.asarray(codes)


def meters() -> DepthMap:
    return np.array([[0.0004, 0.5, 1.2344, 65.5], [70, np.inf, np.nan, 0]], np.float32)


def test_png_of_meters_is_in_millimeters(tmp_path: Path) -> None:
    write_depth_image(tmp_path / "d.png", meters(), DepthKind.METRIC, text={"model": "m"})
    assert read_png(tmp_path / "d.png").tolist() == [[1, 500, 1234, 65500], [65535, 65535, 0, 0]]
    assert Image.open(tmp_path / "d.png").text == {  # type: ignore[attr-defined]  # a PNG has it
        "streamdepth:kind": "metric",
        "streamdepth:model": "m",
        "streamdepth:unit": "mm",
    }


def test_png_of_relative_depth_names_its_range_and_no_unit(tmp_path: Path) -> None:
    depth = np.array([[-2, 0, np.nan], [3, np.inf, 0.5]], np.float32)
    write_depth_image(tmp_path / "d.png", depth, DepthKind.RELATIVE)
    text = Image.open(tmp_path / "d.png").text  # type: ignore[attr-defined]  # a PNG has it
    assert "streamdepth:unit" not in text
    low, high = float(text["streamdepth:low"]), float(text["streamdepth:high"])
    codes = read_png(tmp_path / "d.png")
    assert (codes == 0).tolist() == [[False, False, True], [False, True, False]]
    back = low + (codes.astype(float) - 1) / 65534 * (high - low)
    np.testing.assert_allclose(back[codes > 0], depth[np.isfinite(depth)], atol=5 / 65534)


@pytest.mark.parametrize("value", [np.nan, 2.0])
def test_flat_or_unknown_relative_depth(tmp_path: Path, value: float) -> None:
    write_depth_image(tmp_path / "d.png", np.full((3, 3), value, np.float32), DepthKind.RELATIVE)
    assert len(np.unique(read_png(tmp_path / "d.png"))) == 1


def test_npz_keeps_every_float(tmp_path: Path) -> None:
    write_depth_image(tmp_path / "d.npz", meters(), DepthKind.METRIC)
    with np.load(tmp_path / "d.npz") as data:
        np.testing.assert_array_equal(data["depth"], meters())
        assert str(data["kind"]) == "metric"


def test_exr_keeps_every_float(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    write_depth_image(tmp_path / "d.exr", meters(), DepthKind.METRIC)
    with exr.File(str(tmp_path / "d.exr"), separate_channels=True) as file:
        for channel in "ZRGB":
            np.testing.assert_array_equal(file.channels()[channel].pixels, meters())
        assert file.header()["streamdepth:kind"] == "metric"


def test_readers_without_depth_channels_read_exr(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    depth = np.arange(48 * 32, dtype=np.float32).reshape(32, 48) / 7
    write_depth_image(tmp_path / "d.exr", depth, DepthKind.METRIC)
    with av.open(str(tmp_path / "d.exr")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "gbrpf32le"
    for plane in frame.planes:
        stored = np.frombuffer(plane, np.float32).reshape(32, -1)[:, :48]
        np.testing.assert_array_equal(stored, depth)


def test_exr_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[exr\]"):
        write_depth_image(tmp_path / "d.exr", meters(), DepthKind.METRIC)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[exr\]"):
        ImagesSink(tmp_path / "%d.exr").open(stream()[0], MODEL)
    assert names(tmp_path) == []


def test_a_picture_is_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "d.png").write_bytes(b"older")
    with raises_code(SinkOpenError, "exists", naming="overwrite=True"):
        write_depth_image(tmp_path / "d.png", meters(), DepthKind.METRIC)
    write_depth_image(tmp_path / "d.png", meters(), DepthKind.METRIC, overwrite=True)
    assert names(tmp_path) == ["d.png"]


def test_the_number_is_the_index_at_the_source(tmp_path: Path) -> None:
    info, items = stream(3)
    items[2] = replace(items[2], frame=replace(items[2].frame, index=41))
    fill(ImagesSink(tmp_path / "d_%03d.png"), info, items)
    assert names(tmp_path) == ["d_000.png", "d_001.png", "d_041.png", "d_frames.json"]


def test_depth_lies_on_the_frames_pixels(tmp_path: Path) -> None:
    info, items = stream(1, 48, 32)
    items = [replace(items[0], depth=np.full((6, 8), 2, np.float32))]
    fill(ImagesSink(tmp_path / "%d.png"), info, items)
    assert read_png(tmp_path / "0.png").shape == (32, 48)


@pytest.mark.parametrize(
    ("pattern", "first", "sidecar"),
    [
        ("100%_%06d.png", "100%_000000.png", "100%_frames.json"),
        ("%d_%d.png", "0_%d.png", "frames_%d.json"),
        ("50%%_%02d_%s.png", "50%%_00_%s.png", "50%%_frames_%s.json"),
    ],
)
def test_only_the_first_number_is_a_number(pattern: str, first: str, sidecar: str, tmp_path: Path) -> None:
    info, items = stream(2)
    fill(ImagesSink(tmp_path / pattern), info, items)
    assert {first, sidecar} <= set(names(tmp_path))
    assert len(names(tmp_path)) == 3
    with raises_code(SinkOpenError, "exists", naming="overwrite=True"):
        ImagesSink(tmp_path / pattern).open(info, MODEL)


def test_the_facts_of_relative_depth(tmp_path: Path) -> None:
    info, items = stream(2)
    items = [replace(i, kind=DepthKind.RELATIVE) for i in items]
    fill(ImagesSink(tmp_path / "%d.png"), info, items, RELATIVE)
    facts = json.loads((tmp_path / "frames.json").read_text())
    assert facts["kind"] == "relative"
    assert facts["unit"] is None
    assert facts["time_base"] == [1, 30]
    assert facts["frames"]["1.png"] == {"index": 1, "pts": 1, "range": [1.0, 4.0]}


def test_relative_depth_of_all_pictures_has_one_scale_which_is_the_display_range(tmp_path: Path) -> None:
    info, items = stream(3)
    depths = [np.array([[0.5, 2.0, value, np.nan]], np.float32) for value in (1.0, 9.0, -3.0)]
    items = [replace(i, depth=d, kind=DepthKind.RELATIVE, range=(0.0, 4.0)) for i, d in zip(items, depths, strict=True)]
    sink = ImagesSink(tmp_path / "%d.png", size="network")
    fill(sink, info, items, RELATIVE)
    codes = [read_png(tmp_path / f"{i}.png")[0].tolist() for i in range(3)]
    assert [c[:2] for c in codes] == [[8193, 32768]] * 3
    assert [c[2:] for c in codes] == [[16384, 0], [65535, 0], [1, 0]]
    assert Image.open(tmp_path / "1.png").text["streamdepth:high"] == "4.0"  # type: ignore[attr-defined]  # a PNG
    assert any("--range" in notice for notice in sink.notices)


@pytest.mark.parametrize(("shown", "is_given"), [("auto", False), ("lock:20,180", True), ("per-shot", False)])
def test_still_pixels_keep_their_numbers_while_the_scene_changes(shown: str, is_given: bool, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(12):
        picture = np.full((48, 64, 3), 60, np.uint8)
        picture[:8] = 40
        picture[30 - i : 30 + i] = 250
        Image.fromarray(picture).save(tmp_path / "in" / f"{i:03d}.png")
    model = ConstantEstimator(size=(48, 64), from_brightness=True)
    streamdepth.convert(tmp_path / "in", tmp_path / "%03d.png", model=model, smooth="off", range=shown)
    pictures = [read_png(tmp_path / f"{i:03d}.png") for i in range(12)]
    assert len({int(p[12, 5]) for p in pictures}) == 1
    facts = json.loads((tmp_path / "frames.json").read_text())["frames"]
    (scale,) = {tuple(frame["range"]) for frame in facts.values()}
    if is_given:
        assert scale == (20, 180)


def test_files_of_depth_have_the_same_size_which_is_a_choice(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "in.png")
    choices = (({}, None), ({"depth_size": "picture"}, (60, 80)), ({"depth_size": "network"}, (24, 32)))
    for options, wanted in choices:
        for name in ("d.png", "d.exr", "d.npz", "d.mkv"):
            target = tmp_path / name
            streamdepth.convert(
                tmp_path / "in.png", depth_out=target, model=ConstantEstimator(), overwrite=True, **options
            )
            if name == "d.npz":
                shape = np.load(target)["depth"].shape
            else:
                with av.open(str(target)) as container:
                    stream_of_file = container.streams.video[0]
                    shape = stream_of_file.height, stream_of_file.width
            assert shape == (wanted or ((24, 32) if name == "d.mkv" else (60, 80))), (name, options)
    with raises_code(ConfigError, "unknown-depth-size", naming="picture, network"):
        ImagesSink(tmp_path / "x.png", size="small")


def test_the_unit_of_metric_depth(tmp_path: Path) -> None:
    info, items = stream(1)
    for suffix, unit in ((".png", "mm"), (".npz", "m")):
        fill(ImagesSink(tmp_path / f"one{suffix}"), info, items)
        assert json.loads((tmp_path / f"one{suffix}.json").read_text())["unit"] == unit


def test_a_name_without_a_number_takes_one_frame(tmp_path: Path) -> None:
    info, items = stream(2)
    fill(ImagesSink(tmp_path / "depth.png"), info, items[:1])
    assert names(tmp_path) == ["depth.png", "depth.png.json"]
    with raises_code(SinkWriteError, "not-numbered", naming="%06d"):
        fill(ImagesSink(tmp_path / "other.png"), info, items)
    assert names(tmp_path) == ["depth.png", "depth.png.json"]


def test_depth_too_far_for_millimeters_is_announced(tmp_path: Path) -> None:
    info, items = stream(2)
    items[1].depth[0, 0] = 80
    sink = ImagesSink(tmp_path / "%d.png")
    fill(sink, info, items)
    assert sink.notices == ["depth beyond 65.535 m does not fit into a PNG of millimeters; .exr and .npz keep it"]


def test_older_pictures_of_a_longer_run_stay_and_are_announced(tmp_path: Path) -> None:
    info, items = stream(3)
    fill(ImagesSink(tmp_path / "%d.png"), info, items)
    sink = ImagesSink(tmp_path / "%d.png", overwrite=True)
    fill(sink, info, items[:2])
    assert "1 older" in sink.notices[0]
    assert names(tmp_path) == ["0.png", "1.png", "2.png", "frames.json"]
