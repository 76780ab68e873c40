"""Measures whether latency grows: `python tests/measure/latency.py [SOURCE] [--minutes 60] [--set KEY=VALUE]`.

Plays SOURCE as a camera would and takes each result as a sink gets it. Prints, for each minute, the percentiles of the
milliseconds since a frame left the decoder, what was dropped, and the memory; at the end those of the whole run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth import config, factory

_MINUTE = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="lavfi:testsrc2=size=1280x720:rate=30")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--set", action="append", help="any setting, such as model.name=nano", default=[])
    arguments = parser.parse_args()
    limits = {"source": arguments.source, "realtime": True, "max_seconds": arguments.minutes * _MINUTE}
    total: list[float] = []
    with factory.open_pipeline(config.load(None, arguments.set, limits)) as pipeline:
        part, until = list[float](), time.monotonic() + _MINUTE
        for item in pipeline.frames():
            now = time.monotonic()
            part.append(1000 * (now - item.frame.captured_at))
            if now >= until:
                total += part
                _print(part, dropped=sum(pipeline.report().dropped.values()))
                part, until = [], until + _MINUTE
        total += part
        report = pipeline.report()
    _print(total, dropped=sum(report.dropped.values()), read=report.read, written=report.written)


def _print(latencies_ms: list[float], **facts: Any) -> None:
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(latencies_ms, (50, 95, 99)))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    facts |= {"frames": len(latencies_ms), "p50": p50, "p95": p95, "p99": p99, "memory MB": round(resident / 1e6, 1)}
    json.dump(facts, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
