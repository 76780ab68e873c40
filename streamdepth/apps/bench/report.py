"""The report of a benchmark, as plain types for JSON, as a table and as notes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from streamdepth.apps.bench.machine import describe_machine, package_versions
from streamdepth.apps.bench.plan import BenchmarkPlan, Measurement
from streamdepth.apps.bench.processes import ImplementationProcess
from streamdepth.apps.bench.startup import StartupTime

_STREAMDEPTH, _NETWORK, _CODEC = "streamdepth", "network alone", "codec alone"


def build_report(
    plan: BenchmarkPlan,
    processes: Sequence[ImplementationProcess],
    rounds: Sequence[dict[str, Measurement]],
    startup_times: Sequence[StartupTime] = (),
) -> dict[str, Any]:
    """Builds the report of a benchmark in plain types. Figures are medians over rounds.

    Args:
        plan: what was measured.
        processes: the implementations.
        rounds: for each round, name -> measurement.
        startup_times: of each round; none if it was not measured.
    """
    own_facts = dict(processes[0].facts)
    rows = {
        name: _row(process, name, [r[name] for r in rounds if name in r])
        for process in processes
        for name in process.names
    }
    gflops = own_facts.pop("gflops", None)
    return {
        "machine": describe_machine(str(own_facts.get("device", "cpu"))),
        "versions": package_versions(),
        **{k: v for k, v in own_facts.items() if k != "first_frame_s"},
        "clip": {"name": plan.clip.name, "size": list(plan.size), "frames": plan.frames},
        "rounds": len(rounds),
        "batch": plan.settings.inference.batch,
        "measured": rows,
        "ratios": _ratios(rounds),
        "unavoidable_share": _unavoidable_share(rounds, lambda m: m.ms),
        "unavoidable_cpu_share": _unavoidable_share(rounds, lambda m: m.cpu_ms),
        "startup": _startup(startup_times),
        "roofline": _roofline(gflops, [r[_NETWORK] for r in rounds if _NETWORK in r]),
    }


def _row(process: ImplementationProcess, name: str, measurements: Sequence[Measurement]) -> dict[str, Any]:
    if process.skip_reason is not None or not measurements:
        return {"skipped": process.skip_reason or "no round was finished"}
    ms = statistics.median(m.ms for m in measurements)
    row: dict[str, Any] = {
        "ms": round(ms, 3),
        "fps": round(1e3 / ms, 2),
        "ms_by_round": [round(m.ms, 3) for m in measurements],
    }
    if latencies := [m.latency_ms for m in measurements if m.latency_ms]:
        row["latency_ms"] = {p: round(statistics.median(x[p] for x in latencies), 2) for p in latencies[0]}
    if name == process.name:
        row["first_frame_s"] = round(process.facts["first_frame_s"], 2)
        row["peak_mb"] = round(process.peak_mb) if process.peak_mb else None
    return row


def _ratios(rounds: Sequence[dict[str, Measurement]]) -> dict[str, float]:
    """Returns for each other name its time per frame over that of streamdepth in the same round, the median of all."""
    names = {name for r in rounds for name in r} - {_STREAMDEPTH}
    pairs = {
        name: [r[name].ms / r[_STREAMDEPTH].ms for r in rounds if name in r and _STREAMDEPTH in r] for name in names
    }
    return {name: round(statistics.median(values), 3) for name, values in sorted(pairs.items()) if values}


def _unavoidable_share(
    rounds: Sequence[dict[str, Measurement]], time_of: Callable[[Measurement], float]
) -> float | None:
    """Returns the share of streamdepth's time that codec and network alone would take; None if one is missing."""
    costs = [[time_of(r[name]) for name in (_NETWORK, _CODEC, _STREAMDEPTH) if name in r] for r in rounds]
    shares = [(cost[0] + cost[1]) / cost[2] for cost in costs if len(cost) == 3 and cost[2]]
    return round(statistics.median(shares), 3) if shares else None


def _startup(times: Sequence[StartupTime]) -> dict[str, float] | None:
    if not times:
        return None
    return {
        "seconds": round(statistics.median(t.seconds for t in times), 2),
        "cpu_seconds": round(statistics.median(t.cpu_seconds for t in times), 2),
    }


def _roofline(gflops: float | None, measurements: Sequence[Measurement]) -> dict[str, float] | None:
    """Returns the share of the machine's arithmetic that the network uses; None if its FLOPs are unknown."""
    if not gflops or not measurements:
        return None
    reached = statistics.median(gflops / m.ms * 1e3 for m in measurements)
    fraction = statistics.median(gflops / m.ms * 1e3 / m.matrix_gflops_per_second for m in measurements)
    return {
        "network_gflops": round(gflops, 3),
        "reached_gflops_per_s": round(reached, 1),
        "matrix_gflops_per_s": round(statistics.median(m.matrix_gflops_per_second for m in measurements), 1),
        "fraction": round(fraction, 3),
    }


def report_table(report: dict[str, Any]) -> Table:
    """Draws the table of a report."""
    drawn = Table(
        "", "ms a frame", "fps", "times as slow", "p50 ms", "p95 ms", "p99 ms", "first frame s", "peak MB", box=None
    )
    for name, row in report["measured"].items():
        if "skipped" in row:
            drawn.add_row(name, f"left out: {row['skipped']}")
            continue
        latency = row.get("latency_ms", {})
        ratio = 1.0 if name == _STREAMDEPTH else report["ratios"].get(name)
        drawn.add_row(
            name,
            f"{row['ms']:.2f}",
            f"{row['fps']:.1f}",
            "-" if ratio is None else f"{ratio:.2f}",
            *(f"{latency[p]:.1f}" if p in latency else "-" for p in ("p50", "p95", "p99")),
            *("-" if row.get(key) is None else str(row[key]) for key in ("first_frame_s", "peak_mb")),
        )
    return drawn


def report_notes(report: dict[str, Any]) -> list[str]:
    """Returns the lines that belong below the table: the machine, the model, the clip and the roofline."""
    m, (height, width) = report["machine"], report["input"]
    gpu = f", {m['gpu']}" if "gpu" in m else ""
    clip = report["clip"]
    lines = [
        f"{m['cpu']}, {m['cores']} cores{gpu}; {', '.join(f'{k} {v}' for k, v in report['versions'].items())}",
        f"{report['model']} at {width}x{height}, batch {report['batch']}, on {report['engine']} {report['device']} "
        f"{report['precision']}: {report['reason']}",
        f"{clip['name']}, {clip['size'][0]}x{clip['size'][1]}, {clip['frames']} frames, "
        f"medians of {report['rounds']} rounds",
    ]
    if share := report["unavoidable_share"]:
        cpu_share = report["unavoidable_cpu_share"]
        lines.append(
            f"unavoidable: codec and network alone would take {share:.0%} of streamdepth's time"
            + (f", {cpu_share:.0%} of its processor time" if cpu_share else "")
        )
    if startup := report["startup"]:
        lines.append(
            f"start-up: {startup['seconds']:.2f} s, {startup['cpu_seconds']:.2f} s of processor time, for a whole "
            "command that converts 2 frames"
        )
    if roof := report["roofline"]:
        lines.append(
            f"roofline: {roof['network_gflops']:.2f} GFLOP a frame, {roof['reached_gflops_per_s']:.0f} of "
            f"{roof['matrix_gflops_per_s']:.0f} GFLOP/s that products of matrices reach here in this precision "
            f"({roof['fraction']:.0%})"
        )
    return lines
