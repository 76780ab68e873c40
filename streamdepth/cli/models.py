"""The verb that lists models, and looks into ONNX files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streamdepth.cli.console import out, print_table
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError
from streamdepth.utils.speeds import known_speeds

if TYPE_CHECKING:
    from streamdepth.config.sections import ModelSettings
    from streamdepth.estimators.catalog import CatalogEntry


@with_flags("model.description", "model.engine", "model.device", "outputs.overwrite", has_config_flag=False)
def models(
    name: Annotated[str | None, typer.Argument(help="Only this model, with all that is known of it.")] = None,
    inspect: Annotated[
        Path | None,
        typer.Option("--inspect", metavar="PATH", help="Look into an ONNX file, and run it on a test picture."),
    ] = None,
    picture: Annotated[
        str | None, typer.Option("--picture", metavar="PATH", help="With --inspect: the test picture.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="With --inspect: write the test picture beside its depth."),
    ] = None,
    descriptions: Annotated[
        bool, typer.Option("--descriptions", help="List the descriptions that are ready for ONNX files instead.")
    ] = False,
    *,
    flags: Flags,
) -> None:
    """List the models with short names: kind of depth, download, speed here, and which to take.

    Example: streamdepth models depth-anything-v2-small
    """
    if name is not None and (inspect is not None or descriptions):
        raise ConfigError(
            f"the model {name!r} does not go with --inspect and --descriptions; leave one of them out",
            code="option-conflict",
        )
    if inspect is None and (picture or output):
        raise ConfigError("--picture and --output go with --inspect; add it, or leave them out", code="option-conflict")
    if inspect is not None:
        from streamdepth.cli.inspect_model import print_inspection

        return print_inspection(inspect, flags.settings(), picture, output)
    if descriptions:
        return _print_descriptions()
    return _print_models() if name is None else _print_model(name, flags.settings().model)


def _print_model(name: str, settings: ModelSettings) -> None:
    from streamdepth.estimators.catalog import BEST_OF_KIND, describe_choice, find_entry, similar_names
    from streamdepth.factory.chosen_model import with_chosen_model

    if (kind := BEST_OF_KIND.get(name.lower())) is not None:
        out.print(f"{name.lower()}: {describe_choice(kind)}")
    entry = find_entry(with_chosen_model(settings.model_copy(update={"name": name})).name)
    if entry is None and name.lower().endswith(".onnx"):
        raise ConfigError(
            f"{name!r} is a file, and no model of the catalog; to look into it: streamdepth models --inspect {name}",
            code="unknown-model",
        )
    if entry is None:
        close = ", ".join(similar_names(name)) or "one of `streamdepth models`"
        raise ConfigError(f"there is no model {name!r} in the catalog; did you mean {close}?", code="unknown-model")
    facts = Table(show_header=False, box=None)
    for key, value in _model_facts(entry):
        facts.add_row(key, value)
    out.print(facts)


def _print_models() -> None:
    from streamdepth.estimators.catalog import CATALOG

    speeds = known_speeds()
    table = Table("name", "kind", "download", "fps here", "", box=None, padding=(0, 1, 0, 0))
    for entry in CATALOG.values():
        remark = entry.advice or ("" if entry.allows_commercial_use else "--accept-license")
        table.add_row(entry.name, entry.kind.value, _download(entry), _speed(speeds.get(entry.name)), remark)
    print_table(table)
    out.print(
        "--model metric, --model best: the best of these for this machine that is free for any use\n"
        "a name gives more, such as the license: streamdepth models NAME\n"
        "fps here: frames a second of the network alone, in its fastest run here; - was not measured yet,\n"
        "measure it without a download: streamdepth bench --model NAME --random-weights --alone"
    )


def _print_descriptions() -> None:
    from streamdepth.estimators.foreign.ready import read_ready, ready_names

    table = Table("name", "kind", "license of the weights", box=None, padding=(0, 1, 0, 0))
    for name in ready_names():
        fields = read_ready(name)
        table.add_row(name, fields["kind"], fields["licence"])
    print_table(table)
    out.print("use: streamdepth convert in.mp4 -o out.mp4 --model FILE.onnx --description NAME")


def _speed(frames_per_second: float | None) -> str:
    return "-" if frames_per_second is None else f"{frames_per_second:.3g}"


def _download(entry: CatalogEntry) -> str:
    size = entry.download_mb
    if not size:
        return "?" if size is None else "-"
    return f"{size} MB" if size < 1000 else f"{size / 1000:.1f} GB"


def _model_facts(entry: CatalogEntry) -> list[tuple[str, str]]:
    """Returns (name, value) rows for people."""
    size = entry.size if isinstance(entry.size, int) else "x".join(map(str, entry.size or ()))
    needs = "" if entry.allows_commercial_use else " (needs --accept-license)"
    return [
        ("name", entry.name),
        ("from", entry.hub_id or entry.address or "built in"),
        ("kind", f"{entry.kind.value}, {'meters' if entry.unit else 'inverse depth without unit'}"),
        ("input size", f"{size} px" if size else "the picture's own"),
        ("download", _download(entry)),
        ("fps here", _speed(known_speeds().get(entry.name))),
        ("license", entry.license + needs),
        ("note", "; ".join(filter(None, (entry.note, entry.advice))) or "-"),
        ("use", f"streamdepth convert in.mp4 -o out.mp4 --model {entry.name}"),
    ]
