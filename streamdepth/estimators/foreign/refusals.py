"""Errors of the two runtimes for a file that they cannot use or run, without the places in their own source code."""

from __future__ import annotations

import re
from pathlib import Path

from streamdepth.core.errors import InferenceError, ModelLoadError
from streamdepth.estimators.foreign.interface import is_whole_file

_SOURCE_PLACES = re.compile(
    r"Exception from \S+:\d+:|Check '.*?' failed at \S+:\d+:|\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|\S+\.(?:cc|cpp|h):\d+ \w[\w:]*(?:\(.*?\)(?= [A-Z]))?"
)
"""Texts by which a runtime names the line of its source at which it stopped."""
_MAX_REASON = 300
_OTHER_FILES = (
    (b"version https://git-lfs", "a pointer of Git LFS; `git lfs pull` brings the file"),
    (b"<", "a web page; download the file itself"),
)
"""How files begin that people have in the place of an ONNX file, and a description of them."""


def check_whole(path: Path) -> None:
    """Raises ModelLoadError with the code "damaged" for a file that is not a whole ONNX file."""
    if is_whole_file(path):
        return
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    for beginning, text in _OTHER_FILES:
        if head.startswith(beginning):
            raise ModelLoadError(f"'{path}' is no ONNX file but {text}", code="damaged")
    raise ModelLoadError(
        f"'{path}' is no ONNX file, or a part of one ({path.stat().st_size} bytes); download or export it anew",
        code="damaged",
    )


def unusable_file_error(runtime: str, path: Path, error: Exception) -> ModelLoadError:
    """Builds the error for a file that a runtime cannot load."""
    reason = _reason(error)
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
    """Builds the error for inputs of these shapes, with which the file could not be run."""
    return InferenceError(
        f"{runtime} failed on {shapes}: {_reason(error)}; another size, layout or --engine may help",
        code="network-failed",
    )


def _reason(error: Exception) -> str:
    text = " ".join(_SOURCE_PLACES.sub(" ", str(error).replace("\n", " ")).split())
    return text.strip(" .;:")[:_MAX_REASON] or type(error).__name__
