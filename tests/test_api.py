from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import http_server
from helpers.errors import raises_code
from helpers.media import write_video
from PIL import Image

import streamdepth
from streamdepth import ConfigError, DepthKind, InferenceError, SinkOpenError, SourceOpenError, factory
from streamdepth.api import Depth
from streamdepth.factory.pictures import forget_shared_estimators
from streamdepth.testing import ConstantEstimator, FailingEstimator, RecordingSink


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
    forget_shared_estimators()
    loads = []
    monkeypatch.setattr(factory, "make_estimator", lambda s: loads.append(s) or ConstantEstimator())
    for _ in range(3):
        streamdepth.estimate(picture)
    assert len(loads) == 1
    forget_shared_estimators()


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
    monkeypatch.setattr(factory, "make_estimator", lambda _: FailingEstimator(fail_at=5))
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
    with raises_code(ConfigError, "unknown-setting"):
        streamdepth.convert("a.mp4", tmp_path / "o.mp4", smoth="off")
    with pytest.raises(SourceOpenError):
        streamdepth.estimate(tmp_path / "no.png")
    with raises_code(SourceOpenError, "empty"):
        streamdepth.estimate("")
    with pytest.raises(SourceOpenError):
        next(streamdepth.stream(tmp_path / "no.mp4", **SMALL))
    with raises_code(ConfigError, "bad-array"):
        streamdepth.estimate(np.zeros((40, 60, 3), np.float32))
    with raises_code(ConfigError, "bad-source"):
        streamdepth.stream(["a.mp4"], **SMALL)  # type: ignore[arg-type]
    with raises_code(ConfigError, "bad-source"):
        streamdepth.convert(None, tmp_path / "o.mp4")  # type: ignore[arg-type]
    with raises_code(ConfigError, "no-output"):
        streamdepth.convert("a.mp4")


@pytest.mark.parametrize(
    "output",
    [{"depth_out": "d.mkv"}, {"points": "%06d.ply"}, {"mesh": "%06d.glb"}, {"ply_every": 3}, {"stats": "s.json"}],
)
def test_stream_refuses_outputs(clip: Path, output: dict[str, object]) -> None:
    with raises_code(ConfigError, "has-outputs"):
        streamdepth.stream(clip, **output)


def test_a_new_color_map_loads_no_model_anew(monkeypatch, picture: Image.Image) -> None:
    forget_shared_estimators()
    loads = []
    monkeypatch.setattr(factory, "make_estimator", lambda s: loads.append(s) or ConstantEstimator())
    for colormap in ("inferno", "turbo"):
        streamdepth.estimate(picture, colormap=colormap)
    assert len(loads) == 1
    forget_shared_estimators()


def test_estimate_takes_an_http_link(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "in.png")
    with http_server.serve(tmp_path) as address:
        assert streamdepth.estimate(f"{address}/in.png", **SMALL).predicted_depth.shape == (40, 60)


@pytest.fixture
def model() -> streamdepth.DepthModel:
    return streamdepth.load_model(ConstantEstimator())


def random_pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(count)]


