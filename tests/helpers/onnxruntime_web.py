"""ONNX Runtime Web for tests: the real npm package where it is at hand, else a stand-in to copy."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

REAL_PACKAGE = os.environ.get("STREAMDEPTH_ORT_WEB", "")
"""The .tgz or folder of the npm package onnxruntime-web."""
NEEDS_REAL_PACKAGE = pytest.mark.skipif(
    not REAL_PACKAGE, reason="no ONNX Runtime Web; npm pack onnxruntime-web@1.30.0, and name it in STREAMDEPTH_ORT_WEB"
)

_FILES = (
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)


def write_stand_in(path: Path, *, without: str = "") -> Path:
    """Writes a .tgz laid out as npm's, whose files hold their own names."""
    with tarfile.open(path, "w:gz") as archive:
        for name in _FILES:
            if name != without:
                entry = tarfile.TarInfo(f"package/dist/{name}")
                entry.size = len(name)
                archive.addfile(entry, io.BytesIO(name.encode()))
    return path
