"""Measures what viewers cost: `python tests/measure/viewers.py [SOURCE] [--viewers 8] [--seconds 20] [--rounds 6]`.

Runs `streamdepth serve` in a process of its own, in turns without viewers and with some that take every picture they
can (from one more process), so that a machine's other work falls on both alike. Prints medians over the rounds, and the
server's memory after each.
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
from statistics import median
from typing import Any

from websockets.sync.client import connect

_WARM_UP_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="lavfi:testsrc2=size=640x360:rate=30")
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each turn")
    parser.add_argument("--alone", type=float, help="of each turn without viewers; as the others")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        _watch(arguments.watch, arguments.viewers, arguments.seconds)
    else:
        alone = arguments.alone or arguments.seconds
        _measure(arguments.source, arguments.viewers, arguments.seconds, alone, arguments.rounds)


def _measure(source: str, viewers: int, seconds: float, alone_seconds: float, rounds: int) -> None:
    command = [sys.executable, "-m", "streamdepth", "serve", source, "--port", "0", "--quiet"]
    alone, watched, seen, memory = [], [], [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            while not _stream(address)["written"]:
                time.sleep(0.2)
            for _ in range(rounds):
                time.sleep(_WARM_UP_SECONDS)
                alone.append(_span(address, server.pid, alone_seconds))
                options = ["--viewers", str(viewers), "--seconds", str(seconds + 2 * _WARM_UP_SECONDS)]
                watching = subprocess.Popen(
                    [sys.executable, __file__, "--watch", address, *options], stdout=subprocess.PIPE, text=True
                )
                time.sleep(_WARM_UP_SECONDS)
                watched.append(_span(address, server.pid, seconds))
                seen += json.loads(watching.communicate()[0])
                memory.append((alone[-1]["memory MB"], watched[-1]["memory MB"]))
        finally:
            server.terminate()
    result = {
        "alone": _medians(alone),
        f"with {viewers} viewers": _medians(watched),
        "a viewer's fps": median(seen),
        "rounds": rounds,
        "memory MB at the end of each turn": memory,
    }
    json.dump(result, sys.stdout, indent=1)


def _medians(spans: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(span[name] for span in spans), 2) for name in spans[0]}


def _span(address: str, pid: int, seconds: float) -> dict[str, float]:
    """Returns rates, latency and memory of the server over `seconds`."""
    before, began, processor = _stream(address), time.monotonic(), _processor_seconds(pid)
    time.sleep(seconds)
    after, passed = _stream(address), time.monotonic() - began
    latencies = [s["latency_ms"] for s in after["history"][-int(seconds) :] if s["latency_ms"]]
    return {
        "read fps": (after["read"] - before["read"]) / passed,
        "pipeline fps": (after["written"] - before["written"]) / passed,
        "cores used": (_processor_seconds(pid) - processor) / passed,
        "latency ms p50": median(p50 for p50, _, _ in latencies),
        "latency ms p95": median(p95 for _, p95, _ in latencies),
        "memory MB": _resident_mb(pid),
    }


def _stream(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}api/status") as answer:
        return json.load(answer)["streams"][0]


def _resident_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return round(int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watch(address: str, viewers: int, seconds: float) -> None:
    """Runs viewers for `seconds`, and prints how many pictures per second each got."""
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
