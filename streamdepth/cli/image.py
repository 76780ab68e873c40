"""The verb for one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamdepth.cli.console import err, exit_on_interrupt
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError
from streamdepth.core.threads import call_interruptibly


@with_flags(
    *("model", "camera", "metric", "max_side", "find_bars"),
    *("outputs.points", "outputs.mesh", "outputs.overwrite", "outputs.depth_size"),
    *("render.edges", "render.style", "render.colormap", "render.legend", "render.invert"),
)
def image(
    picture: Annotated[str, typer.Argument(help="A path or an http(s) address.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=".png (16 bit), .exr, .npz; .jpg to look at; .ply .pcd .glb .obj."),
    ] = None,
    *,
    flags: Flags,
) -> None:
    """Estimate the depth of one picture, and build it in 3D.

    Example: streamdepth image photo.jpg -o depth.png --glb photo.glb --fov 65
    """
    settings = flags.settings(output=output)
    if not (settings.outputs.video or settings.outputs.points or settings.outputs.mesh):
        raise ConfigError(
            "image needs an output: -o depth.png for the depth, --glb out.glb for a mesh, --ply out.ply",
            code="no-output",
        )
    from streamdepth.apps.image import convert_picture

    with exit_on_interrupt():
        result, notices = call_interruptibly(lambda: convert_picture(picture, settings))
    if flags.quiet:
        return
    for text in notices:
        err.print(text)
    height, width = result.frame.image.shape[:2]
    unit = "meters" if result.kind.unit else "inverse depth without unit, near is large"
    names = ", ".join(str(p) for p in (settings.outputs.video, settings.outputs.points, settings.outputs.mesh) if p)
    err.print(f"{names}: {width}x{height}, {result.kind.value} ({unit}), {settings.model.name}")
