"""Labels for distillation: a teacher's depth of a user's own videos, written as a dataset for a student.

Hinton et al., "Distilling the Knowledge in a Neural Network" (2015); for depth, Yang et al., "Depth Anything"
(CVPR 2024), where a large model's labels of plain footage teach the small one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.types import DepthKind, Frame, ModelInfo
from streamdepth.training.files import write_file

INFINITY = 65535
"""PNG value of infinitely far pixels."""
DEPTH_SCALE = 1000
"""PNG values per meter; for relative depth per distance of the nearest pixel."""
MAX_SIDE_PX = 640
"""Longer side to which pictures are reduced; the student is trained on no larger ones."""


def write_labels(
    source: Source,
    teacher: Estimator,
    folder: Path,
    *,
    every_seconds: float,
    max_pictures: int,
    on_picture: Callable[[int], None] = lambda _: None,
) -> int:
    """Writes pictures of a source with the teacher's depth; returns the number of pictures in the folder.

    Args:
        source: the video; it is opened and closed.
        teacher: the model whose depth is written.
        folder: becomes a dataset (see `evaluation.datasets`). Pictures that are there already are kept, so that a
            stopped run goes on.
        every_seconds: interval between two pictures in the source's time.
        max_pictures: at most so many pictures are written.
        on_picture: called with the number of pictures so far.

    Raises:
        ConfigError: the folder has labels of another teacher or source (code "other-labels"), or its index cannot be
            read ("unreadable").
        SourceError, EstimatorError: as the source and the teacher raise them.
        SinkWriteError: the folder cannot be written.
    """
    info = source.open()
    try:
        facts = _index(teacher.info, info.name)
        check_origin(folder, facts)
        write_index(folder, facts)
        count, due = 0, -np.inf
        while count < max_pictures and (frame := source.read()) is not None:
            if frame.time > due - 1e-6:  # sums of floats
                due = frame.time + every_seconds
                _write_label(frame, teacher, folder)
                count += 1
                on_picture(count)
    finally:
        source.close()
    return count


def check_origin(folder: Path, facts: dict[str, object]) -> None:
    """Raises ConfigError unless a folder is free for labels with these facts.

    It has labels of something else (code "other-labels"), or an index that cannot be read ("unreadable").
    """
    path = folder / "index.json"
    try:
        known = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else facts
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"cannot read '{path}': {error}; name another folder or remove it", code="unreadable"
        ) from error
    if known != facts:
        other = ", ".join(f"{n} {known.get(n)!r}" for n in facts | known if known.get(n) != facts.get(n))
        raise ConfigError(
            f"'{folder}' holds labels of something else ({other}); name another folder or remove it",
            code="other-labels",
        )


def write_index(folder: Path, facts: dict[str, object]) -> None:
    """Writes the facts of a dataset."""
    write_file(folder / "index.json", json.dumps(facts, indent=1).encode())


def _write_label(frame: Frame, teacher: Estimator, folder: Path) -> None:
    picture, depth = (folder / part / f"{frame.index:07d}{end}" for part, end in (("rgb", ".jpg"), ("depth", ".png")))
    if picture.exists() and depth.exists():
        return
    values = encode_depth(teacher.estimate([frame])[0].depth, teacher.info.kind)
    write_pair(folder, picture.stem, downscaled(frame.image), values)


def encode_depth(depth: DepthMap, kind: DepthKind) -> npt.NDArray[np.uint16]:
    """Returns the (h, w) values of a dataset's PNG, 0 = unknown.

    Metric depth is stored in millimeters; from 65.535 m on it is infinitely far. Relative inverse depth has no unit:
    its farthest pixel becomes infinitely far, its nearest has the distance 1, and the others lie between them in
    proportion to their inverse depth.
    """
    distance = depth if kind is DepthKind.METRIC else _distance(depth)
    with np.errstate(invalid="ignore"):
        values = np.clip(np.round(distance * DEPTH_SCALE), 1, INFINITY)
    return np.where(distance > 0, values, 0).astype(np.uint16)


def _distance(inverse: DepthMap) -> DepthMap:
    known = inverse[np.isfinite(inverse)]
    if not known.size:
        return inverse
    farthest, nearest = known.min(), known.max()
    with np.errstate(divide="ignore"):
        return np.asarray((nearest - farthest) / (inverse - farthest) if nearest > farthest else 1 + 0 * inverse)


def _index(teacher: ModelInfo, source: str) -> dict[str, object]:
    unit = "m" if teacher.kind is DepthKind.METRIC else "none: relative depth, the nearest pixel is 1"
    labels = {"source": source, "teacher": teacher.name, "license": teacher.license}
    return {"depth_scale": DEPTH_SCALE, "infinity": INFINITY, "unit": unit, **labels}


def downscaled(image: Image) -> Image:
    """Returns the (H, W, 3) picture reduced to MAX_SIDE_PX on its longer side; smaller ones stay as they are."""
    height, width = image.shape[:2]
    factor = MAX_SIDE_PX / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_pair(folder: Path, name: str, image: Image, values: npt.NDArray[np.uint16]) -> None:
    """Writes an (H, W, 3) RGB picture and the (h, w) values of its depth as a pair of a dataset."""
    picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    write_file(folder / "rgb" / f"{name}.jpg", _encode_image(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95]))
    write_file(folder / "depth" / f"{name}.png", _encode_image(".png", values, []))


def _encode_image(suffix: str, picture: npt.NDArray[Any], options: list[int]) -> bytes:
    return bytes(cv2.imencode(suffix, picture, options)[1])
