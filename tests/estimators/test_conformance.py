"""The promises of every Estimator. A new one is tested by one more line in MAKERS."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.models import make_model
from helpers.onnx_files import write_export
from helpers.video_depth import write_checkpoint

from streamdepth.core.errors import EstimatorError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.estimators.foreign.estimator import open_foreign_model
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.estimators.huggingface import HuggingFaceEstimator
from streamdepth.estimators.nano import NanoEstimator
from streamdepth.estimators.nano2_network import Nano2Network
from streamdepth.estimators.video_depth_anything import VideoDepthEstimator
from streamdepth.testing import ConstantEstimator

CPU = {"engine": "torch", "device": "cpu"}
MAKERS = {
    "nano": lambda _: NanoEstimator(size=64, **CPU),
    "nano on openvino": lambda _: NanoEstimator(size=64, engine="openvino"),
    "relative hub model": lambda folder: HuggingFaceEstimator(str(make_model("depth_anything", folder / "m")), **CPU),
    "metric hub model": lambda folder: HuggingFaceEstimator(str(make_model("glpn", folder / "m")), **CPU),
    "model with memory": lambda folder: VideoDepthEstimator(
        str(write_checkpoint(folder / "v.pth")), size=56, device="cpu", allow_pickle=True
    ),
    "onnx file on openvino": lambda folder: open_foreign_model(write_export(folder, "zipdepth_base_384x384.onnx")),
    "fake": lambda _: ConstantEstimator(),
    "lazy": lambda _: LazyEstimator(ConstantEstimator),
    "hot swap": lambda _: HotSwapEstimator(lambda: 1, lambda _: ConstantEstimator()),
}


@pytest.fixture(scope="module", params=MAKERS)
def estimator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estimator]:
    if "openvino" in request.param:
        pytest.importorskip("openvino")
    made: Estimator = MAKERS[request.param](tmp_path_factory.mktemp("models"))
    yield made
    made.close()


def frame(width: int, height: int, seed: int = 0, stream: str = "a") -> Frame:
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return Frame(image, 0, 0, Fraction(1, 30), 0.0, stream)


def fresh(estimator: Estimator, one: Frame) -> Estimate:
    """Returns the result for a frame before which nothing was seen of its stream."""
    estimator.reset(one.stream)
    return estimator.estimate([one])[0]


def test_it_says_what_it_is(estimator: Estimator) -> None:
    info = estimator.info
    assert info.kind in DepthKind
    assert info.name
    assert info.license
    assert info.engine
    assert info.device


@pytest.mark.slow
def test_one_result_per_frame_in_order_whatever_the_sizes(estimator: Estimator) -> None:
    frames = [frame(64, 48), frame(48, 64, 1), frame(64, 48, 2, "b")]
    alone = [fresh(estimator, f).depth for f in frames]
    for stream in "ab":
        estimator.reset(stream)
    together = [e.depth for e in estimator.estimate(frames)]
    for a, b in zip(together, alone, strict=True):
        assert a.dtype == np.float32
        assert a.ndim == 2
        np.testing.assert_allclose(a, b, rtol=0.02, atol=0.02 * max(1e-3, np.ptp(b)))


def test_warming_up_changes_nothing(estimator: Estimator) -> None:
    one = frame(64, 48)
    before = fresh(estimator, one).depth
    estimator.warm_up(64, 48)
    np.testing.assert_array_equal(fresh(estimator, one).depth, before)


def test_after_a_reset_it_is_as_at_first(estimator: Estimator) -> None:
    frames = [frame(64, 48, seed) for seed in range(3)]
    first = [fresh(estimator, frames[0]), *(estimator.estimate([f])[0] for f in frames[1:])]
    again = [fresh(estimator, frames[0]), *(estimator.estimate([f])[0] for f in frames[1:])]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_allclose(a.depth, b.depth, rtol=1e-5)


def test_two_batches_may_be_in_flight(estimator: Estimator) -> None:
    frames = [frame(64, 48, seed, "ab"[seed]) for seed in (0, 1)]
    alone = [fresh(estimator, f).depth for f in frames]
    for stream in "ab":
        estimator.reset(stream)
    futures = [estimator.submit([f]) for f in frames]
    for future, expected in zip(futures, alone, strict=True):
        np.testing.assert_allclose(future.result()[0].depth, expected, rtol=1e-5)


def test_no_frames_no_results(estimator: Estimator) -> None:
    assert estimator.estimate([]) == []


def test_a_flat_picture_is_never_nan(estimator: Estimator) -> None:
    image = np.full((48, 64, 3), 128, np.uint8)
    depth = estimator.estimate([Frame(image, 0, 0, Fraction(1), 0.0)])[0].depth
    assert np.isfinite(depth).all()


def test_frames_are_left_alone(estimator: Estimator) -> None:
    one = frame(64, 48)
    before = one.image.copy()
    estimator.estimate([one])
    np.testing.assert_array_equal(one.image, before)


def test_reset_of_an_unknown_stream_is_harmless(estimator: Estimator) -> None:
    estimator.reset("never seen")


def test_close_is_idempotent(tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        if "openvino" in name:
            continue
        made = make(tmp_path / name)
        made.close()
        made.close()


def test_a_failing_network_is_an_estimator_error(monkeypatch: pytest.MonkeyPatch) -> None:
    nano = NanoEstimator(size=64, **CPU)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Nano2Network, "forward", fail)
    with raises_code(EstimatorError, "inference", naming="out of memory"):
        nano.estimate([frame(64, 48)])
