"""The pictures of a training in a few small files, to carry to a machine with a GPU.

A pack is a folder of `part-*.zip`, each with pictures and codes of depth as WebP, `SET/NUMBER.webp` and
`SET/NUMBER.codes.webp`. Colors are compressed with a small loss; the codes are reduced to `BITS` bits.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.training.samples import DETAIL_WEIGHTS, NEAREST, Codes, Quality, Sample, make_sample

SHORT_SIDE = 240
"""px; larger pictures are reduced to it."""
BITS = 10
PART_BYTES = 36_000_000
"""Largest size of a part."""
_LEVELS = 2**BITS - 2
_LOSSLESS, _GOOD = 101, 80
_PARTS = "part-*.zip"
_OVERHEAD = 400
"""Bytes of a sample's names and headers."""


@dataclass(frozen=True, slots=True)
class _Packed:
    name: str
    picture: bytes
    codes: bytes


def write_pack(folder: Path, sets: Iterable[tuple[str, Sequence[Sample]]]) -> list[Path]:
    """Writes named sets of samples into `folder` and returns the paths of its parts. Raises SinkWriteError."""
    packed = (_pack(f"{name}/{i:05d}", sample) for name, samples in sets for i, sample in enumerate(samples))
    with map_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, samples in enumerate(_volumes(packed)):
        parts.append(folder / f"part-{number:02d}.zip")
        with atomic_write(parts[-1], overwrite=True) as temporary:
            _write_part(temporary, samples)
    return parts


def _write_part(path: Path, samples: Iterable[_Packed]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for sample in samples:
            archive.writestr(f"{sample.name}.webp", sample.picture)
            archive.writestr(f"{sample.name}.codes.webp", sample.codes)


def is_pack(folder: Path) -> bool:
    """Returns True if a folder holds parts of a pack."""
    return any(folder.glob(_PARTS))


def read_packed(folder: Path, name: str, quality: Quality) -> list[Sample]:
    """Returns the samples of one set in their order. Raises SourceOpenError, "damaged", for a broken part."""
    samples = []
    for path in sorted(folder.glob(_PARTS)):
        try:
            with zipfile.ZipFile(path) as archive:
                members = sorted(n for n in archive.namelist() if n.startswith(f"{name}/") and ".codes." not in n)
                for member in members:
                    codes = archive.read(member.removesuffix(".webp") + ".codes.webp")
                    samples.append(_unpack(archive.read(member), codes, DETAIL_WEIGHTS[quality]))
        except (OSError, KeyError, zipfile.BadZipFile, cv2.error) as error:
            raise SourceOpenError(f"'{path}' is no part of a pack, or damaged: {error}", code="damaged") from error
    return samples


def _volumes(packed: Iterable[_Packed]) -> Iterator[list[_Packed]]:
    """Yields the samples in groups of at most PART_BYTES."""
    group: list[_Packed] = []
    size = 0
    for sample in packed:
        added = len(sample.picture) + len(sample.codes) + _OVERHEAD
        if group and size + added > PART_BYTES:
            yield group
            group, size = [], 0
        group.append(sample)
        size += added
    if group:
        yield group


def _pack(name: str, sample: Sample) -> _Packed:
    height, width = sample.codes.shape
    factor = min(1.0, SHORT_SIDE / min(height, width))
    size = (round(width * factor), round(height * factor))
    image = np.asarray(cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    codes = cv2.resize(sample.codes, size, interpolation=cv2.INTER_NEAREST)
    return _Packed(name, _webp(image, _GOOD), _webp(_as_picture(np.asarray(codes, np.uint16)), _LOSSLESS))


def _unpack(picture: bytes, codes: bytes, detail_weight: float) -> Sample:
    image, levels = (np.asarray(_decoded(data), np.uint8) for data in (picture, codes))
    low, high = levels[..., 0].astype(np.int64), levels[..., 1].astype(np.int64)
    return make_sample(np.ascontiguousarray(image), _codes(low + 256 * high), detail_weight)


def _as_picture(codes: Codes) -> Image:
    """Returns (H, W, 3): 0 stays 0, the others become 1 to 2^BITS - 1, low and high bytes in two channels."""
    levels = np.where(codes > 0, 1 + np.rint((codes.astype(np.int64) - 1) * _LEVELS / (NEAREST - 1)), 0).astype(int)
    return np.stack([levels % 256, levels // 256, 0 * levels], -1).astype(np.uint8)


def _codes(levels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Codes:
    return np.where(levels > 0, 1 + np.rint((levels - 1) * ((NEAREST - 1) / _LEVELS)), 0).astype(np.uint16)


def _webp(image: Image, quality: int) -> bytes:
    return bytes(cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1])


def _decoded(data: bytes) -> Image:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise cv2.error("a picture cannot be decoded")
    return np.asarray(found[..., ::-1], np.uint8)
