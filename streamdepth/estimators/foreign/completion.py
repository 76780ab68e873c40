"""Completes the description of an ONNX file from what the file tells, and says what is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.foreign.description import (
    KINDS,
    LAYOUTS,
    Description,
    Scale,
    Size,
    description_error,
    parse_assignments,
    read_description,
)
from streamdepth.estimators.foreign.interface import Interface, Port
from streamdepth.estimators.foreign.ready import fit_to_file, read_ready, ready_names, recognize

_SPATIAL = {"NCHW": (2, 3), "NHWC": (1, 2), "N1CHW": (3, 4), "1NCHW": (3, 4)}
"""Which dimensions of an input are height and width, by layout."""
_CHANNELS = {"NCHW": 1, "NHWC": 3, "N1CHW": 2, "1NCHW": 2}
_PICTURES = {"NCHW": 0, "NHWC": 0, "N1CHW": 0, "1NCHW": 1}
_NUMBERS = ("float32", "float16", "float64", "uint8")
_MAX_PIXELS = 2**26
"""Of an input; more would take a gigabyte as numbers, and a network on it many."""
_DEFAULT_SIZE, _DEFAULT_MULTIPLE = 384, 32
"""px; networks whose sides are free mostly halve them five times."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A description with every field, and where its values are from."""

    description: Description
    guesses: Sequence[str]
    """The facts that were neither given nor in the file, such as `mean 0`; a ready description counts as guessed."""
    ready: str | None
    """The ready description that was recognized; None where one was given, or none fits."""
    has_kind: bool
    """False if nothing tells what the output means: `kind` is then the most frequent one, and only for a look."""


def given_fields(path: Path, texts: Sequence[str], interface: Interface) -> tuple[dict[str, Any], str | None]:
    """Returns the fields that are given for a file, and the name of a ready description that was recognized.

    The file NAME.yaml beside the model is taken, or the description that `texts` name; pairs in `texts` win over both.

    Args:
        path: the ONNX file.
        texts: pairs such as `kind=metric`, and at most one YAML file or name of a ready description.
        interface: of the file.

    Raises:
        ConfigError: for a description that cannot be read or used.
    """
    pairs, names = [t for t in texts if "=" in t], [t for t in texts if "=" not in t]
    if len(names) > 1:
        raise description_error("the setting description", f"it names {' and '.join(names)}; give one, and pairs")
    fields, recognized, beside = {}, None, path.with_suffix(".yaml")
    if names:
        is_file = names[0].endswith((".yaml", ".yml"))
        fields = read_description(Path(names[0])) if is_file else fit_to_file(read_ready(names[0]), interface)
    elif beside.is_file():
        fields = read_description(beside)
    elif (recognized := recognize(path, interface)) is not None:
        fields = fit_to_file(read_ready(recognized), interface)
    return fields | parse_assignments(pairs), recognized


def complete(path: Path, texts: Sequence[str], interface: Interface) -> Completed:
    """Returns the whole description of a file. Arguments and errors are those of `given_fields`.

    Raises ConfigError with the code "bad-description" too, where the description does not fit the file.
    """
    if not interface.inputs:
        raise description_error(f"'{path}'", "the file has no input that could take a picture; export it with one")
    fields, recognized = given_fields(path, texts, interface)
    has_kind, guesses = "kind" in fields, []
    for name, guess in (
        ("kind", _kind),
        ("layout", _layout),
        ("output", _output),
        ("size", _size),
        ("multiple", _multiple),
    ):
        if name not in fields:
            fields[name], text = guess(interface, fields, path)
            guesses += [text] if text else []
    if "mean" not in fields and "std" not in fields and interface.pictures.type != "uint8":
        guesses.append("pictures of 0 to 1 (mean 0, std 1)")
    fields.setdefault("licence", interface.metadata.get("license") or "unknown")
    found = Description(**fields)
    _check(path, found, interface)
    if fixed := fixed_size(interface.pictures, found.layout):
        found = _at_fixed_size(path, found, fixed)
        if found.keep_aspect is None:
            found = replace(found, keep_aspect=False)
            guesses.append(f"pictures stretched to {fixed[1]}x{fixed[0]} px (keep_aspect: true fits them in)")
    return Completed(found, guesses, recognized, has_kind)


