"""Imports go down only, and the package's own import is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import streamdepth

PACKAGE = Path(streamdepth.__file__).parent

BASE = {"types", "errors", "redact", "states"}
STAGES = BASE | {"stages"}
MAY_IMPORT = {
    "errors": set(),
    "redact": set(),
    "states": set(),
    "types": {"render", "scaling"},
    "scaling": {"types"},
    "backoff": set(),
    "containers": set(),
    "sections": set(),
    "numbered": set(),
    "stages": BASE,
    "intrinsics": BASE,
    "metric": BASE,
    "boards": BASE | {"intrinsics", "metric"},
    "buffer": BASE,
    "stats": BASE,
    "outlet": STAGES | {"buffer", "streams"},
    "control": BASE,
    "switching": STAGES | {"buffer"},
    "streams": STAGES,
    "capture": STAGES | {"stats", "streams"},
    "report": STAGES | {"stats", "streams"},
    "outlets": STAGES | {"buffer", "outlet", "streams"},
    "inference": STAGES | {"buffer", "outlet", "outlets", "stats", "streams"},
    "refresh": STAGES | {"buffer", "inference", "outlets", "stats", "streams"},
    "pipeline": STAGES
    | {"buffer", "capture", "inference", "outlet", "outlets", "refresh", "report", "stats", "streams"},
    "render": BASE,
    "planes": BASE | {"render"},
    "edges": BASE | {"render"},
    "geometry": BASE | {"edges", "intrinsics"},
    "floor": BASE | {"geometry"},
    "volume": BASE | {"geometry"},
    "obstacles": BASE | {"geometry"},
    "plot": BASE,
    "config": BASE | {"sections"},
    "web": STAGES | {"buffer", "control", "pipeline", "render", "sinks", "sources", "stats", "switching"},
    "testing": STAGES,
    "remote": BASE,
    "sources": STAGES | {"backoff", "buffer", "containers", "intrinsics", "numbered", "remote"},
    "estimators": STAGES,
    "stabilizers": STAGES | {"boards", "floor", "geometry", "metric"},
    "sinks": STAGES
    | {"backoff", "buffer", "containers", "edges", "render", "geometry", "intrinsics", "floor", "numbered", "obstacles"}
    | {"planes", "remote"},
    "training": STAGES | {"estimators", "evaluation", "plot", "sinks"},
    "evaluation": STAGES | {"estimators", "sources", "sinks", "stabilizers", "render", "plot"},
    "build": STAGES
    | {"boards", "config", "control", "estimators", "intrinsics", "metric", "numbered", "obstacles", "pipeline"}
    | {"remote", "render"}
    | {"sinks", "sources", "stabilizers", "streams", "switching", "web"},
    "fleet": STAGES | {"build", "config", "estimators", "numbered", "remote", "sinks", "stats"},
    "lerobot": STAGES | {"build", "config", "lerobot_layout", "pipeline", "sinks"},
    "lerobot_layout": BASE,
    "stats_file": BASE | {"config", "sinks", "stats"},
    "api": STAGES
    | {"build", "config", "intrinsics", "pipeline", "stats", "stats_file", "render", "sources", "stabilizers"},
    "picture": BASE | {"api", "config", "edges", "render", "sinks"},
    "doctor": BASE | {"estimators", "sources", "sinks", "testing"},
    "bench": STAGES | {"build", "config", "estimators", "sources", "stats"},
    "calibration": BASE | {"boards", "intrinsics"},
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
