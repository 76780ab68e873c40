"""A check that a description speaks of what its ONNX file has, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamdepth.estimators.foreign.description import Description, Scale, description_error
from streamdepth.estimators.foreign.interface import LAYOUTS, Interface, Port

NUMBERS = ("float32", "float16", "float64", "uint8")
"""Types of elements that inputs for pictures and maps of depth may have."""


def check_fit(path: Path, found: Description, interface: Interface) -> None:
    """Raises ConfigError with the code "bad-description" for a description that speaks of what the file does not have.

    Args:
        path: of the file, for messages.
        found: the description, with all fields.
        interface: of the file.
    """
    where = f"'{path}' or its settings"
    _check_pictures(where, found, interface.pictures)
    _check_outputs(where, found, interface)
    _check_further_inputs(where, found, interface)
    if found.depth_kind.unit is None and found.scale != Scale():
        raise description_error(where, f"scale makes meters, and kind is {found.kind}; leave scale out")


def _check_pictures(where: str, found: Description, port: Port) -> None:
    if len(port.shape) != len(found.layout):
        fitting = ", ".join(layout for layout in LAYOUTS if len(layout) == len(port.shape))
        hint = f"; fitting: {fitting}" if fitting else "; export it with four dimensions, such as [1, 3, height, width]"
        raise description_error(where, f"layout is {found.layout}, and the input is {port}{hint}")
    channels = port.shape[found.layout.index("C")]
    if isinstance(channels, int) and channels != 3:
        raise description_error(
            where, f"the input {port} has {channels} channels in the layout {found.layout}; a picture has 3"
        )
    if port.type not in NUMBERS:
        raise description_error(where, f"the input {port} takes no pictures; allowed are {', '.join(NUMBERS)}")
    plain = Description(found.kind)
    if port.type == "uint8" and (found.mean, found.std) != (plain.mean, plain.std):
        raise description_error(where, f"the input {port} takes pictures as they are; leave mean and std out")


def _check_outputs(where: str, found: Description, interface: Interface) -> None:
    ports = {output.name: output for output in interface.outputs}
    for name in found.outputs:
        if name not in ports:
            raise description_error(where, f"the file has no output {name!r}; it has {', '.join(ports)}")
        if not _kind_of(ports[name]):
            raise description_error(where, f"the output {ports[name]} is no array of numbers; name another as output")


def _check_further_inputs(where: str, found: Description, interface: Interface) -> None:
    given = found.inputs or {}
    further = {port.name: port for port in interface.inputs if port is not interface.pictures}
    for name, value in given.items():
        if name not in further:
            raise description_error(where, f"the file has no further input {name!r}; it has {', '.join(further)}")
        if not _fits(value, further[name]):
            raise description_error(
                where, f"the input {further[name]} cannot take {value:g}; give a number of its type"
            )
    for name, port in further.items():
        if name not in given:
            raise description_error(where, _unset_input(port))


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
