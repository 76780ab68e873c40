"""Errors of ONNX Runtime and OpenVINO in plain words, without the places in the runtimes' own source code."""

from __future__ import annotations

import re
from pathlib import Path

from streamdepth.core.errors import InferenceError, ModelLoadError

_SOURCE_PLACES = re.compile(
    r"Exception from \S+:\d+:|Check '.*?' failed at \S+:\d+:|\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|\S+\.(?:cc|cpp|h):\d+ \w[\w:]*(?:\(.*?\)(?= [A-Z]))?"
)
"""Texts by which a runtime names the line of its source at which it stopped."""
_MAX_REASON = 300


def plain_reason(error: Exception) -> str:
    """Returns what a runtime says of its failure, at most 300 characters in one line, without places in its source."""
    text = " ".join(_SOURCE_PLACES.sub(" ", str(error).replace("\n", " ")).split())
    return text.strip(" .;:")[:_MAX_REASON] or type(error).__name__


def unusable_file_error(runtime: str, path: Path, error: Exception) -> ModelLoadError:
    """Builds the error for a file that a runtime cannot load."""
    reason = plain_reason(error)
    if "external" in reason.lower():
        return ModelLoadError(
            f"the weights of '{path}' are in a file of their own beside it, which is not there or not whole "
            f"({reason}); download both into one folder, under the names that they have",
            code="damaged",
        )
    return ModelLoadError(
        f"{runtime} cannot use '{path}': {reason}; download or export it anew, or try another --engine", code="damaged"
    )


def failed_run_error(runtime: str, shapes: str, error: Exception) -> InferenceError:
    """Builds the error for inputs of these shapes, with which a file could not be run."""
    return InferenceError(
        f"{runtime} failed on {shapes}: {plain_reason(error)}; another size, layout or --engine may help",
        code="network-failed",
    )
