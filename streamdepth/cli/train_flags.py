"""Flags that several verbs of `streamdepth train` share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of checkpoint, log, curves and nano.safetensors.")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings; flags win over it.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]

_SETTINGS: dict[str, Any] = {
    "steps": Annotated[int | None, typer.Option(min=1, help="Steps of --batch pictures; more is better.")],
    "batch": Annotated[int | None, typer.Option(min=1, help="Pictures per step.")],
    "seed": Annotated[int | None, typer.Option(help="The same seed gives the same weights on one machine.")],
    "start": Annotated[str | None, typer.Option(help="nano, imagenet, or weights to start from.")],
}
"""The settings of a training that have a flag -> the flag."""


def with_training_flags(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb the flags --steps, --batch, --seed and --start, after its own.

    The verb gets those that were given as its argument `changes`: name of the setting -> value.
    """

    @functools.wraps(verb)
    def with_more(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in _SETTINGS}
        verb(**arguments, changes={name: value for name, value in given.items() if value is not None})

    signature = inspect.signature(verb, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name not in ("changes", "flags")]
    flags = [parameter for name, parameter in signature.parameters.items() if name == "flags"]
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=flag)
        for name, flag in _SETTINGS.items()
    ]
    with_more.__signature__ = signature.replace(parameters=[*own, *more, *flags])  # type: ignore[attr-defined]
    return with_more
