"""Commands survive closed pipes, closed streams and narrow encodings, and end in order when they are told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.media import write_video
from helpers.waiting import wait_until

COMMAND = f"'{sys.executable}' -m streamdepth"
ENDLESS = "lavfi:testsrc2=size=320x240:rate=30"
FAKED = """
import sys, time
from streamdepth import factory, testing
factory.make_estimator = lambda _: testing.ConstantEstimator()
from streamdepth.__main__ import main
sys.argv = ["streamdepth", *sys.argv[1:]]
main()
"""


def _shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["models", "settings", "--help", "models | head -1"])
def test_a_reader_that_goes_away_gets_no_traceback(verb: str) -> None:
    done = _shell(f"{COMMAND} {verb} | true")
    assert done.stderr == ""


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_one_line_and_a_failure() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = _shell(f"{COMMAND} models > /dev/full")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_closed_streams_and_a_narrow_encoding_change_nothing(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "ü.mp4", count=3)
    assert _shell(f"{COMMAND} probe '{clip}' >&-").returncode == 0
    assert _shell(f"{COMMAND} probe '{clip}' 2>&-").returncode == 0
    done = _shell(f"{COMMAND} probe '{clip}'", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert r"\xfc.mp4" in done.stdout


@pytest.mark.slow
def test_a_standard_error_that_fails_does_not_fail_a_complete_output(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    arguments = ["convert", f"{ENDLESS}:duration=1", "-o", tmp_path / "out.mkv"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", FAKED, *arguments], stderr=full, timeout=120)
    assert done.returncode == 0
    assert os.listdir(tmp_path) == ["out.mkv"]


def _wait_for_part(folder: Path) -> None:
    wait_until(lambda: any(p.stat().st_size > 0 for p in folder.glob(".*part*.mkv")))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_as_a_polite_kill_does(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", FAKED, "convert", ENDLESS, "-o", tmp_path / "out.mkv"])
    _wait_for_part(tmp_path)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert os.listdir(tmp_path) == ["out.mkv"]


@pytest.mark.slow
def test_below_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{FAKED}"
    process = subprocess.Popen([sys.executable, "-c", code, "convert", ENDLESS, "-o", tmp_path / "out.mkv"])
    _wait_for_part(tmp_path)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.mark.slow
def test_signals_after_the_output_is_complete_change_nothing(tmp_path: Path) -> None:
    code = FAKED.replace(
        "factory.make_estimator",
        "from streamdepth.pipeline.pipeline import Pipeline\n"
        "import os, signal\n"
        "run = Pipeline.run\n"
        "def run_and_interrupt(self):\n"
        "    report = run(self)\n"
        "    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM): os.kill(os.getpid(), number)\n"
        "    return report\n"
        "Pipeline.run = run_and_interrupt\n"
        "factory.make_estimator",
        1,
    )
    arguments = ["convert", f"{ENDLESS}:duration=1", "-o", tmp_path / "out.mkv"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "interrupted" not in done.stderr
    assert os.listdir(tmp_path) == ["out.mkv"]
