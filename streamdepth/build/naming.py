"""What the outputs of several sources are called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from streamdepth.config import Settings
from streamdepth.errors import ConfigError

DEPTH_PICTURES = (".png", ".exr", ".npz")
"""How the names of pictures end that hold depth."""


def named(settings: Settings) -> list[tuple[str, str | None]]:
    """Each source with the stem of its outputs: None for a single source, whose outputs are named in full."""
    if len(settings.source) == 1:
        return [(settings.source[0], None)]
    for path in (settings.output, settings.depth_out, settings.points, settings.mesh):
        if path and path.suffix:
            raise ConfigError(f"{len(settings.source)} sources need a folder to write to, not the file '{path}'")
    return list(zip(settings.source, stems(settings.source), strict=True))


def stems(addresses: Sequence[str]) -> list[str]:
    """A file name's stem for each address, no two the same."""
    found: list[str] = []
    for address in addresses:
        stem = "stream" if "://" in address else re.sub(r"\W+", "_", Path(address).stem).strip("_") or "stream"
        numbered = (stem if n == 1 else f"{stem}_{n}" for n in itertools.count(1))
        found.append(next(name for name in numbered if name not in found))
    return found
