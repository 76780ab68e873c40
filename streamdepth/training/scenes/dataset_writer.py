"""The files of a rendered dataset: `NAME/rgb/*.jpg`, `NAME/depth/*.png`, and `index.json` beside them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.training.files import write_file

DEPTH_SCALE = 500
INFINITY = 65535
"""PNG value of the sky and of everything beyond FARTHEST_M."""
FARTHEST_M = 131.0
QUALITY = 90


def encode_depth(meters: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Converts (H, W) meters, +inf allowed, to PNG values: meters * 500, at least 1; 65535 is infinitely far."""
    values = np.where(meters < FARTHEST_M, np.clip(np.rint(meters * DEPTH_SCALE), 1, INFINITY - 1), INFINITY)
    return np.asarray(values, np.uint16)


def decode_depth(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Converts the values of `encode_depth` to meters; NaN where the value is 0."""
    meters = np.where(values == INFINITY, np.inf, values / np.float32(DEPTH_SCALE))
    return np.where(values == 0, np.nan, meters).astype(np.float32)


class DatasetWriter:
    """A writer of one dataset in the folder `root`. Raises SinkOpenError where nothing can be written."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        try:
            for folder in ("rgb", "depth"):
                (root / name / folder).mkdir(parents=True, exist_ok=True)
            register_dataset(root, name)
        except OSError as error:
            raise SinkOpenError(f"cannot write into the folder '{root}': {error}; choose another with --out") from error

    def has(self, picture_stem: str) -> bool:
        """Returns True if the picture exists already."""
        return self._color(picture_stem).exists()

    def write(self, picture_stem: str, color: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]) -> None:
        """Writes a picture, (H, W, 3) RGB, after its depth, (H, W) meters, so that no picture lacks depth."""
        depth_path = self.root / self.name / "depth" / f"{picture_stem}.png"
        write_file(depth_path, _encoded(".png", encode_depth(depth), []))
        bgr = np.ascontiguousarray(color[..., ::-1])
        write_file(self._color(picture_stem), _encoded(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]))

    def _color(self, picture_stem: str) -> Path:
        return self.root / self.name / "rgb" / f"{picture_stem}.jpg"


def register_dataset(root: Path, name: str) -> None:
    """Adds the dataset to `index.json` and keeps other datasets' entries.

    Raises SinkOpenError, code "bad-index", where the file is no JSON object.
    """
    path = root / "index.json"
    try:
        index = json.loads(path.read_text()) if path.exists() else {}
        index[name] = {"depth_scale": DEPTH_SCALE, "infinity": INFINITY, "unit": "m"}
    except (ValueError, TypeError) as error:
        raise SinkOpenError(
            f"'{path}' is no index of datasets ({error}); correct or remove it", code="bad-index"
        ) from error
    write_file(path, (json.dumps(index, indent=1) + "\n").encode())


def _encoded(kind: str, picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise SinkWriteError(f"OpenCV cannot encode a {picture.shape} picture as {kind}")
    return data.tobytes()
