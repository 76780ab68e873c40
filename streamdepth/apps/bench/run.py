"""The benchmark: interleaved rounds, so that other work on the machine disturbs all implementations alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamdepth.apps.bench.plan import BenchmarkPlan, Measurement
from streamdepth.apps.bench.processes import IMPLEMENTATIONS, running_processes
from streamdepth.apps.bench.report import build_report
from streamdepth.apps.bench.startup import StartupCommand


def run_benchmark(
    plan: BenchmarkPlan,
    rounds: int,
    on_step: Callable[[str], None] = lambda _: None,
    *,
    only_streamdepth: bool = False,
) -> dict[str, Any]:
    """Runs `rounds` rounds, in each of which every implementation is measured once; returns the report.

    Args:
        plan: what is measured.
        rounds: how often each implementation is measured.
        on_step: gets a description of each step before it starts.
        only_streamdepth: leaves out the implementations that streamdepth is compared with.

    Raises:
        StreamDepthError: if the model or the clip cannot be opened, or a process of the benchmark crashed.
    """
    names = IMPLEMENTATIONS[:1] if only_streamdepth else IMPLEMENTATIONS
    startup = None if plan.random_weights else StartupCommand(plan)  # random weights are no model that has a name
    with running_processes(plan, lambda name: on_step(f"preparing {name}"), names) as processes:
        measured: list[dict[str, Measurement]] = []
        startup_times = []
        if startup:
            on_step("preparing the start-up")
            startup.run()
        for number in range(rounds):
            measured.append({})
            for process in processes:
                on_step(f"round {number + 1} of {rounds}: {process.name}")
                # a skipped implementation has names and no measurements
                measured[-1].update(zip(process.names, process.measure(), strict=False))
            if startup:
                on_step(f"round {number + 1} of {rounds}: start-up")
                startup_times.append(startup.run())
        return build_report(plan, processes, measured, startup_times)
