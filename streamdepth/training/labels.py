"""What a teacher sees in a user's own videos, written as a data set for a student to learn from.

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
"""PNG value of what is infinitely far."""
SCALE = 1000
"""PNG values per metre, and for relative depth per distance of the nearest pixel."""
LONG_SIDE = 640
"""px that pictures are reduced to; the student never sees more."""


def write_labels(
    source: Source,
    teacher: Estimator,
    folder: Path,
    *,
    every_seconds: float,
    most: int,
    tell: Callable[[int], None] = lambda _: None,
) -> int:
    """Writes a picture and the teacher's depth every `every_seconds` of the source's time, `most` at most.

    `folder` becomes a data set (see `evaluation.datasets`); what is there already is kept, so that a stopped run goes
    on. Returns how many pictures it holds; `tell` hears the number as it grows. Raises SourceError, EstimatorError,
    ConfigError when the folder holds labels of another teacher or source, and SinkWriteError when it cannot be written.
    """
    info = source.open()
    try:
        _claim(folder, _facts(teacher.info, info.name))
        count, due = 0, -np.inf
        while count < most and (frame := source.read()) is not None:
            if frame.time > due - 1e-6:  # sums of floats
                due = frame.time + every_seconds
                _label(frame, teacher, folder)
                count += 1
                tell(count)
    finally:
        source.close()
    return count


def _claim(folder: Path, facts: dict[str, object]) -> None:
    path = folder / "index.json"
    try:
        known = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else facts
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"cannot read '{path}': {error}; name another folder or remove it") from error
    if known != facts:
        other = ", ".join(f"{n} {known.get(n)!r}" for n in facts | known if known.get(n) != facts.get(n))
        raise ConfigError(f"'{folder}' holds labels of something else ({other}); name another folder or remove it")
    write_file(path, json.dumps(facts, indent=1).encode())


def _label(frame: Frame, teacher: Estimator, folder: Path) -> None:
    picture, depth = (folder / part / f"{frame.index:07d}{end}" for part, end in (("rgb", ".jpg"), ("depth", ".png")))
    if picture.exists() and depth.exists():
        return
    estimate = teacher.estimate([frame])[0].depth
    image = _reduced(frame.image)
    write_file(picture, _encoded(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95]))
    write_file(depth, _encoded(".png", codes(estimate, teacher.info.kind), []))


def codes(depth: DepthMap, kind: DepthKind) -> npt.NDArray[np.uint16]:
    """(h, w): the values of a data set's PNG, 0 = unknown.

    Metric depth is kept in millimetres; from 65.535 m on it is infinitely far. Relative inverse depth has no unit: its
    farthest pixel becomes infinitely far, its nearest lies at distance 1, and the others between as their inverse depth
    does.
    """
    distance = depth if kind is DepthKind.METRIC else _distance(depth)
    with np.errstate(invalid="ignore"):
        values = np.clip(np.round(distance * SCALE), 1, INFINITY)
    return np.where(distance > 0, values, 0).astype(np.uint16)


def _distance(inverse: DepthMap) -> DepthMap:
    known = inverse[np.isfinite(inverse)]
    if not known.size:
        return inverse
    farthest, nearest = known.min(), known.max()
    with np.errstate(divide="ignore"):
        return np.asarray((nearest - farthest) / (inverse - farthest) if nearest > farthest else 1 + 0 * inverse)


def _facts(teacher: ModelInfo, source: str) -> dict[str, object]:
    unit = "m" if teacher.kind is DepthKind.METRIC else "none: relative depth, the nearest pixel is 1"
    labels = {"source": source, "teacher": teacher.name, "license": teacher.license}
    return {"depth_scale": SCALE, "infinity": INFINITY, "unit": unit, **labels}


def _reduced(image: Image) -> Image:
    height, width = image.shape[:2]
    factor = LONG_SIDE / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(suffix: str, picture: npt.NDArray[Any], options: list[int]) -> bytes:
    return bytes(cv2.imencode(suffix, picture, options)[1])
