"""The verb for one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streamdepth.cli import options as o
from streamdepth.cli.console import err, settings_from
from streamdepth.core.errors import ConfigError


@o.also(o.MODEL, o.CAMERA, o.METRES, o.SHAPES)
def image(
    picture: Annotated[str, typer.Argument(help="A path or an http(s) address.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=".png (16 bit), .exr, .npz; .jpg to look at; .ply .pcd .glb .obj."),
    ] = None,
    edges: o.Edges = None,
    style: o.Style = None,
    colormap: o.Colormap = None,
    max_side: o.MaxSide = None,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Estimate the depth of one picture, and build it in 3D.

    Example: streamdepth image photo.jpg -o depth.png --glb photo.glb --fov 65
    """
    flags = {k: v for k, v in locals().items() if k != "picture"}
    settings = settings_from(flags)
    if not (settings.output or settings.points or settings.mesh):
        raise ConfigError("image needs an output: -o depth.png for the depth, --glb out.glb for a mesh, --ply out.ply")
    from streamdepth.apps.image import convert_picture

    result, notices = convert_picture(picture, settings)
    if quiet:
        return
    for text in notices:
        err.print(text)
    height, width = result.frame.image.shape[:2]
    unit = "metres" if result.kind.unit else "inverse depth without unit, near is large"
    names = ", ".join(str(p) for p in (settings.output, settings.points, settings.mesh) if p)
    err.print(f"{names}: {width}x{height}, {result.kind.value} ({unit}), {settings.model}")
