"""A real Rerun server for tests, and a reader of its recordings."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rerun.chunk import RrdReader


def columns(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns entity -> column -> values, in order of the frames; times are in nanoseconds."""
    found: dict[str, dict[str, list[Any]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a server that was killed wrote no footer
        reader = RrdReader(path)
    for chunk in reader.stream().to_chunks():
        batch = chunk.to_record_batch()
        if "frame" not in batch.schema.names:
            continue
        rows = {
            name: (values.cast("int64") if pa.types.is_temporal(values.type) else values).to_pylist()
            for name, values in zip(batch.schema.names, batch.columns, strict=True)
        }
        order = np.argsort(rows["frame"])
        of_entity = found.setdefault(chunk.entity_path, {})
        for name, values in rows.items():
            of_entity.setdefault(name, []).extend(values[i] for i in order)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening(path: Path, home: Path, port: int | None = None) -> Iterator[int]:
    """Runs Rerun's own server, which stores what it receives, at `port` or a free one."""
    port = port or free_port()
    command = [_rerun(), "--bind", "127.0.0.1", "--port", str(port), "--save", str(path)]
    with subprocess.Popen(command, env={**os.environ, "HOME": str(home)}, stderr=subprocess.PIPE) as server:
        try:
            wait(lambda: _answers(port))
            yield port
        finally:
            server.terminate()


def _rerun() -> str:
    import rerun_cli

    return str(Path(rerun_cli.__file__).parent / "rerun")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait(is_done: Callable[[], bool]) -> None:
    """Waits until the condition is true, for at most a minute."""
    deadline = time.monotonic() + 60
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
