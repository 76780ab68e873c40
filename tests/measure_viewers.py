"""What viewers cost: `python tests/measure_viewers.py [SOURCE] [--viewers 8] [--seconds 120]`.

Runs `streamdepth serve` by itself, first without viewers, then with some that take every picture they can, from a
process of their own, and prints the pipeline's rate, the viewers' rate and the server's memory of both times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

_SETTLE_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="lavfi:testsrc2=size=640x360:rate=30")
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        _watch(arguments.watch, arguments.viewers, arguments.seconds)
    else:
        _measure(arguments.source, arguments.viewers, arguments.seconds)


def _measure(source: str, viewers: int, seconds: float) -> None:
    command = [sys.executable, "-m", "streamdepth", "serve", source, "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            while not _stream(address)["written"]:
                time.sleep(0.2)
            time.sleep(_SETTLE_SECONDS)
            alone = _span(address, server.pid, min(seconds, 60.0))
            options = ["--viewers", str(viewers), "--seconds", str(seconds + _SETTLE_SECONDS)]
            watch = [sys.executable, __file__, "--watch", address, *options]
            watching = subprocess.Popen(watch, stdout=subprocess.PIPE, text=True)
            time.sleep(_SETTLE_SECONDS)
            watched = _span(address, server.pid, seconds)
            seen = json.loads(watching.communicate()[0])
        finally:
            server.terminate()
    json.dump({"alone": alone, f"{viewers} viewers": watched, "viewers' fps": seen}, sys.stdout, indent=1)


def _span(address: str, pid: int, seconds: float) -> dict[str, Any]:
    """Rates and memory over some seconds."""
    before, began, memory = _stream(address), time.monotonic(), []
    processor = _processor_seconds(pid)
    while time.monotonic() - began < seconds:
        memory.append(_resident_mb(pid))
        time.sleep(1)
    after, passed = _stream(address), time.monotonic() - began
    tenth = max(1, len(memory) // 10)
    return {
        "seconds": round(passed, 1),
        "read fps": round((after["read"] - before["read"]) / passed, 2),
        "pipeline fps": round((after["written"] - before["written"]) / passed, 2),
        "cores used": round((_processor_seconds(pid) - processor) / passed, 2),
        "latency ms p50, p95, p99": after["history"][-1]["latency_ms"],
        "memory MB, first and last tenth": [
            round(sum(part) / len(part), 1) for part in (memory[:tenth], memory[-tenth:])
        ],
    }


def _stream(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}api/status") as answer:
        return json.load(answer)["streams"][0]


def _resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watch(address: str, viewers: int, seconds: float) -> None:
    """Prints each viewer's pictures a second."""
    with urllib.request.urlopen(f"{address}api/status") as answer:
        name = json.load(answer)["streams"][0]["name"]
    path = f"{address.replace('http', 'ws', 1)}api/streams/{name}/live"
    counts = [0] * viewers

    def watch(number: int) -> None:
        until = time.monotonic() + seconds
        with connect(path, proxy=None, max_size=None, compression=None) as viewer:
            while time.monotonic() < until:
                if isinstance(viewer.recv(), bytes):
                    counts[number] += 1
                    viewer.send("ready")

    threads = [threading.Thread(target=watch, args=[number]) for number in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump([round(count / seconds, 1) for count in counts], sys.stdout)


if __name__ == "__main__":
    main()
