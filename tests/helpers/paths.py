"""Paths of the project's own files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder of pyproject.toml."""
SAMPLES = ROOT / "samples"
TESTS = ROOT / "tests"
PYTHONPATH = f"{ROOT}:{TESTS}"
"""For a child process that imports the package and the tests' helpers."""
