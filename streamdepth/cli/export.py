"""The verbs `export` and `quantize`: parse, call, print."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streamdepth.cli.console import err, out, print_table
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError, EstimatorError, SinkOpenError, SourceLostError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.arrays import Image
    from streamdepth.estimators.quantize import QuantizationResult

_MODEL = ("model.size", "model.accept_license", "model.allow_pickle")
_Model = Annotated[str, typer.Argument(help="nano, a short name, a hub id, a folder, or nano's .safetensors.")]


@with_flags(*_MODEL, "outputs.overwrite")
def export(
    model: _Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, .onnx.")],
    frame_size: Annotated[str, typer.Option("--frame-size", help="Pictures whose aspect is kept, in px.")] = "1280x720",
    batch: Annotated[int, typer.Option("--batch", help="Pictures of one run.", min=1, max=256)] = 1,
    *,
    flags: Flags,
) -> None:
    """Write a model as an ONNX file, for one size of input, and check it; --model takes such files.

    Example: streamdepth export nano -o nano.onnx
    """
    settings = flags.settings(model=model)
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"an exported model is an .onnx file, not '{output}'", code="unknown-format")
    pictures = _parse_size(frame_size)
    from streamdepth import factory
    from streamdepth.estimators.exported_model import export_onnx
    from streamdepth.sinks.pending_files import atomic_write

    with atomic_write(output, overwrite=settings.outputs.overwrite) as temporary:
        network = factory.make_network(settings)
        found = export_onnx(network, temporary, frame_size=pictures, batch=batch)
    if not flags.quiet:
        height, width = network.card.with_fixed_size(pictures[1], pictures[0]).input_size()
        err.print(
            f"{output}: input {batch}x3x{height}x{width}, checked: differs from torch by {found:.2%} of the spread"
        )


def _parse_size(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", size.strip().lower())
    if match is None or not (int(match[1]) and int(match[2])):
        raise ConfigError(f"'{size}' is no size; write WIDTHxHEIGHT in px, such as 1280x720", code="bad-size")
    return int(match[1]), int(match[2])


@with_flags(*_MODEL)
def quantize(
    model: _Model,
    calibrate: Annotated[str, typer.Option("--calibrate", help="A video of the kind that is to be processed.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")],
    frames: Annotated[int, typer.Option("--frames", help="Frames to take from it.", min=4, max=1000)] = 120,
    limit: Annotated[
        float, typer.Option("--limit", help="Least share of pixels within 1.25 of float32's depth.", min=0, max=1)
    ] = 0.95,
    *,
    flags: Flags,
) -> None:
    """Make a model smaller and faster with INT8, judged on frames that it was not made from; --model takes the folder.

    Example: streamdepth quantize nano --calibrate samples/room.mp4 -o nano_int8
    """
    settings = flags.settings(model=model)
    import tempfile

    from streamdepth import factory
    from streamdepth.estimators.quantize import quantize as make_int8

    if output.exists():
        raise SinkOpenError(f"'{output}' exists already; choose another folder", code="exists")
    try:
        with tempfile.TemporaryDirectory(prefix=".quantize-", dir=output.parent, ignore_cleanup_errors=True) as name:
            pictures = _pictures(calibrate, settings, frames)
            held_out = pictures[3::4]
            used = [picture for i, picture in enumerate(pictures) if i % 4 != 3]
            made = Path(name) / "complete"
            made.mkdir()
            found = make_int8(factory.make_network(settings), used, held_out, made)
            if not flags.quiet:
                _show(found)
            if found.after.delta1 < limit:
                raise EstimatorError(
                    f"INT8 of {model!r} agrees with float32 on {found.after.delta1:.1%} of the pixels, less than "
                    f"--limit {limit}: nothing was written; try more and other --frames, or use the model as it is",
                    code="inaccurate",
                )
            made.rename(output)
    except OSError as error:
        raise SinkOpenError(
            f"cannot write '{output}': {error.strerror}; choose another folder", code="not-writable"
        ) from error
    if not flags.quiet:
        err.print(f"{output}: use it with --model {output}")


def _pictures(address: str, settings: Settings, wanted: int) -> list[Image]:
    """Returns up to `wanted` pictures, spread over the video where its length is known. Raises SourceError."""
    from streamdepth import factory

    found: list[Image] = []
    with closing(factory.make_source(address, settings)) as source:
        count = source.open().frame_count
        step = max(1, (count or wanted) // wanted)
        try:
            while len(found) < wanted and (frame := source.read()) is not None:
                if frame.index % step == 0:
                    found.append(frame.image)
        except SourceLostError as error:
            err.print(f"{error}")
    if len(found) < 4:
        raise ConfigError(
            f"'{address}' gave {len(found)} frames; at least 4 are needed to quantize and to judge",
            code="too-few-frames",
        )
    shape = found[0].shape
    return [picture for picture in found if picture.shape == shape]


def _show(found: QuantizationResult) -> None:
    table = Table("against float32", "delta1", "error", "ms a frame", box=None)
    for row in (found.before, found.after):
        table.add_row(row.precision, f"{row.delta1:.4f}", f"{row.error:.4f}", f"{row.milliseconds:.2f}")
    print_table(table)
    out.print(f"{found.held_out} frames that were held out; error is of inverse depth, as a share of its range")
