"""Flags of the verbs, made from the settings model, and settings made from flags."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BeforeValidator
from rich.markup import escape

from streamdepth import config
from streamdepth.cli.console import configure_logging
from streamdepth.config.reference import default_text

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="YAML file with settings; flags win over it.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting of `streamdepth settings`, such as video.crf=18."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", metavar="", help="Log more, and show tracebacks.")]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="PATH", help="Write all facts to this file; - prints them instead.")
]

_GENERAL: dict[str, tuple[Any, Any]] = {
    "config_file": (ConfigFile, None),
    "assignments": (Assignments, None),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}
"""The flags of every verb with settings -> (type, default)."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The settings that a command line gives."""

    values: dict[str, Any]
    """The flags that were given: keyword -> value."""
    config_file: Path | None = None
    assignments: Sequence[str] = ()
    """The values of --set."""
    quiet: bool = False
    verbose: bool = False

    def settings(self, *, config_file: Path | None = None, **more: Any) -> config.Settings:
        """Returns the settings. Raises ConfigError.

        Args:
            config_file: the file of a verb that takes it as an argument.
            more: further values by keyword, which win; those that are None or empty change nothing.
        """
        return config.load(config_file or self.config_file, self.assignments, self.values | _given(more))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {keyword: value for keyword, value in values.items() if value is not None and value != []}


def with_flags(
    *sections: str, without: Sequence[str] = (), has_config_flag: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that gives a verb flags for settings, and --config, --set, --quiet and --verbose.

    The verb gets them as its argument `flags`, a `Flags`. Its own arguments come first in --help, then the common
    flags, then all others under the headings of their sections.

    Args:
        sections: sections such as "model", or single settings such as "outputs.overwrite" and "max_frames".
        without: single settings of these sections that the verb does not take.
        has_config_flag: False for a verb that takes its configuration as an argument.
    """
    chosen = [setting for section in sections for setting in _settings(section) if setting.path not in without]
    general = {name: flag for name, flag in _GENERAL.items() if has_config_flag or name != "config_file"}

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def with_more(**arguments: Any) -> None:
            values = _given({setting.keyword: arguments.pop(setting.keyword) for setting in chosen})
            shared_values = {name: arguments.pop(name) for name in general}
            shared_values["assignments"] = shared_values["assignments"] or ()
            configure_logging(quiet=shared_values["quiet"], verbose=shared_values["verbose"])
            verb(**arguments, flags=Flags(values, **shared_values))

        signature = inspect.signature(verb, eval_str=True)
        arguments = [parameter for name, parameter in signature.parameters.items() if name != "flags"]
        common = [_parameter(setting.keyword) for setting in chosen if setting.flag and setting.flag.is_common]
        others = [_parameter(setting.keyword) for setting in chosen if setting.flag and not setting.flag.is_common]
        shared = [_keyword_only(name, kind, default) for name, (kind, default) in general.items()]
        with_more.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*arguments, *common, *shared, *others]
        )
        return with_more

    return decorate


def _settings(section: str) -> list[config.Setting]:
    """Returns the settings with flags of a section, or the single one of that path."""
    found = [s for s in config.table().values() if section in (s.section, s.path) and s.flag is not None]
    assert found, section
    return found


@functools.cache
def _parameter(keyword: str) -> inspect.Parameter:
    """Returns the flag of a setting, the same for every verb that has it."""
    setting = config.table()[keyword]
    assert setting.flag is not None
    default = "" if setting.default in (None, (), False) else f" (default: {default_text(setting)})"
    option = typer.Option(
        *setting.flag.names,
        help=escape(setting.meaning.rstrip(".") + default + ("" if default else ".")),
        metavar=_metavar(setting),
        rich_help_panel=None if setting.flag.is_common else setting.panel,
    )
    return _keyword_only(setting.keyword, Annotated[_click_type(setting), option], None)


def _metavar(setting: config.Setting) -> str:
    """Returns what stands for the value in --help: "N" for whole numbers, "X" for others, "PATH", "TEXT", or ""."""
    if setting.flag is not None and setting.flag.metavar:
        return setting.flag.metavar
    if "Path" in str(setting.field.annotation):
        return "PATH"
    return {bool | None: "", int | None: "N", float | None: "X"}.get(_click_type(setting), "TEXT")


def _keyword_only(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _click_type(setting: config.Setting) -> Any:
    """Returns the type that the command line parses; texts are parsed by the model."""
    annotation = setting.field.annotation
    if annotation == tuple[str, ...]:
        return list[str] | None
    if not any(isinstance(mark, BeforeValidator) for mark in setting.field.metadata):
        for kind in (bool, int, float):
            if annotation in (kind, kind | None):
                return kind | None
    return str | None
