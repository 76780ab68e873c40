"""Converts one picture to depth: as a picture, as a point cloud or as a mesh."""

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
from streamdepth.sinks.depth_maps import depth_to_store
from streamdepth.sinks.geometry_files import (
    SUFFIXES,
    GeometryKind,
    check_geometry_path,
    geometry_notices,
    write_geometry,
)
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES, check_depth_image_path, write_depth_image
from streamdepth.sinks.pending_files import atomic_write, check_distinct, check_output
from streamdepth.sinks.picture import COLORED_SUFFIXES


def convert_picture(picture: str, settings: Settings) -> tuple[DepthFrame, list[str]]:
    """Writes the depth of a picture to the outputs of the settings; returns it, and notices for the user.

    The suffix of `outputs.video` chooses what is written: depth itself (16-bit PNG, EXR, NPZ), colors (.jpg, .webp),
    points (.ply, .pcd) or a mesh (.glb, .obj). `outputs.points` and `outputs.mesh` are written as well.

    Args:
        picture: a path or an http(s) address.
        settings: model, outputs, and how depth is drawn.

    Raises:
        ConfigError: for a suffix that nothing can be written to ("unknown-format"), or wrong options.
        SourceError, EstimatorError, SinkError: as the picture, the model and the outputs raise them.
    """
    check_render_options(make_render_options(settings))
    outputs = _outputs(settings)
    check_distinct((path for path, _ in outputs), [picture])
    for path, kind in outputs:
        check_output(path, overwrite=settings.outputs.overwrite)
        if kind is not None:
            check_geometry_path(path, kind)
        elif path.suffix.lower() not in COLORED_SUFFIXES:
            check_depth_image_path(path)
    item = estimate_depth_frame(read_photo(picture, settings), shared_estimator(settings.model), settings)
    size, edges = settings.outputs.depth_size or "picture", settings.render.edges
    depth, item = depth_to_store(item, size, edges), upsample(item, edges)
    for path, kind in outputs:
        if kind is not None:
            write_geometry(path, item, kind, overwrite=settings.outputs.overwrite)
        elif path.suffix.lower() in COLORED_SUFFIXES:
            _write_colored(path, item, settings)
        else:
            facts = {"model": settings.model.name}
            write_depth_image(path, depth, item.kind, overwrite=settings.outputs.overwrite, text=facts)
    return item, geometry_notices(item) if any(kind for _, kind in outputs) else []


def _outputs(settings: Settings) -> list[tuple[Path, GeometryKind | None]]:
    """Returns each output's path with the kind of geometry; None for a picture. Raises ConfigError."""
    found: list[tuple[Path, GeometryKind | None]] = []
    outputs = settings.outputs
    if outputs.video:
        suffix = outputs.video.suffix.lower()
        allowed = dict.fromkeys([*DEPTH_IMAGE_SUFFIXES, *COLORED_SUFFIXES, *chain.from_iterable(SUFFIXES.values())])
        if suffix not in allowed:
            raise ConfigError(
                f"cannot tell what to write from '{outputs.video}'; use one of {' '.join(allowed)}",
                code="unknown-format",
            )
        kinds = [kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes]
        found.append((outputs.video, kinds[0] if kinds else None))
    if outputs.points:
        found.append((outputs.points, "points"))
    if outputs.mesh:
        found.append((outputs.mesh, "mesh"))
    return found


def _write_colored(output: Path, item: DepthFrame, settings: Settings) -> None:
    image = render(item, make_render_options(settings))
    with atomic_write(output, overwrite=settings.outputs.overwrite) as temporary:
        Image.fromarray(image).save(temporary, quality=92)
