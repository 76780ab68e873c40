"""Prints the description of an ONNX file, stated or guessed, and its result for a test picture."""

from __future__ import annotations

import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from streamdepth.cli.console import out
from streamdepth.core.arrays import Image
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.types import DepthFrame, Frame

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.estimators.foreign.inspection import Inspection

_METADATA_CHARACTERS = 60
_PICTURES = (".png", ".jpg", ".jpeg")


def print_inspection(path: Path, settings: Settings, picture: str | None, output: Path | None) -> None:
    """Prints a look at the ONNX file `path`, and writes the test picture beside its depth to `output`.

    Raises as `inspect_file` does, SourceError for a picture that cannot be read, and SinkOpenError for an output that
    exists.
    """
    from streamdepth.estimators.foreign.inspection import inspect_file
    from streamdepth.factory.outputs import make_folder
    from streamdepth.sinks.output_checks import check_output

    if output is not None:
        if output.suffix.lower() not in _PICTURES:
            raise SinkOpenError(
                f"the test picture cannot be written to '{output}'; allowed are {', '.join(_PICTURES)}",
                code="unknown-format",
            )
        check_output(output, overwrite=settings.outputs.overwrite)
        make_folder(output.parent)
    pixels = _test_picture(picture)
    model = settings.model
    found = inspect_file(path, model.description, engine=model.engine, device=model.device, threads=model.threads)
    with closing(found.estimator):
        _print_facts(path, found)
        item = _run(found, pixels)
    if output is not None:
        _write(item, output)
        out.print(f"written: {output}, the test picture beside its depth")


def _test_picture(picture: str | None) -> Image:
    if picture is not None:
        from streamdepth.sources.picture_file import load_picture

        return load_picture(picture).pixels
    from streamdepth.testing import SyntheticSource

    with SyntheticSource(count=1, width=640, height=480) as source:
        source.open()
        frame = source.read()
        assert frame is not None
        return frame.image


def _print_facts(path: Path, found: Inspection) -> None:
    from streamdepth.estimators.foreign.inspection import description_text

    interface, completed = found.interface, found.completed
    out.print(f"{path}, on the engine {found.estimator.engine.name}")
    for title, ports in (("input", interface.inputs), ("output", interface.outputs)):
        for port in ports:
            out.print(f"  {title}: {port}")
    for key, value in interface.metadata.items():
        out.print(f"  metadata: {key} = {' '.join(value.split())[:_METADATA_CHARACTERS]}")
    if completed.ready:
        out.print(f"by its name it is taken for {completed.ready}, one of `streamdepth models --descriptions`")
    for guess in completed.guesses:
        out.print(f"guessed: {guess}")
    out.print(f"the description to write into {path.with_suffix('.yaml')}, after a look at the guesses:")
    out.print(description_text(completed.description).rstrip())


def _run(found: Inspection, pixels: Image) -> DepthFrame:
    """Runs the model on the test picture and prints facts of the result."""
    frame, estimator = Frame(pixels, 0, 0, Fraction(1), 0.0, "test"), found.estimator
    estimator.warm_up(*frame.size)
    began = time.perf_counter()
    result = estimator.estimate([frame])[0]
    milliseconds, depth = (time.perf_counter() - began) * 1e3, result.depth
    known = depth[np.isfinite(depth)]
    kind = estimator.info.kind
    numbers = f"from {known.min():.4g} to {known.max():.4g}, median {np.median(known):.4g}" if known.size else "none"
    out.print(
        f"test picture of {frame.size[0]}x{frame.size[1]} px: {depth.shape[1]}x{depth.shape[0]} "
        f"{'meters' if kind.unit else 'inverse depth without unit'}, {numbers}, "
        f"{1 - known.size / depth.size:.0%} unknown or sky, {milliseconds:.0f} ms"
    )
    if result.confidence is not None:
        low, high = result.confidence.min(), result.confidence.max()
        out.print(f"confidence from {low:.2f} to {high:.2f}, mean {result.confidence.mean():.2f}")
    return DepthFrame(frame, depth, kind)


def _write(item: DepthFrame, output: Path) -> None:
    from PIL import Image as PillowImage

    from streamdepth.core.render_options import RenderOptions

    PillowImage.fromarray(item.render(RenderOptions(style="side-by-side"))).save(output)
