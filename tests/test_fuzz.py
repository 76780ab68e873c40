"""A bounded fuzz with fixed seeds: damage never crashes, hangs, takes much memory or is an internal error."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.fuzz_worker import mutate
from helpers.paths import PYTHONPATH, TESTS
from helpers.web_server import MOVING, running

pytestmark = pytest.mark.slow
REQUESTS = 200


@pytest.mark.parametrize("kind", ["media", "configurations"])
def test_mutated_files(tmp_path: Path, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, str(TESTS / "helpers/fuzz_worker.py"), kind, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": PYTHONPATH},
        timeout=110,
    )
    assert done.returncode == 0, f"{done.stdout[-200:]}\n{done.stderr[-3000:]}"
    assert "internal error" not in done.stdout + done.stderr


TARGETS = (
    b"GET / HTTP/1.1\r\nHost: HOST\r\nAccept: */*\r\n\r\n",
    b"GET /api/streams HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer x\r\nOrigin: http://HOST\r\n\r\n",
    b"PATCH /api/streams/room HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
    b'{"paused":true}',
    b"GET /api/streams/room/live HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://HOST\r\n\r\n",
    b"GET /api/recordings/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: HOST\r\nRange: bytes=0-1,3-4\r\nCookie: a=b\r\n\r\n",
    b'GET /?token=a HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 1.2.3.4\r\nIf-None-Match: "x"\r\n\r\n',
)


def test_mutated_requests(tmp_path: Path, quick_model: None) -> None:
    with running(tmp_path, MOVING) as site:
        host, _, port = site.place.rpartition(":")
        for seed in range(REQUESTS):
            request = mutate(TARGETS[seed % len(TARGETS)].replace(b"HOST", site.place.encode()), random.Random(seed))
            status = _status(host, int(port), request)
            assert status < 500 or status == 501, (seed, status, request)
        assert site.get("/healthz").status == 200


def _status(host: str, port: int, request: bytes) -> int:
    """Returns the status of the answer; 0 where there is none because the request is incomplete or is no HTTP."""
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        try:
            head = connection.recv(100)
        except ConnectionError:
            return 0
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
