"""No version with a hole that is known to matter here may be installed, and what CI proved fits the bounds."""

from __future__ import annotations

import re
import tomllib

import pytest
from helpers.paths import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
    if not text.startswith("streamdepth[")
]
LAST_WITH_HOLES = {
    "pillow": "12.1.0",  # CVE-2026-25990
    "starlette": "0.49.0",  # CVE-2025-62727
    "ray": "2.51.2",  # CVE-2025-62593
    "torch": "2.5.1",  # CVE-2025-32434
    "opencv-python": "4.11.0.86",  # CVE-2025-53644
    "h11": "0.15.0",  # CVE-2025-43859
    "onnx": "1.16.2",  # CVE-2024-5187
    "filelock": "3.20.2",  # CVE-2026-22701
    "pyarrow": "23.0.0",  # CVE-2026-25087
}


@pytest.mark.parametrize("name", LAST_WITH_HOLES)
def test_versions_with_known_holes_are_excluded(name: str) -> None:
    found = [requirement for requirement in REQUIREMENTS if canonicalize_name(requirement.name) == name]
    assert found
    assert not any(Version(LAST_WITH_HOLES[name]) in requirement.specifier for requirement in found)


def test_the_constraints_fit_the_bounds() -> None:
    lines = [line for line in (ROOT / "tests/constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ /@]+", line) for line in lines)
    proved = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for requirement in REQUIREMENTS:
        if version := proved.get(canonicalize_name(requirement.name)):
            assert requirement.specifier.contains(version, prereleases=True), requirement
