"""The examples in the docstrings of estimators run; those of names in `streamdepth` itself are tested with these."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
from helpers.onnx_files import write_onnx
from helpers.paths import SAMPLES

import streamdepth

PACKAGE = Path(streamdepth.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in (PACKAGE / "estimators").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)
GRAY = "g (float[1,3,64,96] image) => (float[1,64,96] out) { out = ReduceMean<axes=[1], keepdims=0>(image) }"


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ".foreign." in module:
        for name in ("onnx", "onnxruntime"):
            pytest.importorskip(name)
        write_onnx(tmp_path / "depth.onnx", GRAY, {"author": "somebody"})
    (tmp_path / "samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(
        importlib.import_module(module),
        extraglobs={"sd": streamdepth, "np": np, "Path": Path},
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert (result.failed, result.attempted > 0) == (0, True)
