"""Completes the description of an ONNX file from what the file tells, and says what is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.foreign.compatibility import NUMBERS, check_fit
from streamdepth.estimators.foreign.description import KINDS, Description, Size, description_error
from streamdepth.estimators.foreign.description_reader import parse_assignments, read_description
from streamdepth.estimators.foreign.interface import Interface, Port, fixed_size, spatial_dimensions
from streamdepth.estimators.foreign.ready import fit_to_file, read_ready, ready_names, recognize

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
    has_kind, guesses = "kind" in fields, _guess_missing(fields, interface, path)
    fields.setdefault("licence", interface.metadata.get("license") or "unknown")
    found = Description(**fields)
    check_fit(path, found, interface)
    if fixed := fixed_size(interface.pictures, found.layout):
        found = _at_fixed_size(path, found, fixed)
        if found.keep_aspect is None:
            found = replace(found, keep_aspect=False)
            guesses.append(f"pictures stretched to {fixed[1]}x{fixed[0]} px (keep_aspect: true fits them in)")
    return Completed(found, guesses, recognized, has_kind)


def _guess_missing(fields: dict[str, Any], interface: Interface, path: Path) -> list[str]:
    """Adds the fields that are missing and that the file tells or suggests, and returns which ones were guessed."""
    guesses = []
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
    return guesses


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
    maps = [port for port in interface.outputs if len(port.shape) != 1 and port.type in NUMBERS]
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
    sides = [port.shape[i] for i in spatial_dimensions(layout)] if len(port.shape) == len(layout) else []
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
