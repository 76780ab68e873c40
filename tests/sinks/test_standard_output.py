"""The output -: a video on standard output, and nothing but the video."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import av
import pytest
from helpers.errors import raises_code
from helpers.media import write_video

from streamdepth import factory
from streamdepth.apps.batch.tasks import is_batch
from streamdepth.config import make
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.sinks.video import VideoSink

RUN = [sys.executable, "-c"]
CONVERT = """
import os, sys
from streamdepth import factory, testing
factory.make_estimator = lambda _: testing.ConstantEstimator()
from streamdepth.__main__ import main
written = testing.ConstantEstimator.estimate
def estimate(self, frames):
    os.write(1, b"noise of a library\\n")
    return written(self, frames)
testing.ConstantEstimator.estimate = estimate
sys.argv = ["streamdepth", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_standard_output_gets_the_video_and_its_sound_and_nothing_else(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.ts", count=20, audio_offset_seconds=0)
    command = [*RUN, CONVERT, "convert", "-", "-o", "-"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, timeout=120, check=True)
    with av.open(io.BytesIO(done.stdout)) as container:
        assert container.format.name.startswith("matroska")
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == 20
    assert b"noise of a library" in done.stderr
    assert b"standard output" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_run_with_one_line(tmp_path: Path) -> None:
    options = "lavfi:testsrc2=size=320x240:rate=30 -o - --max-frames 3000"
    script = f"'{sys.executable}' -c \"$0\" convert {options} | head -c 20000 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script, CONVERT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 5
    lines = [line for line in done.stderr.splitlines() if "noise" not in line]
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert sum(line.startswith("error:") for line in lines) == 1


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    with raises_code(SinkOpenError, "terminal"):
        VideoSink("-").check()


def test_several_streams_and_segments_need_files(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, count=2)
    with raises_code(ConfigError, "conflict"):
        is_batch(make(source=[str(tmp_path / "*.mp4")], output="-"))
    with raises_code(ConfigError, "conflict"):
        factory.make_sinks(make(source=["0", "1"], output="-"), "first")
    with raises_code(ConfigError, "segment"):
        factory.make_sinks(make(source="0", output="-", segment=10))
