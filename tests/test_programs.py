"""The programs in samples/programs run, use public names alone, and are typed: a misspelled keyword is an error."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import PYTHONPATH, ROOT, SAMPLES

import streamdepth

PROGRAMS = SAMPLES / "programs"
VIDEO = str(SAMPLES / "room.mp4")
ARGUMENTS = {
    "live_loop": [VIDEO, "5"],
    "numpy_batch": [],
    "custom_sink": [VIDEO, "out.mp4"],
    "own_torch_model": [VIDEO],
    "meters_at_pixel": [VIDEO],
    "own_overlay": ["out.mp4"],
}


def test_every_program_is_tested() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_program(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *ARGUMENTS[name]])
    runpy.run_path(str(PROGRAMS / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out
    assert [path.stat().st_size > 1000 for path in tmp_path.glob("*.mp4")] == [True] * ("out.mp4" in ARGUMENTS[name])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_program_uses_public_names_only(name: str) -> None:
    tree = ast.parse((PROGRAMS / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(not a.name.startswith("streamdepth.") for a in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("streamdepth")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sd":
            assert node.attr in streamdepth.__all__


def _mypy(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", *map(str, paths)]  # with the settings, and so the cache, of the project
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"MYPYPATH": PYTHONPATH, "PATH": ""})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_programs_are_typed(tmp_path: Path) -> None:
    """`mypy --strict` passes the programs, and finds a misspelled and a mistyped keyword."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        'import streamdepth as sd\nsd.stream("a.mp4", max_frame=3)\nsd.convert("a.mp4", "b.mp4", fov="x")\n'
    )
    done = _mypy(*sorted(PROGRAMS.glob("*.py")), wrong)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout
    assert all("wrong.py" in line for line in errors)
    assert "max_frame" in errors[0]
