"""Measures how fast a network camera is back: its server is killed and started again, many times.

Run by hand: python tests/measure/restarts.py [TIMES [h264|h265|mjpeg [tcp|udp]]]
"""

from __future__ import annotations

import sys
import time
from statistics import median

from helpers import rtsp_server

from streamdepth.core.states import StreamState
from streamdepth.sources.network import NetworkSource
from streamdepth.sources.network_connection import NetworkConnection


class AttemptRecordingSource(NetworkSource):
    """A source that remembers when it tried to connect."""

    attempts: list[float]

    def _connect(self) -> NetworkConnection:
        self.attempts.append(time.monotonic())
        return super()._connect()


def measure(times: int, path: str = "h264", transport: str = "tcp") -> list[tuple[float, float, float, float]]:
    """Returns four durations of each round in seconds.

    They are: from the kill to the noticed loss, from there to the first attempt, from the kill until the server
    listened again, and from there to a picture.
    """
    rounds = []
    with rtsp_server.running() as server:
        source = AttemptRecordingSource(f"{server.address}/{path}", transport=transport, timeout_seconds=5)  # type: ignore[arg-type]
        source.attempts = []
        source.open()
        for _ in range(times):
            for _ in range(20):
                assert source.read() is not None
            rounds.append(_round(server, source))
        source.close()
    assert source.reconnects == times
    return rounds


def _round(server: rtsp_server.Server, source: AttemptRecordingSource) -> tuple[float, float, float, float]:
    listening: list[float] = []

    def restart() -> None:
        server.start()
        listening.append(time.monotonic())

    known = source.reconnects
    killed = time.monotonic()
    server.stop()
    starter = rtsp_server.start_thread(restart)
    while source.reconnects == known:
        frame = source.read()
        assert frame is not None
    starter.join()
    lost = next(c.at for c in reversed(source.states.changes) if c.state is StreamState.RECONNECTING)
    first = next(at for at in source.attempts if at >= lost)
    return lost - killed, first - lost, listening[0] - killed, frame.captured_at - listening[0]


def main(times: str = "20", path: str = "h264", transport: str = "tcp") -> None:
    """Prints the median and the worst of all rounds."""
    noticed, retried, away, back = zip(*measure(int(times), path, transport), strict=True)
    for name, values in (
        ("loss noticed after the kill", noticed),
        ("first attempt after that", retried),
        ("server away", away),
        ("picture after the server is back", back),
    ):
        sys.stdout.write(f"{name:34} median {median(values):6.3f} s   worst {max(values):6.3f} s\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
