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
    "pillow": "12.1.0",  # CVE-2026-25990: writes before a buffer in PSD
    "starlette": "0.49.0",  # CVE-2025-62727, GHSA-7f5h-v6xp-fcq8: Range headers of quadratic time
    "ray": "2.51.2",  # CVE-2025-62593, GHSA-q279-jhrf-cc6v: code by DNS rebinding
    "torch": "2.9.1",  # CVE-2026-24747: weights_only corrupts memory; before 2.6 CVE-2025-32434, GHSA-53q9-r3pm-6pq6
    "opencv-python": "4.11.0.86",  # CVE-2025-53644: uninitialized pointer in JPEG 2000
    "h11": "0.15.0",  # CVE-2025-43859, GHSA-vqfr-h8mv-ghfj: malformed chunks
    "onnx": "1.20.1",  # CVE-2026-27489, GHSA-3r9x-f23j-gc73: links out of a model's folder
    "filelock": "3.20.2",  # CVE-2026-22701, GHSA-qmgc-5h2g-mvrw: a link swapped in
    "pyarrow": "23.0.0",  # CVE-2026-25087: use after free in IPC files
}
"""Package -> the last version with the hole beside it, as published in NVD and GitHub's advisories by 2026-11-28."""


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
