"""One picture in, its depth out: as a picture, as points, as a mesh."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from PIL import Image

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame
from streamdepth.factory.pictures import estimate_depth_frame, read_photo, shared_estimator
from streamdepth.factory.render_options import make_render_options
from streamdepth.render.overlay import check_render_options, render
from streamdepth.render.upsampling import upsample
from streamdepth.sinks.geometry_files import (
    SUFFIXES,
    GeometryKind,
    check_geometry_path,
    geometry_notices,
    write_geometry,
)
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES, check_depth_image_path, write_depth_image
from streamdepth.sinks.pending_files import atomic_write, check_distinct, check_output

LOOKS = (".jpg", ".jpeg", ".webp")
"""Endings of pictures to look at; all others keep the depth itself."""


def convert_picture(picture: str, settings: Settings) -> tuple[DepthFrame, list[str]]:
    """Writes the depth of `picture` to the settings' `output`, `points` and `mesh`; returns it, and what a user
    should know.

    output: 16-bit PNG, EXR, NPZ, colours for .jpg and .webp, points for .ply and .pcd, a mesh for .glb and .obj.
    Raises SourceError, EstimatorError, ConfigError or SinkError.
    """
    check_render_options(make_render_options(settings))
    outputs = _outputs(settings)
    check_distinct((path for path, _ in outputs), [picture])
    for path, kind in outputs:
        check_output(path, overwrite=settings.outputs.overwrite)
        if kind is not None:
            check_geometry_path(path, kind)
        elif path.suffix.lower() not in LOOKS:
            check_depth_image_path(path)
    pixels, camera = read_photo(picture, settings)
    item = estimate_depth_frame(pixels, shared_estimator(settings.model), settings, camera)
    item = upsample(item, settings.render.edges)
    for path, kind in outputs:
        if kind is not None:
            write_geometry(path, item, kind, overwrite=settings.outputs.overwrite)
        elif path.suffix.lower() in LOOKS:
            _write_look(path, item, settings)
        else:
            facts = {"model": settings.model.name}
            write_depth_image(path, item.at_frame_size(), item.kind, overwrite=settings.outputs.overwrite, text=facts)
    return item, geometry_notices(item) if any(kind for _, kind in outputs) else []


def _outputs(settings: Settings) -> list[tuple[Path, GeometryKind | None]]:
    """Each path with the shape to build; None for a picture of the depth."""
    found: list[tuple[Path, GeometryKind | None]] = []
    wanted = settings.outputs
    if wanted.video:
        suffix = wanted.video.suffix.lower()
        allowed = dict.fromkeys([*DEPTH_IMAGE_SUFFIXES, *LOOKS, *chain.from_iterable(SUFFIXES.values())])
        if suffix not in allowed:
            raise ConfigError(f"cannot tell what to write from '{wanted.video}'; use one of {' '.join(allowed)}")
        shapes = [kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes]
        found.append((wanted.video, shapes[0] if shapes else None))
    if wanted.points:
        found.append((wanted.points, "points"))
    if wanted.mesh:
        found.append((wanted.mesh, "mesh"))
    return found


def _write_look(output: Path, item: DepthFrame, settings: Settings) -> None:
    look = render(item, make_render_options(settings))
    with atomic_write(output, overwrite=settings.outputs.overwrite) as temporary:
        Image.fromarray(look).save(temporary, quality=92)
