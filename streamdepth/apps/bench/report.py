"""What a measurement found, as JSON and as one table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from streamdepth.apps.bench.machine import machine, versions
from streamdepth.apps.bench.plan import Plan, Turn
from streamdepth.apps.bench.processes import Worker

_OURS, _NETWORK = "streamdepth", "network alone"


def facts(plan: Plan, workers: Sequence[Worker], rounds: Sequence[dict[str, Turn]]) -> dict[str, Any]:
    """Everything, in plain types. rounds: name -> turn, one for each round; medians are over rounds."""
    ours = dict(workers[0].facts)
    rows = {
        name: _row(worker, name, [r[name] for r in rounds if name in r]) for worker in workers for name in worker.names
    }
    gflops = ours.pop("gflops", None)
    return {
        "machine": machine(str(ours.get("device", "cpu"))),
        "versions": versions(),
        **{k: v for k, v in ours.items() if k != "first_frame_s"},
        "clip": {"name": plan.clip.name, "size": list(plan.size), "frames": plan.frames},
        "rounds": len(rounds),
        "batch": plan.settings.batch,
        "measured": rows,
        "ratios": _ratios(rounds),
        "roofline": _roofline(gflops, [r[_NETWORK] for r in rounds if _NETWORK in r]),
    }


def _row(worker: Worker, name: str, turns: Sequence[Turn]) -> dict[str, Any]:
    if worker.left_out is not None or not turns:
        return {"left_out": worker.left_out or "no round was finished"}
    ms = statistics.median(t.ms for t in turns)
    row: dict[str, Any] = {
        "ms": round(ms, 3),
        "fps": round(1e3 / ms, 2),
        "ms_of_rounds": [round(t.ms, 3) for t in turns],
    }
    if latencies := [t.latency_ms for t in turns if t.latency_ms]:
        row["latency_ms"] = {p: round(statistics.median(x[p] for x in latencies), 2) for p in latencies[0]}
    if name == worker.name:
        row["first_frame_s"] = round(worker.facts["first_frame_s"], 2)
        row["peak_mb"] = round(worker.peak_mb) if worker.peak_mb else None
    return row


def _ratios(rounds: Sequence[dict[str, Turn]]) -> dict[str, float]:
    """How many times as fast streamdepth is as each other, in the same round; medians over rounds."""
    names = {name for r in rounds for name in r} - {_OURS}
    pairs = {name: [r[name].ms / r[_OURS].ms for r in rounds if name in r and _OURS in r] for name in names}
    return {name: round(statistics.median(found), 3) for name, found in sorted(pairs.items()) if found}


def _roofline(gflops: float | None, turns: Sequence[Turn]) -> dict[str, float] | None:
    """None where the network's work is not known."""
    if not gflops or not turns:
        return None
    reached = statistics.median(gflops / t.ms * 1e3 for t in turns)
    fraction = statistics.median(gflops / t.ms * 1e3 / t.more["matrix_gflops_per_s"] for t in turns)
    return {
        "network_gflops": round(gflops, 3),
        "reached_gflops_per_s": round(reached, 1),
        "matrix_gflops_per_s": round(statistics.median(t.more["matrix_gflops_per_s"] for t in turns), 1),
        "fraction": round(fraction, 3),
    }


def table(found: dict[str, Any]) -> Table:
    """Of `facts`."""
    drawn = Table(
        "", "ms a frame", "fps", "times as slow", "p50 ms", "p95 ms", "p99 ms", "first frame s", "peak MB", box=None
    )
    for name, row in found["measured"].items():
        if "left_out" in row:
            drawn.add_row(name, f"left out: {row['left_out']}")
            continue
        latency = row.get("latency_ms", {})
        ratio = 1.0 if name == _OURS else found["ratios"].get(name)
        drawn.add_row(
            name,
            f"{row['ms']:.2f}",
            f"{row['fps']:.1f}",
            "-" if ratio is None else f"{ratio:.2f}",
            *(f"{latency[p]:.1f}" if p in latency else "-" for p in ("p50", "p95", "p99")),
            *("-" if row.get(key) is None else str(row[key]) for key in ("first_frame_s", "peak_mb")),
        )
    return drawn


def notes(found: dict[str, Any]) -> list[str]:
    """What belongs beside the table, a line each."""
    m, (height, width) = found["machine"], found["input"]
    gpu = f", {m['gpu']}" if "gpu" in m else ""
    clip = found["clip"]
    lines = [
        f"{m['cpu']}, {m['cores']} cores{gpu}; {', '.join(f'{k} {v}' for k, v in found['versions'].items())}",
        f"{found['model']} at {width}x{height}, batch {found['batch']}, on {found['engine']} {found['device']} "
        f"{found['precision']}: {found['reason']}",
        f"{clip['name']}, {clip['size'][0]}x{clip['size'][1]}, {clip['frames']} frames, "
        f"medians of {found['rounds']} rounds",
    ]
    if roof := found["roofline"]:
        lines.append(
            f"roofline: {roof['network_gflops']:.2f} GFLOP a frame, {roof['reached_gflops_per_s']:.0f} of "
            f"{roof['matrix_gflops_per_s']:.0f} GFLOP/s that products of matrices reach here in this precision "
            f"({roof['fraction']:.0%})"
        )
    return lines
