"""Ready descriptions for the ONNX files that are published of well-known models, and how such files are recognized."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.foreign.description_reader import read_description
from streamdepth.estimators.foreign.interface import Interface

_DA3 = r"(depth[-_ ]?anything[-_ ]?(v?3)|da3)[-_ ]?"
_DA2 = r"depth[-_ ]?anything[-_ ]?v?2"
_FILE_NAMES: tuple[tuple[str, str], ...] = (
    (rf"{_DA3}metric", "da3-metric"),
    (rf"{_DA3}mono", "da3-mono"),
    (rf"{_DA3}.*(large|giant|nested)", "da3-large"),
    (rf"{_DA3}.*(small|base)", "da3"),
    (r"video[-_ ]?depth[-_ ]?anything.*(small|vits)", "video-depth-anything-small"),
    (r"video[-_ ]?depth[-_ ]?anything.*(base|large|vit[bl])", "video-depth-anything"),
    (rf"{_DA2}.*metric.*(small|vits)|{_DA2}.*(small|vits).*(metric|indoor|outdoor)", "depth-anything-v2-metric-small"),
    (rf"{_DA2}(?!.*(metric|indoor|outdoor)).*(small|vits)", "depth-anything-v2-small"),
    (rf"{_DA2}(?!.*(metric|indoor|outdoor)).*(base|large|vit[bl])", "depth-anything-v2"),
    (r"zip[-_ ]?depth", "zipdepth"),
    (r"yolo26\w*[-_ ]depth", "yolo26-depth"),
    (r"moge[-_ ]?(v?2)", "moge-2"),
    (r"midas.*small|^model-small$", "midas-small"),
)
"""Patterns of names, in the order in which they are tried, and the description that goes with them."""
_USUAL_NAMES = re.compile(r"(model|depth|network)([-_](fp16|fp32|int8|uint8|q4|q4f16|quantized|bnb4))?")
"""Names that say nothing; then the folders above are looked at."""
_FOLDERS = 5


def ready_names() -> list[str]:
    """Returns the names of all ready descriptions.

    >>> "moge-2" in ready_names()
    True
    """
    folder = resources.files(__package__) / "ready"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_ready(name: str) -> dict[str, Any]:
    """Returns the fields of a ready description. Raises ConfigError with the code "unknown-description"."""
    names = ready_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else ";"
        raise ConfigError(
            f"there is no ready description {name!r}{hint} allowed are {', '.join(names)}, a .yaml file, or pairs such "
            "as kind=inverse",
            code="unknown-description",
        )
    with resources.as_file(resources.files(__package__) / "ready" / f"{name}.yaml") as path:
        return read_description(path)


def recognize(path: Path, interface: Interface) -> str | None:
    """Returns the name of the ready description that goes with a file by its name or metadata; None if none does.

    Exports of one model do not differ in much else than their names: DA3MONO and DA3METRIC have the same outputs.
    """
    texts = [path.stem, interface.metadata.get("description", "")]
    if _USUAL_NAMES.fullmatch(path.stem.lower()):
        texts += path.absolute().parts[-1 - _FOLDERS : -1]
    for pattern, name in _FILE_NAMES:
        if any(re.search(pattern, text.lower()) for text in texts):
            return _midas_variant(interface) if name == "midas-small" else name
    return None


def _midas_variant(interface: Interface) -> str:
    """Returns the description of a MiDaS small: the published file normalizes by itself, exports of torch.hub do not.

    Only the published file has an input that is called by a number.
    """
    return "midas-small" if interface.pictures.name.isdecimal() else "midas-small-torch"


def fit_to_file(fields: Mapping[str, Any], interface: Interface) -> dict[str, Any]:
    """Returns a ready description without what this file does not have: optional outputs and inputs."""
    outputs, inputs = {port.name for port in interface.outputs}, {port.name for port in interface.inputs}
    fitted = {
        key: value for key, value in fields.items() if key not in ("sky", "confidence") or value.output in outputs
    }
    if "inputs" in fitted:
        fitted["inputs"] = {name: value for name, value in fitted["inputs"].items() if name in inputs}
    return fitted