class TestDepthModel:
    def test_a_list_gives_a_list(self, model: streamdepth.DepthModel, picture: Image.Image) -> None:
        depths = model([picture, *random_pictures(2)])
        assert [depth.predicted_depth.shape for depth in depths] == [(40, 60)] * 3

    @pytest.mark.slow
    def test_an_array_of_opencv_is_read_in_its_own_order(self, picture: Image.Image) -> None:
        with streamdepth.load_model("nano", **SMALL) as nano:
            rgb = np.array(picture)
            expected = nano(picture).predicted_depth
            np.testing.assert_array_equal(nano(rgb).predicted_depth, expected)
            np.testing.assert_array_equal(nano(rgb[..., ::-1], color="bgr").predicted_depth, expected)
            assert not np.array_equal(nano(rgb[..., ::-1]).predicted_depth, expected)

    def test_the_callers_array_stays_writable(self, model: streamdepth.DepthModel) -> None:
        (array,) = random_pictures(1)
        model(array)
        array[:] = 0

    def test_views_and_gray_arrays_are_taken(self, model: streamdepth.DepthModel) -> None:
        (array,) = random_pictures(1)
        assert model(array[::2, ::3]).predicted_depth.shape == (20, 20)
        assert model(array[..., 0]).predicted_depth.shape == (40, 60)

    def test_a_wrong_color_order_is_told(self, model: streamdepth.DepthModel) -> None:
        with raises_code(ConfigError, "bad-color"):
            model(random_pictures(1)[0], color="gbr")  # type: ignore[call-overload]

    def test_meters_of_the_keywords_hold_for_each_picture(self) -> None:
        model = streamdepth.load_model(ConstantEstimator(), anchor=["5,5=2m"], fov=60)
        depth = model(random_pictures(1)[0])
        assert depth.kind is DepthKind.METRIC
        assert depth.intrinsics is not None

    def test_threads_and_alternating_sizes_load_each_model_once(self, monkeypatch, picture: Image.Image) -> None:
        forget_shared_estimators()
        loads = []
        monkeypatch.setattr(factory, "make_estimator", lambda s: loads.append(s.model.size) or ConstantEstimator())
        threads = [
            threading.Thread(target=lambda size=size: streamdepth.estimate(picture, size=size))
            for size in (64, 96, 64, 96, 64, 96)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(loads) == [64, 96]
        forget_shared_estimators()


class TestStream:
    def test_info_and_report(self, clip: Path, model: streamdepth.DepthModel) -> None:
        with streamdepth.stream(clip, model=model) as frames:
            assert (frames.info.width, frames.info.height, frames.info.fps) == (96, 64, 25)
            assert [item.frame.index for item in frames] == list(range(12))
        assert (frames.report().read, frames.report().written) == (12, 12)

    def test_stop_ends_it_and_keeps_account(self, clip: Path, model: streamdepth.DepthModel) -> None:
        with streamdepth.stream(clip, model=model) as frames:
            for item in frames:
                if item.frame.index == 3:
                    frames.stop()
        report = frames.report()
        assert report.read == report.written + sum(report.dropped.values())

    def test_leaving_the_block_early_ends_all_threads(self, clip: Path, model: streamdepth.DepthModel) -> None:
        with streamdepth.stream(clip, model=model) as frames:
            next(frames)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("streamdepth")]
        with raises_code(SourceOpenError, "closed"):
            streamdepth_closed(clip, model).info  # noqa: B018 - the access is the test

    def test_async_for(self, clip: Path, model: streamdepth.DepthModel) -> None:
        async def indices() -> list[int]:
            return [item.frame.index async for item in streamdepth.stream(clip, model=model, max_frames=4)]

        assert asyncio.run(indices()) == [0, 1, 2, 3]

    def test_a_loaded_model_is_not_closed(self, clip: Path) -> None:
        estimator = ConstantEstimator()
        for _ in range(2):
            assert len(list(streamdepth.stream(clip, model=estimator))) == 12

    def test_own_sinks_get_every_item_before_it_is_yielded(self, clip: Path, model: streamdepth.DepthModel) -> None:
        sink = RecordingSink()
        for item in streamdepth.stream(clip, model=model, sinks=[sink]):
            assert sink.items[-1] is item
        assert len(sink.items) == 12
        assert not sink.is_open

    def test_leaving_the_loop_early_completes_own_sinks(self, clip: Path, model: streamdepth.DepthModel) -> None:
        sink = RecordingSink()
        with streamdepth.stream(clip, model=model, sinks=[sink]) as frames:
            for item in frames:
                if item.frame.index == 2:
                    break
        assert sink.closed
        assert not sink.discarded

    def test_arrays_become_a_stream(self, model: streamdepth.DepthModel) -> None:
        source = streamdepth.from_frames(random_pictures(5), fps=10, name="mine")
        with streamdepth.stream(source, model=model) as frames:
            assert (frames.info.name, frames.info.frame_count) == ("mine", 5)
            assert [item.frame.time for item in frames] == [0.0, 0.1, 0.2, 0.3, 0.4]


class TestConvert:
    def test_own_sinks_beside_a_file(self, clip: Path, tmp_path: Path, model: streamdepth.DepthModel) -> None:
        sink = RecordingSink()
        report = streamdepth.convert(clip, tmp_path / "o.mp4", model=model, sinks=[sink])
        assert report.written == len(sink.items) == 12
        assert (tmp_path / "o.mp4").exists()

    def test_own_sinks_alone(self, clip: Path, model: streamdepth.DepthModel) -> None:
        sink = RecordingSink()
        assert streamdepth.convert(clip, model=model, sinks=[sink]).written == len(sink.items) == 12

    def test_arrays_to_a_file(self, tmp_path: Path, model: streamdepth.DepthModel) -> None:
        source = streamdepth.from_frames(iter(random_pictures(5)), fps=10)
        report = streamdepth.convert(source, depth_out=tmp_path / "d.mkv", model=model)
        assert report.written == 5
        assert len(streamdepth.DepthVideo(tmp_path / "d.mkv")) == 5


def streamdepth_closed(clip: Path, model: streamdepth.DepthModel) -> streamdepth.DepthStream:
    frames = streamdepth.stream(clip, model=model)
    frames.close()
    return frames
