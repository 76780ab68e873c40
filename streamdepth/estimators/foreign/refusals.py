"""A check that a file is a whole ONNX file, before a runtime says so in its own many words."""

from __future__ import annotations

from pathlib import Path

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.foreign.interface import is_whole_file

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
