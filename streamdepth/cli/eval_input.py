"""Inputs of the verbs that evaluate videos: a video, or a dataset with its true depth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.interfaces import Source
    from streamdepth.core.types import StreamInfo

FARTHEST_M = 10.0
"""True depth beyond is ignored, unless the user or the dataset says otherwise."""
USUAL_FPS = 30


def is_dataset_folder(path: Path) -> bool:
    """True if `path` is a folder with rgb/ and depth/."""
    return os.path.isdir(path / "rgb") and os.path.isdir(path / "depth")


def make_source(path: Path, settings: Settings) -> Source:
    """Returns a source of the pictures that is not open yet."""
    from streamdepth import factory
    from streamdepth.evaluation.datasets import DepthDataset
    from streamdepth.sources.images import ImagesSource

    if is_dataset_folder(path):
        return ImagesSource(path / "rgb", fps=DepthDataset(path).fps or USUAL_FPS)
    return factory.make_source(str(path), settings)


def check_repeatable(info: StreamInfo) -> None:
    """Raises ConfigError for a stream that cannot be read twice."""
    if info.is_live:
        raise ConfigError(f"'{info.name}' is live and cannot be read twice; record it first", code="live-source")
