"""Joins what `gpu.sh` measured: `python tests/measure/gpu_table.py FOLDER` writes gpu.json and gpu.md there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_MODELS = {"bench_nano": "nano", "bench_dav2s": "depth-anything-v2-small (random weights)"}


def main(folder: Path) -> None:
    facts: dict[str, Any] = {
        path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json")) if path.stem != "gpu"
    }
    (folder / "gpu.json").write_text(json.dumps(facts, indent=1))
    lines = [*_bench_table(facts), "", *_stream_table(facts.get("streams", []))]
    (folder / "gpu.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")


def _bench_table(facts: dict[str, Any]) -> list[str]:
    benches = {name: facts[name] for name in _MODELS if name in facts}
    machines = {b["machine"].get("gpu", b["machine"]["cpu"]) for b in benches.values()}
    lines = [
        f"{', '.join(sorted(machines))}; `tests/measure/gpu.sh`",
        "",
        "| 720p file to overlay file | network alone, ms | whole, ms | fps | p95 latency, ms | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, bench in benches.items():
        network, whole = bench["measured"]["network alone"], bench["measured"]["streamdepth"]
        lines.append(
            f"| {_MODELS[name]}, {bench['engine']} {bench['precision']} | {network.get('ms', '-')} | "
            f"{whole.get('ms', '-')} | {whole.get('fps', '-')} | {whole.get('latency_ms', {}).get('p95', '-')} | "
            f"{whole.get('peak_mb', '-')} |"
        )
    return lines


def _stream_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| streams of 720p files to depth, `nano` | decoded on | fps of all | CPU cores | GPU memory, MB |",
        "|---|---|---|---|---|",
    ]
    return lines + [
        f"| {r['streams']} | {r['decoded_on']} | {r['fps']} | {r['cpu_cores']} | {r['gpu_memory_mb'] or '-'} |"
        for r in rows
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
