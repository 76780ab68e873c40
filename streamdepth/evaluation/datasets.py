"""Datasets of pictures with measured or exact depth, read from folders.

A dataset is a folder with `rgb/*` and `depth/*.png` of the same stems. `index.json`, in the folder or beside it, says
what the numbers mean; in the folder itself the name may be left out:

    {"NAME": {"depth_scale": 1000, "infinity": 65535, "crop": "none", "max_depth": 80}}

Meters = PNG value / depth_scale, 0 = unknown. The other keys are optional: `infinity` is the value of pixels that are
infinitely far, such as sky; `crop` and `max_depth` (meters) are the set's usual protocol; `fps` is the rate of
consecutive pictures, and `frames`, their number, says without a rate that they are consecutive; `domain` is a name that
several sets of one kind share. A video may have its camera's poses beside it, see `steadiness.inputs.read_camera`. With
`"kind": "inverse"` the values are disparity or inverse depth, value / depth_scale in 1/m; with `"affine": true` they
are so only up to scale and shift, and meters read from them mean nothing but their order.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.images import PICTURE_SUFFIXES
from streamdepth.sources.picture_file import read_picture, read_picture_file

SKY = 65535
"""PNG value of sky in sets whose index.json says `scale` instead of `depth_scale`."""
_GRAY_MODES = ("L", "I", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True, slots=True)
class ImageDepthPair:
    """One picture with its depth."""

    name: str
    image: Image
    """(H, W, 3) uint8 RGB."""
    depth: DepthMap
    """(h, w) float32 meters, NaN = unknown, inf = infinitely far; may be of another size than the picture."""


class DepthDataset:
    """A dataset in a folder; its files are listed and checked at once, and its pictures read later.

    Args:
        folder: has the folders rgb and depth.
        depth_scale: PNG values per meter, in place of index.json's.

    Raises:
        SourceOpenError: no such folders ("not-found"), no pictures ("empty"), pictures and depth of different names
            ("unpaired"), or an index.json that cannot be used ("bad-index").
    """

    def __init__(self, folder: Path, *, depth_scale: float | None = None) -> None:
        self.folder, self.name = folder, Path(os.path.realpath(folder)).name
        self._rgb, self._depth = _list_pictures(folder, "rgb"), _list_pictures(folder, "depth")
        _check_stems(folder, set(self._rgb), set(self._depth))
        entry = _read_index(folder, is_needed=depth_scale is None)
        if depth_scale is not None:
            entry = {**entry, "depth_scale": depth_scale}
        self.depth_scale = _number(folder, entry, "depth_scale") or 0.0
        self.infinity = _number(folder, entry, "infinity")
        self.is_inverse, self.is_affine = entry.get("kind") == "inverse", bool(entry.get("affine"))
        self.max_depth_m = _number(folder, entry, "max_depth")
        self.fps = _number(folder, entry, "fps")
        self.is_video = "fps" in entry or "frames" in entry
        """True if its pictures are consecutive frames."""
        self.crop = str(entry.get("crop", "none"))
        self.domain = str(entry.get("domain", self.name))

    def __len__(self) -> int:
        return len(self._rgb)

    def names(self, *, every: int = 1, limit: int | None = None) -> list[str]:
        """Returns the stems of every `every`th pair, at most `limit` of them, in order."""
        return list(self._rgb)[::every][:limit]

    def pairs(self, names: Iterable[str] | None = None, *, border: int = 0) -> Iterator[ImageDepthPair]:
        """Yields the named pairs, or all; `border` px are cut off on each side.

        Raises SourceOpenError, "undecodable", or "not-depth" for depth that is no gray PNG.
        """
        inside = (slice(border, -border or None),) * 2
        for name in self._rgb if names is None else names:
            image = np.ascontiguousarray(read_picture(self._rgb[name])[inside])
            yield ImageDepthPair(name, image, self._read_meters(self._depth[name])[inside])

    def _read_meters(self, path: Path) -> DepthMap:
        values = _read_gray(path)
        known = np.where(values > 0, values / np.float32(self.depth_scale), np.float32(np.nan)).astype(np.float32)
        depth = np.reciprocal(known) if self.is_inverse else known
        if self.infinity is not None:
            depth[values == self.infinity] = np.inf
        return depth


def find_datasets(folder: Path) -> list[Path]:
    """Returns the datasets in `folder` by name, or the folder itself if it is one.

    Raises SourceOpenError, "not-found", without any.
    """
    if (folder / "rgb").is_dir():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/rgb") if path.is_dir())
    if not found:
        raise SourceOpenError(f"there are no datasets in '{folder}': folders with rgb/ and depth/", code="not-found")
    return found


def _list_pictures(folder: Path, part: str) -> dict[str, Path]:
    """Returns stem -> path of all pictures, in the order of names."""
    try:
        found = sorted(p for p in (folder / part).iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        is_folder = os.path.isdir(folder)
        inner = sorted(path.parent.name for path in folder.glob("*/rgb")) if is_folder else []
        hint = (
            f"; it holds datasets: give {folder / inner[0]}" if inner else ", with pictures of the same names in both"
        )
        raise SourceOpenError(
            f"'{folder}' is no dataset: it needs the folders rgb and depth{hint}", code="not-found"
        ) from error
    if not found:
        raise SourceOpenError(f"there are no pictures in '{folder / part}'", code="empty")
    return {path.stem: path for path in found}


def _check_stems(folder: Path, pictures: set[str], depths: set[str]) -> None:
    if alone := sorted(pictures ^ depths):
        having, missing = ("rgb", "depth") if alone[0] in pictures else ("depth", "rgb")
        raise SourceOpenError(
            f"{len(alone)} names in '{folder}' have no partner, such as '{having}/{alone[0]}' without "
            f"'{missing}/{alone[0]}.png'; a picture and its depth have the same name but for the ending",
            code="unpaired",
        )


def _read_index(folder: Path, *, is_needed: bool) -> dict[str, Any]:
    """Returns the dataset's entry of index.json, in its folder or beside it."""
    resolved = Path(os.path.realpath(folder))
    name = resolved.name
    for path in (folder / "index.json", resolved.parent / "index.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise SourceOpenError(f"cannot read '{path}': {error}", code="bad-index") from error
        inner = content.get(name) if isinstance(content, dict) else None
        entry = inner if isinstance(inner, dict) else content
        if isinstance(entry, dict) and ("depth_scale" in entry or not is_needed):
            return entry
        if isinstance(entry, dict) and "scale" in entry:
            return {"infinity": SKY, "depth_scale": entry["scale"]} | entry
    if is_needed:
        raise SourceOpenError(
            f"no index.json in '{folder}' or beside it tells the depth_scale of '{name}' (meters = PNG value / "
            f'depth_scale): write {{"{name}": {{"depth_scale": 1000}}}} there, or give --depth-scale 1000',
            code="bad-index",
        )
    return {}


def _number(folder: Path, entry: dict[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None or (isinstance(value, (int, float)) and 0 < value < math.inf):
        return value
    raise SourceOpenError(
        f"{key} of '{folder}' must be a number above 0, not {value!r}; correct its index.json", code="bad-index"
    )


def _read_gray(path: Path) -> npt.NDArray[np.float32]:
    picture = read_picture_file(path)
    if picture.mode not in _GRAY_MODES:
        raise SourceOpenError(
            f"'{path}' is no depth: an 8-bit or 16-bit gray PNG is needed, not {picture.mode}", code="not-depth"
        )
    return np.asarray(picture, np.float32)
