from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from streamdepth.estimators.engines import Engine
from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16
from streamdepth.estimators.engines.fallback import FallbackEngine
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.engines.precision_check import DifferenceRecord, PrecisionCheck, relative_difference
from streamdepth.estimators.engines.torch_engine import TorchEngine

PIXELS = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


class Coarse(TorchEngine):
    """An engine that claims reduced precision, and is wrong by `offset`."""

    def __init__(self, module: nn.Module, offset: float) -> None:
        super().__init__(module, device="cpu")
        self.precision, self._offset, self.runs = "bfloat16", offset, 0

    def run(self, pixels: Tensor) -> tuple[Tensor, ...]:
        self.runs += 1
        return tuple(output + self._offset for output in super().run(pixels))


class Ramp(nn.Module):
    """A network whose depth runs from 0 to 1, with a mean distance of 1/4 from the median."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        return torch.linspace(0, 1, 384).reshape(1, 16, 24).expand(len(pixels), -1, -1) * self.scale


@pytest.fixture(autouse=True)
def record_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    return tmp_path / "precision"


@pytest.fixture
def checked() -> Callable[[float], tuple[FallbackEngine, Coarse, Ramp]]:
    def make(offset: float, *, has_no_fallback: bool = True) -> tuple[FallbackEngine, Coarse, Ramp]:
        reference = Ramp().eval()
        engine = Coarse(copy.deepcopy(reference), offset)

        def exact() -> Engine:
            return TorchEngine(reference, device="cpu")

        check = PrecisionCheck(LazyModule(lambda: reference, "ramp"), exact, limit=0.05, record=DifferenceRecord("key"))
        make_torch = None if has_no_fallback else lambda: pytest.fail("nothing failed")
        return FallbackEngine(engine, make_torch=make_torch, check=check), engine, reference

    return make


def test_the_difference_is_a_share_of_the_spread() -> None:
    exact = np.linspace(0, 1, 10001).reshape(1, 1, -1)
    assert relative_difference(exact + 0.01, exact) == pytest.approx(0.04, rel=1e-3)
    assert relative_difference(exact, exact) == 0


def test_a_flat_wall_is_no_failure() -> None:
    wall = np.full((1, 4, 4), 3.0)
    assert relative_difference(wall * 1.003, wall) == pytest.approx(0.03, rel=1e-3)


def test_what_is_not_finite_is_infinitely_far() -> None:
    exact = np.ones((1, 2, 2))
    assert relative_difference(np.array([[[1.0, float("nan")], [1, 1]]]), exact) == float("inf")
    assert relative_difference(np.array([[[1.0, float("inf")], [1, 1]]]), exact) == float("inf")
    assert relative_difference(exact * 5, exact * float("nan")) == 0


def test_small_differences_are_logged_and_recorded(checked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine, coarse, reference = checked(0.005)
    for _ in range(4):
        engine.run(PIXELS)
    assert (engine.precision, coarse.runs, reference.calls) == ("bfloat16", 4, 2)
    assert "2.0% of the depth's spread" in engine.reason
    assert "bfloat16 differs from float32 by 2.0%" in caplog.text
    again, coarse, reference = checked(0.005)
    again.run(PIXELS)
    assert (coarse.runs, reference.calls) == (1, 0)
    assert "2.0%" in again.reason


@pytest.mark.parametrize("chosen", ["by name", "auto"])
def test_precision_is_not_checked_on_warm_up(checked, chosen: str) -> None:
    engine, coarse, reference = checked(1.0, has_no_fallback=chosen == "by name")
    engine.warm_up(PIXELS)
    assert (engine.precision, coarse.runs, reference.calls) == ("bfloat16", 1, 0)
    engine.run(PIXELS)
    assert engine.precision == "float32"


def test_depth_is_the_same_before_and_after_the_check(checked) -> None:
    first, later = checked(0.005)[0], checked(0.005)[0]
    depths = [first.run(PIXELS)[0] for _ in range(3)]
    assert all(torch.equal(depth, depths[0]) for depth in depths)
    assert torch.equal(later.run(PIXELS)[0], depths[0])


def test_large_differences_end_in_float32_from_the_first_picture_on(checked, caplog: pytest.LogCaptureFixture) -> None:
    engine, coarse, _ = checked(0.1)
    exact = TorchEngine(Ramp(), device="cpu").run(PIXELS)[0]
    for _ in range(3):
        torch.testing.assert_close(engine.run(PIXELS)[0], exact)
    assert (engine.precision, coarse.runs) == ("float32", 1)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "39.9%" in caplog.text
    for _ in range(6):
        again, coarse, _ = checked(0.1)
        torch.testing.assert_close(again.run(PIXELS)[0], exact)
        assert (again.precision, coarse.runs, "float32 is used" in again.reason) == ("float32", 1, True)


def test_an_odd_input_decides_for_its_own_run_only(checked) -> None:
    """A test pattern may differ more than any video; one that differs less must not excuse a network either."""

    def run(offset: float) -> tuple[str, bool]:
        engine, _, reference = checked(offset)
        for _ in range(2):
            engine.run(PIXELS)
        return engine.precision, reference.calls > 0

    assert run(0.1) == ("float32", True)
    assert run(0.005) == ("bfloat16", True)
    assert run(0.1) == ("float32", True), "one good run does not outweigh one bad run"
    assert [run(0.005) for _ in range(3)] == [("bfloat16", True)] * 2 + [("bfloat16", False)]


def test_a_damaged_record_is_measured_anew(checked, record_folder: Path) -> None:
    checked(0.005)[0].run(PIXELS)
    record_folder.mkdir(exist_ok=True)
    (record_folder / "key.json").write_text("{")
    engine, _, reference = checked(0.005)
    engine.run(PIXELS)
    assert reference.calls == 1


def test_a_record_that_cannot_be_written_costs_only_time(checked, record_folder: Path) -> None:
    record_folder.write_text("not a folder")
    engine, _, _ = checked(0.005)
    for _ in range(3):
        engine.run(PIXELS)
    assert "2.0%" in engine.reason


@pytest.mark.skipif(not computes_in_bfloat16(torch.device("cpu")), reason="this CPU does not compute in bfloat16")
def test_bfloat16_by_choice_is_checked_and_can_be_left_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3), nn.Flatten(1, 2)).eval()
    options = {"engine": "torch", "device": "cpu", "precision": "bfloat16"}
    engine = make_engine(LazyModule(lambda: copy.deepcopy(network), "tiny"), **options)
    engine.run(PIXELS)
    engine.run(PIXELS)
    assert engine.precision == "bfloat16"
    assert "differs from float32" in engine.reason
    strict = make_engine(LazyModule(lambda: copy.deepcopy(network), "tiny"), **options, precision_limit=1e-6)
    torch.testing.assert_close(strict.run(PIXELS)[0], network(PIXELS).detach())
    assert strict.precision == "float32"
    free = make_engine(LazyModule(lambda: copy.deepcopy(network), "tiny"), **options, precision_limit=None)
    assert isinstance(free, TorchEngine)