def unknown_kind_error(path: Path, interface: Interface) -> ModelLoadError:
    """Builds the error for a file of which nothing tells what comes out of it."""
    return ModelLoadError(
        f"'{path}' is not a file of streamdepth export, and nothing says what its numbers mean: write kind: "
        f"{' | '.join(KINDS)} into '{path.with_suffix('.yaml')}', or give --description kind=inverse or one of "
        f"{', '.join(ready_names())}; streamdepth models --inspect '{path}' shows what is in it "
        f"(inputs {_list(interface.inputs)}; outputs {_list(interface.outputs)})",
        code="foreign",
    )


def _list(ports: Sequence[Port]) -> str:
    return ", ".join(map(str, ports))


def fixed_size(port: Port, layout: str) -> tuple[int, int] | None:
    """Returns (height, width) in px of the only input that a file takes; None where a side is free."""
    if len(port.shape) != len(layout):
        return None
    height, width = (port.shape[i] for i in _SPATIAL[layout])
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def fixed_count(port: Port, layout: str) -> int | None:
    """Returns the only number of pictures that a file takes at a time; None where it is free."""
    count = port.shape[_PICTURES[layout]]
    return count if isinstance(count, int) else None


def _kind(interface: Interface, _: Mapping[str, Any], path: Path) -> tuple[str, str]:
    """Guesses by names, for a look at the file; nothing is run for long on this guess."""
    words = " ".join([path.stem, *(port.name for port in interface.outputs)]).lower()
    for pattern, kind in ((r"log(?!i)", "log-metric"), (r"metric|meter", "metric"), (r"disp|inv", "inverse")):
        if re.search(pattern, words):
            return kind, f"kind {kind}, by a name"
    return "inverse", "kind inverse, the most frequent one"


def _layout(interface: Interface, *_: Any) -> tuple[str, str]:
    shape = interface.pictures.shape
    if len(shape) == 5:
        words = f"{interface.pictures.name} {shape[1]}".lower()
        is_video = re.search(r"frame|time|video", words) or (isinstance(shape[1], int) and shape[1] > 1)
        layout = "1NCHW" if is_video else "N1CHW"
        return layout, f"layout {layout}, {'consecutive frames' if is_video else 'one view'} at a time"
    if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
        return "NHWC", ""
    return "NCHW", "" if len(shape) == 4 and shape[1] == 3 else "layout NCHW"


def _output(interface: Interface, *_: Any) -> tuple[str, str]:
    maps = [port for port in interface.outputs if len(port.shape) != 1 and port.type in _NUMBERS]
    if not maps:
        return interface.outputs[0].name, ""
    named = [port for port in maps if re.search(r"depth|disp", port.name.lower())]
    best = (named or maps)[0]
    return best.name, f"output {best.name}" if len(interface.outputs) > 1 else ""


def _size(interface: Interface, fields: Mapping[str, Any], _: Path) -> tuple[Size | None, str]:
    port, layout = interface.pictures, fields["layout"]
    if fixed_size(port, layout):
        return None, ""
    multiple = fields.get("multiple", _DEFAULT_MULTIPLE)
    side = max(1, round(_DEFAULT_SIZE / multiple)) * multiple
    sides = [port.shape[i] for i in _SPATIAL[layout]] if len(port.shape) == len(layout) else []
    if any(isinstance(n, int) for n in sides):
        height, width = (n if isinstance(n, int) else side for n in sides)
        return Size(width, height, "both"), f"size {width}x{height}"
    return Size(side, side, "short"), f"size {side}, of the short side"


def _multiple(interface: Interface, fields: Mapping[str, Any], _: Path) -> tuple[int, str]:
    if fixed_size(interface.pictures, fields["layout"]):
        return 1, ""
    size: Size | None = fields["size"]
    fitting = [m for m in (_DEFAULT_MULTIPLE, 14, 16, 8) if size is None or not (size.width % m or size.height % m)]
    multiple = (fitting or [1])[0]
    return multiple, f"multiple {multiple}"


