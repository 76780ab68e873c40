"""Runs four RTSP cameras with random faults: their networks fail, their server is killed, frozen and changed.

Run by hand: python tests/measure/soak.py MINUTES [SEED]
"""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
from helpers import fault_proxy, rtsp_server

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.states import StreamState
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.pipeline.report import Report
from streamdepth.sinks.video import VideoSink
from streamdepth.sources.network import NetworkSource
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator

_PATHS = ("h264", "h265", "mjpeg", "h264")
_NETWORK_FAULTS = ("drop", "stall", "delay", "truncate", "garbage", "silent")
_SERVER_FAULTS = ("kill", "freeze", "resize")
_SIZES = ((160, 120), (208, 160))
_HEAL_SECONDS = 90


@dataclass(frozen=True)
class Outcome:
    """The result of a soak test."""

    report: Report
    faults: Counter[str]
    threads: tuple[int, int]
    """Number of threads, before and after."""
    files: tuple[int, int]
    """Number of file descriptors, before and after."""
    megabytes: tuple[float, ...]
    """Memory of the process after each tenth of the time."""
    recorded: tuple[int, ...]
    """Number of frames in each stream's file."""


class FaultInjector:
    """Causes one fault after the other, some at once, until `end` heals everything."""

    def __init__(self, server: rtsp_server.Server, proxies: list[fault_proxy.FaultProxy], seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._server, self._proxies, self._random = server, proxies, random.Random(seed)
        self._ending = threading.Event()
        works = [partial(self._disturb, proxy) for proxy in proxies]
        self._threads = [rtsp_server.start_thread(work) for work in (*works, self._disturb_server)]

    def _disturb(self, proxy: fault_proxy.FaultProxy) -> None:
        while not self._ending.wait(self._random.uniform(1, 10)):
            proxy.fault = self._random.choice(_NETWORK_FAULTS)
            self.faults[proxy.fault] += 1
            if proxy.fault in ("garbage", "silent"):
                proxy.cut()
            self._ending.wait(self._random.uniform(0.3, 6))
            proxy.fault = ""

    def _disturb_server(self) -> None:
        while not self._ending.wait(self._random.uniform(5, 20)):
            fault = self._random.choice(_SERVER_FAULTS)
            self.faults[fault] += 1
            if fault == "freeze":
                self._server.freeze()
                self._ending.wait(self._random.uniform(0.5, 10))
                self._server.thaw()
                continue
            self._server.stop()
            if fault == "resize":
                self._server.size = self._random.choice(_SIZES)
            self._ending.wait(self._random.uniform(0, 5))
            self._server.start()

    def end(self) -> None:
        """Ends all faults."""
        self._ending.set()
        for thread in self._threads:
            thread.join()


def soak(seconds: float, folder: Path, seed: int = 0) -> Outcome:
    """Runs for `seconds`, then heals the cameras, waits until all are live, and stops."""
    threads, files = threading.active_count(), _open_files()
    faults, memory = Counter[str](), list[float]()
    with ExitStack() as stack:
        server = stack.enter_context(rtsp_server.running())
        proxies = [stack.enter_context(fault_proxy.proxy_to(server.port)) for _ in _PATHS]
        pipeline = Pipeline([_stream(i, p.port, folder) for i, p in enumerate(proxies)], ConstantEstimator())

        def drive() -> None:
            _until_live(pipeline)
            injector = FaultInjector(server, proxies, seed)
            for _ in range(10):
                time.sleep(seconds / 10)
                memory.append(_megabytes())
            injector.end()
            faults.update(injector.faults)
            _until_live(pipeline)
            pipeline.stop()

        driver = rtsp_server.start_thread(drive)
        report = pipeline.run()
        driver.join()
    deadline = time.monotonic() + 30
    while (threading.active_count() > threads or _open_files() > files) and time.monotonic() < deadline:
        time.sleep(0.05)
    return Outcome(
        report,
        faults,
        (threads, threading.active_count()),
        (files, _open_files()),
        tuple(memory),
        tuple(_frames(folder / f"{i}.mkv") for i in range(len(_PATHS))),
    )


def _stream(number: int, port: int, folder: Path) -> Stream:
    url = f"rtsp://127.0.0.1:{port}/{_PATHS[number]}"
    source = NetworkSource(url, timeout_seconds=2, reconnect_seconds=math.inf)
    sink = VideoSink(folder / f"{number}.mkv", RenderOptions(style="depth", legend=False), preset="ultrafast")
    return Stream(source, make_stabilizer("off"), [sink])


def _until_live(pipeline: Pipeline) -> None:
    deadline = time.monotonic() + _HEAL_SECONDS
    while any(stream.source.state is not StreamState.LIVE for stream in pipeline.streams):
        if time.monotonic() > deadline or any(stream.source.state.is_over for stream in pipeline.streams):
            pipeline.stop()
            return
        time.sleep(0.05)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def main(minutes: str = "2", seed: str = "0") -> None:
    """Prints the result."""
    with tempfile.TemporaryDirectory() as folder:
        found = soak(float(minutes) * 60, Path(folder), int(seed))
    lines = [f"faults: {dict(found.faults)}"]
    for stream, recorded in zip(found.report.streams, found.recorded, strict=True):
        lines.append(
            f"{stream.name}: {stream.state.value}, {stream.read} read = {stream.written} written + "
            f"{sum(stream.dropped.values())} dropped {stream.dropped}, {recorded} in the file, "
            f"{stream.reconnects} reconnects, {stream.abandoned_readers} readers left behind"
        )
    lines.append(f"threads {found.threads}, file descriptors {found.files}")
    lines.append(f"memory in MB, after each tenth of the time: {[round(m) for m in found.megabytes]}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
