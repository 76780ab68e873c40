"""Four cameras in one process, with random faults; STREAMDEPTH_SOAK_SECONDS=120 makes it as long as that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import rtsp_server
from measure.soak import soak

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("STREAMDEPTH_SOAK_SECONDS", "6"))


@pytest.mark.timeout(SECONDS + 300)
def test_cameras_that_fail_at_random_all_come_back(tmp_path: Path) -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    found = soak(SECONDS, tmp_path, seed=int(SECONDS))
    for stream, recorded in zip(found.report.streams, found.recorded, strict=True):
        assert (stream.state, stream.reason) == ("ended", "")
        assert stream.read == stream.written + sum(stream.dropped.values())
        assert recorded == stream.written > 0
        assert stream.abandoned_readers == 0
    assert sum(stream.reconnects for stream in found.report.streams) > 0
    assert found.threads[1] <= found.threads[0]
    assert found.files[1] <= found.files[0]
