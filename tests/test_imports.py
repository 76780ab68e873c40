"""Imports go down only, and the package's own import is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import streamdepth

PACKAGE = Path(streamdepth.__file__).parent

RUN = {
    "core",
    "utils",
    "config",
    "geometry",
    "render",
    "sources",
    "estimators",
    "stabilizers",
    "sinks",
    "pipeline",
    "factory",
}
"""What a run is made of; nothing of it imports the evaluation, the training or the applications."""
MAY_IMPORT = {
    "core": set(),
    "utils": {"core"},
    "config": {"core", "utils"},
    "geometry": {"core", "utils"},
    "render": {"core", "utils"},
    "pipeline": {"core", "utils"},
    "sources": {"core", "utils", "geometry"},
    "estimators": {"core", "utils", "geometry"},
    "stabilizers": {"core", "utils", "geometry"},
    "sinks": {"core", "utils", "geometry", "render"},
    "testing": {"core"},
    "factory": RUN,
    "api": RUN,
    "apps": RUN | {"api", "testing"},
    "evaluation": RUN,
    "training": RUN | {"evaluation"},
}
"""Folder or module -> what of streamdepth it may import besides itself. `cli` and `__init__` may import all."""


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [f"{module}.{a.name}" for a in node.names] if module == "streamdepth" else [module]
        found |= {n.split(".")[1] for n in names if n.startswith("streamdepth.")}
    return {name for name in found if not name.startswith("__")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    unit = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if unit in ("__init__", "__main__", "cli"):
        return
    assert _imports(path) <= MAY_IMPORT[unit] | {unit}


def test_the_package_imports_neither_torch_nor_cv2() -> None:
    code = "import sys, streamdepth; print([m for m in ('torch', 'cv2', 'av', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", streamdepth.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(streamdepth, name) is not None


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'estimat'"):
        streamdepth.estimat  # noqa: B018 - the access is the test
