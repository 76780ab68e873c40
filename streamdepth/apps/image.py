"""Converts pictures to depth, one by one: as pictures, as point clouds or as meshes."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from PIL import Image

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SourceOpenError, StreamDepthError
from streamdepth.core.types import DepthFrame
from streamdepth.factory.naming import NAME_FIELD
from streamdepth.factory.outputs import check_shows_style, make_folder
from streamdepth.factory.pictures import estimate_depth_frame, read_photo, shared_estimator
from streamdepth.factory.render_options import check_stereo_settings, make_render_options
from streamdepth.factory.sources import STANDARD_INPUT
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
from streamdepth.sinks.output_checks import check_distinct, check_output
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.picture import COLORED_SUFFIXES
from streamdepth.utils.file_patterns import is_local_path, local_path, match_files
from streamdepth.utils.media_kind import folder_media
from streamdepth.utils.numbering import unused_names
from streamdepth.utils.redact import redact

_STANDARD_INPUT_PATH = "/dev/stdin"
_FOLDER_SUFFIXES = {"video": ".png", "points": ".ply", "mesh": ".glb"}
"""Setting of an output that is a folder -> suffix of the files in it."""


@dataclass(frozen=True, slots=True)
class ConvertedPicture:
    """The outcome of one of several pictures."""

    picture: str
    """The picture's path or address."""
    outputs: Sequence[Path]
    item: DepthFrame | None
    """The picture with its depth; None where the conversion failed."""
    notices: Sequence[str] = ()
    """Sentences that a user should read."""
    error: StreamDepthError | None = None


def list_pictures(addresses: Sequence[str]) -> list[str]:
    """Returns the pictures that addresses stand for: those of a folder, those that match a pattern, or one itself.

    The address - is standard input. Raises SourceOpenError ("not-found") for a folder or a pattern without any, and
    ConfigError ("no-source") if standard input is a terminal.
    """
    found = list(dict.fromkeys(chain.from_iterable(map(_list_pictures_at, addresses))))
    if not found:
        raise SourceOpenError("no picture was given; name files, folders or patterns", code="not-found")
    return found


def _list_pictures_at(address: str) -> list[str]:
    if address == STANDARD_INPUT:
        return [_standard_input()]
    if os.path.isdir(address):
        pictures = [local_path(path) for path in folder_media(address).pictures]
        reason = "holds no pictures; videos are for `streamdepth convert`"
    elif glob.has_magic(address) and "://" not in address and not is_local_file(address):
        pictures, reason = match_files(address), "matches no file; quote patterns, and check the spelling"
    else:
        return [address]
    if not pictures:
        raise SourceOpenError(f"{redact(address)} {reason}", code="not-found")
    return pictures


def _standard_input() -> str:
    """Returns the path of standard input. Raises ConfigError ("no-source") where no program or file is behind it."""
    if sys.stdin is None or sys.stdin.isatty() or not os.path.exists(_STANDARD_INPUT_PATH):
        raise ConfigError(
            "the picture - is what another program writes into a pipe, and there is none: "
            "OTHER_PROGRAM | streamdepth image - -o depth.png; or give the path of a file",
            code="no-source",
        )
    return _STANDARD_INPUT_PATH


def is_local_file(address: str) -> bool:
    """True if a file has exactly this name, even if the name looks like a pattern."""
    return is_local_path(address) and os.path.isfile(address)


def has_folder_outputs(settings: Settings) -> bool:
    """True if an output can hold any number of pictures, because it is a folder or contains {name}."""
    return any(_is_folder(path) for path in _output_paths(settings).values())


def convert_pictures(pictures: Sequence[str], settings: Settings) -> Iterator[ConvertedPicture]:
    """Converts pictures one by one, and yields the outcome of each; one that fails does not end the others.

    Outputs that are folders get a file for each picture, named after it; {name} in a path stands for that name.

    Raises:
        ConfigError: an output is one file for several pictures ("not-a-folder").
    """
    paths = _output_paths(settings)
    for path in paths.values():
        if not _is_folder(path):
            raise ConfigError(
                f"several pictures need a folder to write to, not the file '{path}'; or put {{name}} where the name of "
                f"each is to stand, such as '{path.with_name('{name}' + path.suffix)}'",
                code="not-a-folder",
            )
    names = unused_names([Path(picture).stem for picture in pictures])
    for picture, name in zip(pictures, names, strict=True):
        own = {
            setting: Path(str(path).replace(NAME_FIELD, name))
            if NAME_FIELD in str(path)
            else path / f"{name}{_FOLDER_SUFFIXES[setting]}"
            for setting, path in paths.items()
        }
        changed = settings.replace(output=own.get("video"), points=own.get("points"), mesh=own.get("mesh"))
        outputs = list(own.values())
        try:
            for path in outputs:
                make_folder(path.parent)
            item, notices = convert_picture(picture, changed)
        except StreamDepthError as error:
            yield ConvertedPicture(picture, outputs, None, error=error)
        else:
            yield ConvertedPicture(picture, outputs, item, notices)


def _output_paths(settings: Settings) -> dict[str, Path]:
    """Returns setting -> path of the outputs that are wanted."""
    outputs = settings.outputs
    wanted = {"video": outputs.video, "points": outputs.points, "mesh": outputs.mesh}
    return {setting: path for setting, path in wanted.items() if path is not None}


def _is_folder(path: Path) -> bool:
    return path.is_dir() or not path.suffix or NAME_FIELD in str(path)


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
    photo = read_photo(picture, settings)
    item = estimate_depth_frame(photo, shared_estimator(settings.model), settings)
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
    about_shape = geometry_notices(item) if any(kind for _, kind in outputs) else []
    return item, [*photo.notices(redact(picture)), *about_shape]


def _outputs(settings: Settings) -> list[tuple[Path, GeometryKind | None]]:
    """Returns each output's path with the kind of geometry; None for a picture. Raises ConfigError."""
    check_stereo_settings(settings)
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
        check_shows_style(outputs.video, settings)
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
