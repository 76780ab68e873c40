"""A cluster that is not there is said within seconds, and one that we start is reached by this machine only."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from helpers.errors import raises_code

from streamdepth.apps.batch import cluster
from streamdepth.apps.batch.cluster import cluster_connection
from streamdepth.core.errors import ConfigError

pytest.importorskip("ray")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where somebody listens who never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


NOBODY = ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1", "127.0.0.1:99999", "[::1]:1", ":1"]


@pytest.mark.parametrize("address", NOBODY)
@pytest.mark.parametrize("is_auto", [False, True])
def test_nobody_is_said_at_once(address: str, is_auto: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_auto:
        monkeypatch.setenv("RAY_ADDRESS", address)
    started_at = time.monotonic()
    with raises_code(ConfigError, "no-cluster"), cluster_connection("auto" if is_auto else address):
        pass
    assert time.monotonic() - started_at < 30


@pytest.mark.slow
def test_somebody_else_is_said_soon(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWER_SECONDS", 5)
    with raises_code(ConfigError, "no-cluster"), cluster_connection(f"127.0.0.1:{silent_port}"):
        pass


_LISTENERS = """
import psutil
from streamdepth.apps.batch.cluster import cluster_connection
with cluster_connection("auto"):
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        for found in process.net_connections(kind="inet"):
            if found.status == psutil.CONN_LISTEN:
                print(found.laddr.ip)
"""


@pytest.mark.slow
def test_a_cluster_of_our_own_listens_on_loopback_only() -> None:
    pytest.importorskip("psutil")
    program = [sys.executable, "-W", "ignore", "-c", _LISTENERS]
    done = subprocess.run(program, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    addresses = {line.removeprefix("::ffff:") for line in done.stdout.split()}
    assert addresses
    assert addresses <= {"127.0.0.1", "::1"}
