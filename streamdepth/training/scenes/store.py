"""The files of a rendered data set: `NAME/rgb/*.jpg`, `NAME/depth/*.png`, and `index.json` beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import SinkOpenError, SinkWriteError

DEPTH_SCALE = 500
INFINITY = 65535
"""The value of the sky and of everything beyond `FARTHEST_M`."""
FARTHEST_M = 131.0
QUALITY = 90


def encode_depth(metres: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """(H, W) metres, +inf allowed -> PNG values: metres * 500, at least 1; 65535 is infinitely far."""
    values = np.where(metres < FARTHEST_M, np.clip(np.rint(metres * DEPTH_SCALE), 1, INFINITY - 1), INFINITY)
    return np.asarray(values, np.uint16)


def decode_depth(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The metres of `encode_depth`; NaN where the value is 0."""
    metres = np.where(values == INFINITY, np.inf, values / np.float32(DEPTH_SCALE))
    return np.where(values == 0, np.nan, metres).astype(np.float32)


class Store:
    """One data set in the folder `root`."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        try:
            for folder in ("rgb", "depth"):
                (root / name / folder).mkdir(parents=True, exist_ok=True)
            register(root, name)
        except OSError as error:
            raise SinkOpenError(f"cannot write into the folder '{root}': {error}; choose another with --out") from error

    def has(self, stem: str) -> bool:
        return self._color(stem).exists()

    def write(self, stem: str, color: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]) -> None:
        """`colour` (H, W, 3) RGB, `depth` (H, W) metres. The picture comes last: where it is, its depth is."""
        depth_path = self.root / self.name / "depth" / f"{stem}.png"
        _write(depth_path, _encoded(".png", encode_depth(depth), []))
        bgr = np.ascontiguousarray(color[..., ::-1])
        _write(self._color(stem), _encoded(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]))

    def _color(self, stem: str) -> Path:
        return self.root / self.name / "rgb" / f"{stem}.jpg"


def register(root: Path, name: str) -> None:
    """Adds the set to `index.json`; other sets' entries stay. Raises SinkOpenError where the file is no JSON object."""
    path = root / "index.json"
    try:
        index = json.loads(path.read_text()) if path.exists() else {}
        index[name] = {"depth_scale": DEPTH_SCALE, "infinity": INFINITY, "unit": "m"}
    except (ValueError, TypeError) as error:
        raise SinkOpenError(f"'{path}' is no index of data sets ({error}); mend or remove it") from error
    _write(path, (json.dumps(index, indent=1) + "\n").encode())


def _encoded(kind: str, picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise SinkWriteError(f"OpenCV cannot encode a {picture.shape} picture as {kind}")
    return data.tobytes()


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SinkWriteError(
            f"cannot write '{path}': {error}; free some space, then run the same command again"
        ) from error
