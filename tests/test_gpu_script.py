"""The script that measures on a GPU, as far as it runs without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import PYTHONPATH, ROOT

MEASURE = ROOT / "tests" / "measure"


def run(*command: str | Path) -> str:
    environment = {"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT).stdout


def test_the_script_is_understood_by_bash() -> None:
    run("bash", "-n", MEASURE / "gpu.sh")


@pytest.mark.slow
def test_streams_are_measured_and_joined_with_what_bench_found(tmp_path: Path) -> None:
    streams = [sys.executable, MEASURE / "gpu_streams.py", "--device", "cpu", "--frames", "4", "--streams", "1", "2"]
    run(*streams, "--json", tmp_path / "streams.json")
    rows = json.loads((tmp_path / "streams.json").read_text())
    assert [(row["streams"], row["decoded_on"], row["frames"]) for row in rows] == [(1, "cpu", 4), (2, "cpu", 4)]
    measured = {"network alone": {"ms": 1.5}, "streamdepth": {"ms": 4.0, "fps": 250.0, "peak_mb": 900}}
    facts = {"machine": {"cpu": "a CPU", "gpu": "a GPU"}, "engine": "torch", "precision": "float16"}
    (tmp_path / "bench_nano.json").write_text(json.dumps(facts | {"measured": measured}))
    table = run(sys.executable, MEASURE / "gpu_table.py", tmp_path)
    assert "| nano, torch float16 | 1.5 | 4.0 | 250.0 | - | 900 |" in table
    assert f"| 2 | cpu | {rows[1]['fps']} | {rows[1]['cpu_cores']} | - |" in table
    assert set(json.loads((tmp_path / "gpu.json").read_text())) == {"bench_nano", "streams"}
