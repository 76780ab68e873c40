"""When a network is recorded as a CUDA graph, and when it is not; a recorder that only pretends stands for CUDA's."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from streamdepth.estimators.engines.cuda_graphs import WARM_UP_CALLS, RecordedNetwork


def doubled(pixels: Tensor) -> tuple[Tensor, ...]:
    return (pixels * 2,)


class Recorder:
    """Counts recordings, and calls to what was recorded."""

    def __init__(self, recorded: Callable[[Tensor], tuple[Tensor, ...]] = doubled) -> None:
        self.recorded, self.shapes, self.replays = recorded, list[tuple[int, ...]](), 0

    def __call__(self, network: object, pixels: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
        self.shapes.append(tuple(pixels.shape))

        def replay(pixels: Tensor) -> tuple[Tensor, ...]:
            self.replays += 1
            return self.recorded(pixels)

        return replay


def test_a_network_is_recorded_once_for_each_shape_after_its_warm_up() -> None:
    recorder = Recorder()
    network = RecordedNetwork(doubled, recorder, lane=lambda: 0)
    for i in range(WARM_UP_CALLS + 3):
        for shape in ((1, 3, 4, 6), (2, 3, 4, 6)):
            assert network(torch.full(shape, float(i)))[0].eq(2 * i).all()
    assert recorder.shapes == [(1, 3, 4, 6), (2, 3, 4, 6)]
    assert recorder.replays == 2 * (1 + 2)  # one to compare, and two after it


def test_each_lane_has_a_recording_of_its_own() -> None:
    recorder, lanes = Recorder(), [0]
    network = RecordedNetwork(doubled, recorder, lane=lambda: lanes[0])
    for lanes[0] in (7, 8):
        for _ in range(WARM_UP_CALLS + 1):
            network(torch.ones(1, 3, 2, 2))
    assert len(recorder.shapes) == 2


def fail(network: object, pixels: Tensor) -> Callable[[Tensor], tuple[Tensor, ...]]:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("record", [fail, Recorder(lambda pixels: (pixels * 3,))], ids=["fails", "differs"])
def test_what_cannot_be_recorded_runs_without_and_that_is_told(record, caplog: pytest.LogCaptureFixture) -> None:
    network = RecordedNetwork(doubled, record, lane=lambda: 0)
    with caplog.at_level(logging.WARNING):
        for _ in range(WARM_UP_CALLS + 3):
            assert network(torch.ones(1, 3, 2, 2))[0].eq(2).all()
    assert [r.levelname for r in caplog.records] == ["WARNING"]


@pytest.mark.gpu
def test_a_recording_gives_what_the_network_gives() -> None:
    layer = torch.nn.Conv2d(3, 8, 3, padding=1).cuda().eval()
    network = RecordedNetwork(lambda pixels: (layer(pixels),))
    with torch.inference_mode():
        for i in range(WARM_UP_CALLS + 4):
            pixels = torch.full((1, 3, 32, 48), float(i), device="cuda")
            torch.testing.assert_close(network(pixels)[0], layer(pixels))
