"""What the verbs of `streamdepth eval` that follow time look at: a video, or a set with its true depth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.interfaces import Source
    from streamdepth.core.types import StreamInfo

FARTHEST_M = 10.0
"""Truth beyond does not count, unless the user or the set says otherwise."""
USUAL_FPS = 30


def is_set(path: Path) -> bool:
    """Whether it is a folder with rgb/ and depth/."""
    return (path / "rgb").is_dir() and (path / "depth").is_dir()


def make_source(path: Path, settings: Settings) -> Source:
    """A fresh source of the pictures, not yet open."""
    from streamdepth import factory
    from streamdepth.evaluation.datasets import DepthDataset
    from streamdepth.sources.images import ImagesSource

    if is_set(path):
        return ImagesSource(path / "rgb", fps=DepthDataset(path).fps or USUAL_FPS)
    return factory.make_source(str(path), settings)


def check_repeatable(info: StreamInfo) -> None:
    """Raises ConfigError for a stream that cannot be read twice."""
    if info.is_live:
        raise ConfigError(f"'{info.name}' is live and cannot be read twice; record it first")
