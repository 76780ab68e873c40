"""A look at an ONNX file: what it tells, what is guessed of it, and the text of a description to write beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from streamdepth.estimators.engines import EngineOptions
from streamdepth.estimators.foreign.completion import Completed, complete
from streamdepth.estimators.foreign.description import FOCAL, Description, Scale, Size, Threshold
from streamdepth.estimators.foreign.estimator import ForeignModelEstimator
from streamdepth.estimators.foreign.interface import Interface
from streamdepth.estimators.foreign.runtimes import open_runtime


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of an inspection: the facts of a file, and the model that it would be."""

    interface: Interface
    completed: Completed
    estimator: ForeignModelEstimator
    """Runs the file even if its kind is a mere guess; to be closed."""


def inspect_file(path: Path, description: Sequence[str] = (), **options: Unpack[EngineOptions]) -> Inspection:
    """Opens an ONNX file to look at it. Arguments and errors are those of `open_foreign_model`, without a license.

    >>> found = inspect_file(Path("depth.onnx"))
    >>> print(found.interface.pictures)
    image float32 [1, 3, 64, 96]
    >>> found.completed.guesses[0], found.completed.has_kind
    ('kind inverse, the most frequent one', False)
    >>> found.estimator.close()
    """
    runtime = open_runtime(path, options)
    completed = complete(path, description, runtime.interface)
    return Inspection(runtime.interface, completed, ForeignModelEstimator(runtime, completed.description, str(path)))


def description_text(found: Description) -> str:
    """Returns a description as YAML, ready to be written beside its file.

    >>> print(description_text(Description("metric", output="depth", size=Size(640, 384, "both"))).splitlines()[-3])
    size: 640x384
    """
    lines = {
        "kind": found.kind,
        "scale": _scale_text(found.scale),
        "mean": _triple_text(found.mean),
        "std": _triple_text(found.std),
        "color": found.color,
        "layout": found.layout,
        "size": _size_text(found.size),
        "multiple": str(found.multiple),
        "keep_aspect": "" if found.keep_aspect is None else str(found.keep_aspect).lower(),
        "output": f'"{found.output}"' if found.output.isdecimal() else found.output,
        "confidence": str(found.confidence or ""),
        "sky": _threshold_text(found.sky),
        "licence": found.licence,
        "inputs": "{" + ", ".join(f"{k}: {v:g}" for k, v in (found.inputs or {}).items()) + "}" if found.inputs else "",
    }
    if found.size is not None and found.size.bounds == "both":
        lines["multiple"] = "" if found.multiple == 1 else lines["multiple"]
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


def _scale_text(scale: Scale) -> str:
    names = [*([FOCAL] if scale.focal_power > 0 else []), *([scale.output] if scale.output else [])]
    if scale.number < 1 and names and abs(1 / scale.number - round(1 / scale.number)) < 1e-9:
        return f"{' * '.join(names)} / {round(1 / scale.number)}"
    number = [] if scale.number == 1 and names else [f"{scale.number:g}"]
    text = " * ".join(number + names)
    return "" if text == "1" else text


def _triple_text(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _size_text(size: Size | None) -> str:
    if size is None:
        return "picture"
    return {"short": f"{size.width}", "long": f"long {size.width}"}.get(size.bounds, f"{size.width}x{size.height}")


def _threshold_text(given: Threshold | None) -> str:
    return f"{given.output} > {given.value:g}" if given else ""
