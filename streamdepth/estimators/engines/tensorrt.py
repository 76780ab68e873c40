"""TensorRT through ONNX Runtime: a test that it works on a GPU, and the options with which models run on it.

The options are those of https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.estimators.engines import import_engine_package
from streamdepth.utils.cache import cache_folder, make_cache_subfolder

_log = logging.getLogger(__name__)

TENSORRT = "TensorrtExecutionProvider"
_FOLDER = "tensorrt"
_DOUBLING = '<ir_version: 8, opset_import: ["" : 17]> doubling (float[1,3,8,8] x) => (float[1,3,8,8] y) {y = Add(x, x)}'
"""A network that gives its input times two, in ONNX's text format."""
_FATAL_ONLY = 4
_REASON_LENGTH = 300


@functools.cache
def tensorrt_refusal(gpu: str) -> str | None:
    """Returns why ONNX Runtime cannot compute on TensorRT here; None where it can.

    ONNX Runtime names TensorRT among its providers also where TensorRT's libraries are missing, or go with another
    version of CUDA, and a session that cannot load them may go on without them. So a session of one node is made on
    TensorRT alone and run; that is done once in a process.

    gpu: the number of the GPU, such as "0".
    """
    try:
        session = _open_doubling(gpu)
        if TENSORRT not in session.get_providers():
            return f"its session was made on {', '.join(session.get_providers())} instead"
        values = np.full((1, 3, 8, 8), 1.5, np.float32)
        (doubled,) = session.run(None, {"x": values})
    except Exception as error:  # the runtime's own classes, and whatever TensorRT's libraries raise
        return " ".join(str(error).split())[-_REASON_LENGTH:] or type(error).__name__
    return None if np.array_equal(doubled, 2 * values) else "it computes wrong numbers"


def _open_doubling(gpu: str) -> Any:
    onnx, onnxruntime = (import_engine_package(name, "onnx") for name in ("onnx", "onnxruntime"))
    load_pip_libraries()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    model = onnx.parser.parse_model(_DOUBLING).SerializeToString()
    # Its own way of falling back would print to the standard output, which may be a video.
    return onnxruntime.InferenceSession(model, options, providers=[(TENSORRT, {"device_id": gpu})], enable_fallback=0)


def load_pip_libraries() -> None:
    """Loads TensorRT's libraries from its package of pip, where ONNX Runtime does not look for them by itself."""
    if find_spec("tensorrt") is not None:
        import_engine_package("tensorrt", "onnx")


def tensorrt_options(model: Path, *, computes_in_float16: bool) -> dict[str, str]:
    """Returns the options for a model's file: engines are built once, which takes minutes, and kept.

    Each file has a folder of its own. ONNX Runtime names engines by the file's name and the graph, and neither by the
    weights nor by the input's size, so that two files in one folder could get the engine of each other
    (https://github.com/microsoft/onnxruntime/issues/32254).
    """
    options = {"trt_fp16_enable": str(int(computes_in_float16))}
    try:
        folder = make_cache_subfolder(f"{_FOLDER}/{_file_key(model)}")
    except OSError as error:
        _log.warning("TensorRT's engine is not kept, so that the next start is slow again: %s", error)
        return options
    if not any(folder.glob("*.engine")):
        _log.warning("TensorRT builds an engine for this network and size, which can take minutes; it is kept")
    return options | {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache_folder() / _FOLDER),
    }


def _file_key(model: Path) -> str:
    """Returns a short hash that changes with the file, its place, and the version of ONNX Runtime."""
    version, status = import_engine_package("onnxruntime", "onnx").__version__, model.stat()
    facts = f"{version} {model.resolve()} {status.st_size} {status.st_mtime_ns}"
    return hashlib.blake2b(facts.encode(), digest_size=10).hexdigest()
