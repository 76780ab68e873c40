"""The verb for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err, exit_on_interrupt
from streamdepth.cli.exit_codes import exit_code
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError
from streamdepth.core.threads import call_interruptibly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamdepth.config import Settings
    from streamdepth.core.types import DepthFrame


@with_flags(
    *("model", "camera", "metric", "max_side", "find_bars"),
    *("outputs.points", "outputs.mesh", "outputs.overwrite", "outputs.depth_size"),
    *("render.edges", "render.style", "render.colormap", "render.legend", "render.invert"),
    *("render.depth_strength", "render.convergence", "render.ipd"),
)
def image(
    picture: Annotated[
        list[str], typer.Argument(help="Paths, folders, patterns or http(s) addresses; - is standard input.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=".png (16 bit), .exr, .npz; .jpg to look at; .ply .pcd .glb .obj. Of several pictures a folder, or a "
            "path with {name}.",
        ),
    ] = None,
    *,
    flags: Flags,
) -> None:
    """Estimate the depth of pictures, and build them in 3D.

    Example: streamdepth image photo.jpg -o depth.png --glb photo.glb --fov 65
    """
    settings = flags.settings(output=output)
    if not (settings.outputs.video or settings.outputs.points or settings.outputs.mesh):
        raise ConfigError(
            "image needs an output: -o depth.png for the depth, --glb out.glb for a mesh, --ply out.ply",
            code="no-output",
        )
    from streamdepth.apps.image import convert_picture, has_folder_outputs, list_pictures

    pictures = list_pictures(picture)
    if len(pictures) > 1 or has_folder_outputs(settings):
        _convert_several(pictures, settings, is_quiet=flags.quiet)
        return
    with exit_on_interrupt():
        item, notices = call_interruptibly(lambda: convert_picture(pictures[0], settings))
    outputs = [p for p in (settings.outputs.video, settings.outputs.points, settings.outputs.mesh) if p]
    if not flags.quiet:
        _print(outputs, item, notices, settings)


def _convert_several(pictures: Sequence[str], settings: Settings, *, is_quiet: bool) -> None:
    """Converts pictures one by one, with a line for each; exits with the code of the first error at the end."""
    from streamdepth.apps.image import convert_pictures

    errors, outcomes = [], convert_pictures(pictures, settings)
    with exit_on_interrupt():
        while (done := call_interruptibly(lambda: next(outcomes, None))) is not None:
            if done.error is not None:
                errors.append(done.error)
                err.print(f"failed: {done.error}")
            elif done.item is not None and not is_quiet:
                _print(done.outputs, done.item, done.notices, settings)
    if not is_quiet:
        err.print(f"{len(pictures) - len(errors)} of {len(pictures)} pictures are done, {len(errors)} failed")
    if errors:
        raise typer.Exit(exit_code(type(errors[0])))


def _print(outputs: Sequence[Path], item: DepthFrame, notices: Sequence[str], settings: Settings) -> None:
    for text in notices:
        err.print(text)
    width, height = item.frame.size
    unit = "meters" if item.kind.unit else "inverse depth without unit, near is large"
    names = ", ".join(map(str, outputs))
    err.print(f"{names}: {width}x{height}, {item.kind.value} ({unit}), {settings.model.name}")
