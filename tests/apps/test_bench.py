from __future__ import annotations

import json
import multiprocessing
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.errors import raises_code
from helpers.media import write_video
from helpers.models import make_model
from torch import nn

from streamdepth import config
from streamdepth.apps.bench import report, roofline
from streamdepth.apps.bench.clip import frame_size, make_clip
from streamdepth.apps.bench.machine import describe_machine, package_versions, peak_memory_mb
from streamdepth.apps.bench.plan import BenchmarkPlan, Measurement, SkippedError
from streamdepth.apps.bench.processes import IMPLEMENTATIONS, ImplementationProcess, make_implementation, serve
from streamdepth.apps.bench.startup import StartupTime
from streamdepth.config import Settings
from streamdepth.core.errors import EstimatorError, SourceOpenError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a tiny clip."""
    folder = tmp_path_factory.mktemp("bench")
    make_model("depth_anything", folder / "model")
    make_clip(folder / "clip.mp4", 6, (128, 96))
    return folder


def _plan(folder: Path, **changes: Any) -> BenchmarkPlan:
    settings = config.make(**{"model": str(folder / "model"), "engine": "torch", "device": "cpu"} | changes)
    return BenchmarkPlan(settings, folder / "clip.mp4", (128, 96), 4, folder)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_implementation_gives_its_measurements(folder: Path, name: str) -> None:
    implementation = make_implementation(name, _plan(folder))
    facts = implementation.prepare()
    assert facts["first_frame_s"] > 0
    measurements = implementation.measure()
    implementation.close()
    assert len(measurements) == len(implementation.names)
    for measure in measurements:
        assert measure.ms > 0
        assert measure.frames == 4
    assert set(measurements[-1].latency_ms) == {"p50", "p95", "p99"}
    written = folder / f"{name.split()[0]}.mp4"
    assert frame_size(written) == (128, 96)


def test_the_reference_loops_use_the_input_size_of_the_pipeline(folder: Path) -> None:
    """All run the same network at the same size, so that only speed is compared."""
    plan = _plan(folder)
    ours = make_implementation(IMPLEMENTATIONS[0], plan)
    size = ours.prepare()["input"]
    shapes = []
    for name in IMPLEMENTATIONS[1:]:
        loop: Any = make_implementation(name, plan)
        loop.prepare()
        network: nn.Module = loop._module.model if name == "torch loop" else loop._pipeline.model
        network.register_forward_pre_hook(
            lambda _module, _args, kwargs: shapes.append(list(kwargs["pixel_values"].shape[-2:])), with_kwargs=True
        )
        loop.measure()
    ours.close()
    assert shapes == [size] * 8


def test_nano_is_skipped_by_the_transformers_pipeline(folder: Path) -> None:
    with pytest.raises(SkippedError, match="no model of transformers"):
        make_implementation("transformers pipeline", _plan(folder, model="nano", size=64)).prepare()


@pytest.mark.parametrize(("model", "kind"), [("nano", "skipped"), ("nowhere/none", "failed")])
def test_a_process_reports_why_it_is_skipped_or_failed(folder: Path, model: str, kind: str) -> None:
    here, there = multiprocessing.Pipe()
    plan = _plan(folder, model=model, size=64)
    thread = threading.Thread(target=serve, args=(there, "transformers pipeline", plan))
    thread.start()
    assert here.recv()[0] == kind
    thread.join(30)


def test_flops_of_matrix_products_are_counted() -> None:
    convolution = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert roofline.count_flops(convolution, torch.zeros(1, 3, 10, 20)) == 2 * 3 * 8 * 9 * 200
    tokens = torch.zeros(1, 5, 16)

    class Attends(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert roofline.count_flops(Attends(), tokens) == 2 * 2 * 5 * 5 * 16
    assert roofline.matrix_flops_per_second(torch.device("cpu"), "float32") > 1e8


def _process(*names: str, skip_reason: str | None = None, peak_mb: float | None = None, **more: Any) -> Any:
    return SimpleNamespace(
        name=names[-1], names=list(names), skip_reason=skip_reason, peak_mb=peak_mb, **{"facts": {}} | more
    )


def test_medians_ratios_and_the_roofline() -> None:
    known = {
        "model": "m",
        "input": [2, 3],
        "engine": "e",
        "device": "cpu",
        "precision": "p",
        "reason": "r",
        "gflops": 2.0,
    }
    ours = _process(
        "network alone", "codec alone", "streamdepth", peak_mb=300.4, facts={"first_frame_s": 1.234, **known}
    )
    loop = _process("torch loop", facts={"first_frame_s": 2.0})
    absent = _process("transformers pipeline", skip_reason="because")
    rounds = [
        {
            "network alone": Measurement(ms, 4, cpu_ms=8.0, matrix_gflops_per_second=1000.0),
            "codec alone": Measurement(ms / 2, 4, cpu_ms=10.0),
            "streamdepth": Measurement(2 * ms, 4, {"p50": ms, "p95": ms, "p99": ms}, 20.0),
            "torch loop": Measurement(8 * ms, 4),
        }
        for ms in (10.0, 1000.0, 20.0)  # the machine was busy in the second round
    ]
    plan = BenchmarkPlan(Settings(), Path("clip.mp4"), (64, 48), 4, Path())
    startup_times = [StartupTime(1.0, 2.0), StartupTime(9.0, 3.0), StartupTime(1.5, 2.5)]
    found = report.build_report(plan, [ours, loop, absent], rounds, startup_times)
    assert found["measured"]["streamdepth"]["ms"] == 40
    assert found["measured"]["streamdepth"]["peak_mb"] == 300
    assert found["ratios"] == {"network alone": 0.5, "codec alone": 0.25, "torch loop": 4.0}
    assert (found["unavoidable_share"], found["unavoidable_cpu_share"]) == (0.75, 0.9)
    assert found["startup"] == {"seconds": 1.5, "cpu_seconds": 2.5}
    assert found["roofline"]["reached_gflops_per_s"] == 100
    assert found["roofline"]["fraction"] == 0.1
    assert json.loads(json.dumps(found)) == found
    table = report.report_table(found)
    assert table.row_count == 5
    assert "left out: because" in list(table.columns[1].cells)
    for word in ("roofline", "unavoidable", "start-up"):
        assert any(word in line for line in report.report_notes(found))


def test_facts_of_the_machine() -> None:
    assert describe_machine()["cores"] >= 1
    assert {"python", "torch", "streamdepth"} <= set(package_versions())
    peak = peak_memory_mb()
    assert peak is None or peak > 10


def test_a_file_that_is_no_video_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("nothing")
    with pytest.raises(SourceOpenError, match=r"clip\.mp4"):
        frame_size(tmp_path / "clip.mp4")


def test_a_rotated_clip_is_compared_upright(folder: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "phone.mp4", rotation=90, count=3)
    assert frame_size(clip) == (48, 64)
    plan = replace(_plan(folder, model="nano", size=64), clip=clip, size=frame_size(clip), folder=tmp_path)
    loop = make_implementation("torch loop", plan)
    loop.prepare()
    assert loop.measure()[0].frames == 3
    assert frame_size(tmp_path / "torch.mp4") == (48, 64)


def test_a_clip_with_anamorphic_pixels_is_skipped_by_opencv_loops(folder: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "wide.mp4", aspect=Fraction(2), count=3)
    plan = replace(_plan(folder, model="nano", size=64), clip=clip, size=frame_size(clip), folder=tmp_path)
    with pytest.raises(SkippedError, match="64x48"):
        make_implementation("torch loop", plan).prepare()


def test_a_process_that_was_killed_is_an_error(folder: Path) -> None:
    process = ImplementationProcess("transformers pipeline", _plan(folder, model="nano", size=64))
    try:
        process.kill()
        for ask in (process.prepare, process.measure):
            with raises_code(EstimatorError, "process-crashed"):
                ask()
    finally:
        process.close()


def test_the_bench_verb(cli, folder: Path, tmp_path: Path) -> None:
    """It measures in another process, as for a user."""
    arguments = (folder / "clip.mp4", "--model", folder / "model", "--engine", "torch", "--device", "cpu")
    done = cli("bench", *arguments, "--frames", 4, "--rounds", 2, "--alone", "--json", tmp_path / "b.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "b.json").read_text())
    assert list(found["measured"]) == ["network alone", "codec alone", "streamdepth"]
    assert 0 < found["unavoidable_share"] < 2
    assert 0 < found["unavoidable_cpu_share"] < 1.5
    assert found["startup"]["seconds"] > 0
    assert all(len(row["ms_by_round"]) == 2 for row in found["measured"].values())
    assert found["roofline"]["fraction"] > 0
    assert "times as slow" in done.out
    assert "roofline:" in done.out


def test_an_error_in_another_process_is_one_line(cli, folder: Path) -> None:
    done = cli("bench", folder / "clip.mp4", "--model", "nowhere/none", "--alone")
    assert (done.code, len(done.err.splitlines())) == (4, 1), done.err
    assert "nowhere/none" in done.err
