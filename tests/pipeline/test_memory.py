from __future__ import annotations

from pathlib import Path

import pytest

from streamdepth import config, factory
from streamdepth.core.types import DepthFrame
from streamdepth.testing import ConstantEstimator

pytestmark = pytest.mark.slow

FRAMES = 4000


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_thousands_of_frames_in_flat_memory(tmp_path: Path, monkeypatch) -> None:
    """From a generated source to an overlay and a depth video: under 2 KB of growth a frame after the first 500."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    settings = config.make(
        source="lavfi:testsrc2=size=64x48:rate=30",
        output=tmp_path / "out.mp4",
        depth_out=tmp_path / "depth.mkv",
        max_frames=FRAMES,
        video_preset="ultrafast",
        legend=False,
    )
    sizes: list[float] = []

    def look(item: DepthFrame) -> None:
        if item.frame.index % 500 == 0:
            sizes.append(_resident_mb())

    with factory.open_pipeline(settings, look) as pipeline:
        report = pipeline.run()
    assert report.written == FRAMES
    growth = max(sizes[1:]) - sizes[1]
    assert growth < FRAMES * 0.002, sizes
