"""One picture in, one depth picture out."""

from __future__ import annotations

from pathlib import Path

from streamdepth.api import Depth, estimate
from streamdepth.config import Settings
from streamdepth.render import check_colormap
from streamdepth.sinks.images import check_picture
from streamdepth.sinks.output import PendingFile

LOOKS = (".jpg", ".jpeg", ".webp")
"""Endings of pictures to look at; all others keep the depth itself."""


def convert_picture(picture: str, output: Path, settings: Settings) -> Depth:
    """Writes the depth of `picture` to `output`: 16-bit PNG, EXR, NPZ, or colours for .jpg and .webp.

    Raises SourceError, EstimatorError, ConfigError or SinkError.
    """
    check_colormap(settings.colormap)
    is_look = output.suffix.lower() in LOOKS
    if not is_look:
        check_picture(output)
    pending = PendingFile(output, overwrite=settings.overwrite)
    chosen = settings.model_dump(include={"model", "size", "engine", "device", "precision", "max_side"})
    chosen.update(settings.model_dump(include={"accept_license", "allow_pickle"}))
    result = estimate(picture, **chosen)
    return result
