"""One picture in, one depth picture out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from PIL import Image

from streamdepth.api import Depth, estimate_pixels, read_photo
from streamdepth.config import Settings
from streamdepth.render import check_look, render
from streamdepth.sinks.images import check_picture, write_depth_picture
from streamdepth.sinks.output import check_output, complete_file
from streamdepth.types import DepthFrame, Frame
from streamdepth.types import Image as Pixels

LOOKS = (".jpg", ".jpeg", ".webp")
"""Endings of pictures to look at; all others keep the depth itself."""


def convert_picture(picture: str, output: Path, settings: Settings) -> Depth:
    """Writes the depth of `picture` to `output`: 16-bit PNG, EXR, NPZ, or colours for .jpg and .webp.

    Raises SourceError, EstimatorError, ConfigError or SinkError.
    """
    is_look = output.suffix.lower() in LOOKS
    check_look(settings.style, settings.colormap, settings.video.alpha)
    check_output(output, overwrite=settings.overwrite, origin=Path(picture))
    if not is_look:
        check_picture(output)
    pixels, camera = read_photo(picture, settings)
    result = estimate_pixels(pixels, settings, camera)
    if is_look:
        _write_look(output, pixels, result, settings)
    else:
        facts = {"model": settings.model}
        write_depth_picture(output, result.predicted_depth, result.kind, overwrite=settings.overwrite, text=facts)
    return result


def _write_look(output: Path, pixels: Pixels, result: Depth, settings: Settings) -> None:
    item = DepthFrame(Frame(pixels, 0, 0, Fraction(1), 0.0), result.predicted_depth, result.kind)
    video = settings.video
    look = render(item, style=settings.style, colormap=settings.colormap, alpha=video.alpha, bar=video.legend)
    with complete_file(output, overwrite=settings.overwrite) as temporary:
        Image.fromarray(look).save(temporary, quality=92)
