"""A model with memory: each stream has its own, of fixed size, and a cut clears it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.video_depth import SMALL, TINY, published_shapes, random_tensors, write_cached_checkpoint, write_checkpoint

import streamdepth as sd
from streamdepth import config, factory
from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.video_depth_anything import VideoDepthEstimator, load_video_depth_network
from streamdepth.estimators.video_depth_memory import StreamMemory
from streamdepth.estimators.video_depth_network import Layout, TemporalAttention, VideoDepthNetwork
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import FlowPropagator, make_stabilizer
from streamdepth.testing import RecordingSink, SyntheticSource

SMALL_INPUT: Any = {"size": 56, "device": "cpu", "allow_pickle": True}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "video_depth_anything_vits.pth")


@pytest.fixture
def estimator(checkpoint: Path) -> Iterator[VideoDepthEstimator]:
    with VideoDepthEstimator(str(checkpoint), **SMALL_INPUT) as made:
        yield made


def frames(count: int, stream: str = "a", size: tuple[int, int] = (64, 48)) -> list[Frame]:
    """Returns pictures of noise, others for each stream."""
    random = np.random.default_rng(sum(stream.encode()))
    pictures = random.integers(0, 256, (count, size[1], size[0], 3), np.uint8)
    return [Frame(picture, i, i, Fraction(1, 30), 0.0, stream) for i, picture in enumerate(pictures)]


def depths(estimator: VideoDepthEstimator, given: list[Frame]) -> list[DepthMap]:
    return [estimator.estimate([frame])[0].depth for frame in given]


def test_the_published_file_has_these_names_and_the_published_size() -> None:
    shapes = published_shapes(**SMALL)
    layout = Layout.of_tensors(shapes)
    with torch.device("meta"):
        network = VideoDepthNetwork(layout)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shapes
    assert layout.levels == (2, 5, 8, 11)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(29.04, abs=0.01)


def test_a_file_with_other_tensors_is_refused(tmp_path: Path) -> None:
    tensors = random_tensors(published_shapes(**TINY))
    last = tensors.pop("head.scratch.output_conv2.2.bias")
    for found in (tensors, tensors | {"head.scratch.output_conv2.2.bias": last, "more": last}, {"a": last}):
        torch.save(found, tmp_path / "a.pth")
        with raises_code(ModelLoadError, "foreign"):
            load_video_depth_network(tmp_path / "a.pth")
    torch.save({"code": Path("x")}, tmp_path / "a.pth")
    with raises_code(ModelLoadError, "damaged"):
        load_video_depth_network(tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes(b"nothing")
    with raises_code(ModelLoadError, "damaged"):
        load_video_depth_network(tmp_path / "a.pth")


def test_attention_with_the_ring_is_that_to_a_clip_of_the_published_choice() -> None:
    """A clip: the first frame, the one 41 frames ago, the last 29 and the newest; before the first, the first again."""
    torch.manual_seed(0)
    attention, memory, seen = TemporalAttention(16), StreamMemory(), list[torch.Tensor]()
    attention.pos_encoder.pe.normal_()  # type: ignore[operator,union-attr]
    for time in range(100):
        tokens = torch.randn(3, 16)
        seen.append(tokens)
        memory.begin_frame()
        with torch.no_grad():
            found = attention(tokens, memory)
        ages = [time, 41, *range(29, -1, -1)] if time else [0]
        clip = torch.stack([seen[max(0, time - age)] for age in ages], 1) + attention.pos_encoder.pe[:, : len(ages)]  # type: ignore[index]
        heads = [
            layer(part).unflatten(2, (8, 2)).transpose(1, 2)
            for layer, part in ((attention.to_q, clip[:, -1:]), (attention.to_k, clip), (attention.to_v, clip))
        ]
        with torch.no_grad():
            mixed = torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)[:, 0]
            torch.testing.assert_close(found, attention.to_out[0](mixed), rtol=1e-4, atol=1e-5)


def test_the_first_frame_of_a_stream_is_a_single_picture(estimator: VideoDepthEstimator) -> None:
    first, second = frames(2)
    singles = [depths(estimator, [Frame(f.image, 0, 0, Fraction(1), 0.0)])[0] for f in (first, second)]
    a, b = depths(estimator, [first, second])
    assert a.shape == (56, 70)
    assert np.ptp(a) > 0
    np.testing.assert_array_equal(a, singles[0])
    assert np.abs(b - singles[1]).mean() > 0.01 * b.std(), "the second frame sees the first"


def test_two_interleaved_streams_are_as_each_alone(estimator: VideoDepthEstimator) -> None:
    a, b = frames(6, "a"), frames(6, "b", (48, 64))
    alone = {stream: depths(estimator, given) for stream, given in (("a", a), ("b", b))}
    for stream in "ab":
        estimator.reset(stream)
    pairs = [estimator.estimate([x, y]) for x, y in zip(a, b, strict=True)]
    for i, pair in enumerate(pairs):
        for estimate, stream in zip(pair, "ab", strict=True):
            np.testing.assert_array_equal(estimate.depth, alone[stream][i])


def test_a_reset_and_another_size_are_fresh_starts(estimator: VideoDepthEstimator) -> None:
    given = frames(5)
    fresh = depths(estimator, given)
    went_on = depths(estimator, given)
    assert np.abs(went_on[0] - fresh[0]).mean() > 0
    estimator.reset("a")
    np.testing.assert_array_equal(depths(estimator, given), fresh)
    depths(estimator, frames(1, size=(48, 64)))
    np.testing.assert_array_equal(depths(estimator, given), fresh)


def test_the_memory_takes_its_room_at_the_first_frame(estimator: VideoDepthEstimator) -> None:
    given = frames(45)
    depths(estimator, given[:1])
    size = estimator.memory_bytes("a")
    # Two attentions at each of four places with 4 x 5, 2 x 3, 4 x 5 and 8 x 10 pixels, 43 frames, float32.
    assert size == 2 * 43 * 4 * (20 * 32 + 6 * 64 + 20 * 32 + 80 * 32)
    depths(estimator, given[1:])
    assert estimator.memory_bytes("a") == size
    estimator.reset("a")
    assert estimator.memory_bytes("a") == 0


@pytest.mark.parametrize(("batch", "smooth"), [(4, "off"), (1, "offline")])
def test_a_pipeline_begins_anew_with_the_first_frame_of_a_shot(
    estimator: VideoDepthEstimator, batch: int, smooth: str
) -> None:
    source = SyntheticSource(count=12, shot_frames=6)
    seen = list[DepthMap]()

    class Tap(sd.Estimator):
        """Notes the depth as the model gives it."""

        info, has_memory = estimator.info, True

        def estimate(self, frames: Any) -> list[sd.Estimate]:
            found = estimator.estimate(frames)
            seen.extend(estimate.depth for estimate in found)
            return found

        def reset(self, stream: str) -> None:
            estimator.reset(stream)

    with sd.stream(source, model=Tap(), smooth=smooth, batch=batch) as items:
        cuts = [item.frame.index for item in items if item.cut]
    assert cuts == [6]
    assert estimator.memory_bytes("synthetic") == 0, "the end of a stream is the end of its memory"
    with source:
        given = [source.read() for _ in range(12)] if source.open() else []
    for shot in (given[:6], given[6:]):
        estimator.reset("synthetic")
        np.testing.assert_array_equal(depths(estimator, shot), seen[: len(shot)])
        del seen[: len(shot)]


class Brightening(SyntheticSource):
    """A stream named "door" of one picture that becomes a little brighter from frame to frame, without a cut."""

    def __init__(self, picture: Frame) -> None:
        super().__init__(count=4, name="door")
        self.picture = picture

    def read(self) -> Frame | None:
        frame = super().read()
        return None if frame is None else replace(frame, pixels=self.picture.image // 2 + np.uint8(2 * frame.index))


@pytest.mark.parametrize("has_keyframes", [False, True])
def test_streams_of_the_same_name_have_memories_of_their_own(
    estimator: VideoDepthEstimator, has_keyframes: bool
) -> None:
    pictures = [frames(1, stream)[0] for stream in "ab"]

    def run(*chosen: Frame) -> list[list[DepthMap]]:
        sinks = [RecordingSink() for _ in chosen]
        streams = [
            Stream(Brightening(picture), make_stabilizer("off"), [sink], FlowPropagator() if has_keyframes else None)
            for picture, sink in zip(chosen, sinks, strict=True)
        ]
        Pipeline(streams, estimator).run()
        assert {(item.frame.stream, item.cut) for sink in sinks for item in sink.items} == {("door", False)}
        assert estimator.memory_bytes("door") == 0
        return [[item.depth for item in sink.items] for sink in sinks]

    alone = [run(picture)[0] for picture in pictures]
    np.testing.assert_array_equal(run(*pictures), alone)


def test_between_keyframes_the_memory_begins_anew_at_cuts_too(estimator: VideoDepthEstimator) -> None:
    source = SyntheticSource(count=12, shot_frames=7)
    with sd.stream(source, model=estimator, smooth="off", inference_fps=10) as items:
        found = {item.frame.index: item.depth for item in items if item.depth_age_seconds == 0}
    source.open()
    given = [source.read() for _ in range(12)]
    (first,) = depths(estimator, [given[7]])
    np.testing.assert_array_equal(found[7], first)


def test_it_runs_by_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = config.make(model="video-depth-anything-small", **SMALL_INPUT)
    with raises_code(ModelLoadError, "not-available"):
        factory.make_estimator(settings)
    write_cached_checkpoint(tmp_path)
    with raises_code(ModelLoadError, "pickle"):
        factory.make_estimator(settings.replace(allow_pickle=False))
    with factory.make_estimator(settings) as estimator:
        info = estimator.info
    assert (info.kind, info.license, info.engine) == (DepthKind.RELATIVE, "apache-2.0", "torch")
    assert info.name == "video-depth-anything-small"


def test_what_it_cannot_do_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with raises_code(ConfigError, "torch-only"):
        VideoDepthEstimator(str(checkpoint), engine="openvino", **SMALL_INPUT)
    with raises_code(ConfigError, "option-conflict"):
        VideoDepthEstimator(str(checkpoint), compile=True, **SMALL_INPUT)
    with raises_code(ConfigError, "bad-size"):
        VideoDepthEstimator(str(checkpoint), **SMALL_INPUT | {"size": 7})
    with raises_code(ConfigError, "several-inputs"):
        factory.make_network(config.make(model=str(checkpoint), allow_pickle=True))
    with raises_code(ModelLoadError, "no-model"):
        VideoDepthEstimator(str(tmp_path / "none.pth"), **SMALL_INPUT | {"allow_pickle": False})