def _check(path: Path, found: Description, interface: Interface) -> None:
    """Raises ConfigError for a description that speaks of what the file does not have."""
    port, where = interface.pictures, f"'{path}' or its settings"
    if len(port.shape) != len(found.layout):
        fitting = ", ".join(layout for layout in LAYOUTS if len(layout) == len(port.shape))
        hint = f"; fitting: {fitting}" if fitting else "; export it with four dimensions, such as [1, 3, height, width]"
        raise description_error(where, f"layout is {found.layout}, and the input is {port}{hint}")
    channels = port.shape[_CHANNELS[found.layout]]
    if isinstance(channels, int) and channels != 3:
        raise description_error(
            where, f"the input {port} has {channels} channels in the layout {found.layout}; a picture has 3"
        )
    if port.type not in _NUMBERS:
        raise description_error(where, f"the input {port} takes no pictures; allowed are {', '.join(_NUMBERS)}")
    if port.type == "uint8" and (found.mean, found.std) != (Description("inverse").mean, Description("inverse").std):
        raise description_error(where, f"the input {port} takes pictures as they are; leave mean and std out")
    names = [output.name for output in interface.outputs]
    if missing := [name for name in found.outputs if name not in names]:
        raise description_error(where, f"the file has no output {missing[0]!r}; it has {', '.join(names)}")
    if texts := [output for output in interface.outputs if output.name in found.outputs and not _kind_of(output)]:
        raise description_error(where, f"the output {texts[0]} is no array of numbers; name another one as output")
    given = found.inputs or {}
    further = [p.name for p in interface.inputs if p is not port]
    if unknown := [name for name in given if name not in further]:
        raise description_error(where, f"the file has no further input {unknown[0]!r}; it has {', '.join(further)}")
    if unset := [p for p in interface.inputs if p is not port and p.name not in given]:
        raise description_error(where, _unset_input(unset[0]))
    if unfit := [p for p in interface.inputs if p.name in given and not _fits(given[p.name], p)]:
        value = given[unfit[0].name]
        raise description_error(where, f"the input {unfit[0]} cannot take {value:g}; give a number of its type")
    if found.depth_kind.unit is None and found.scale != Scale():
        raise description_error(where, f"scale makes meters, and kind is {found.kind}; leave scale out")


def _unset_input(port: Port) -> str:
    if len(port.shape) >= len("HWC"):
        return f"the file needs the input {port} beside the picture; a model gets one picture, and numbers"
    return f"the file asks for {port.name!r} too; give inputs: {{{port.name}: NUMBER}}"


def _kind_of(port: Port) -> str:
    """Returns numpy's letter for a kind of numbers: b, i, u or f; empty for types that hold none or are not known."""
    try:
        kind = np.dtype(port.type).kind
    except TypeError:
        return ""
    return kind if kind in "biuf" else ""


def _fits(value: float, port: Port) -> bool:
    """Returns True if an input can take a number without changing it, but for the rounding of floats."""
    kind = _kind_of(port)
    if kind in ("i", "u"):
        limits = np.iinfo(port.type)
        return value.is_integer() and limits.min <= value <= limits.max
    return value in (0, 1) if kind == "b" else bool(kind)


def _at_fixed_size(path: Path, found: Description, fixed: tuple[int, int]) -> Description:
    """Returns the description with the size that the file itself has fixed."""
    height, width = fixed
    if height * width > _MAX_PIXELS:
        raise ModelLoadError(
            f"'{path}' takes pictures of {width}x{height} px only, and at most {_MAX_PIXELS // 10**6} million px go "
            "into a network; export it for a smaller size",
            code="too-large",
        )
    size = found.size
    if size and size.bounds == "both" and (size.width, size.height) != (width, height):
        raise description_error(
            f"'{path}' or its settings", f"the input of the file is fixed at {width}x{height} px; leave size out"
        )
    return replace(found, size=Size(width, height, "both"), multiple=1)
