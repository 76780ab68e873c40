"""Datasets for tests: folders of pictures with depth, as `streamdepth.evaluation.datasets` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamdepth.testing import SyntheticSource


def write_pairs(root: Path, name: str, count: int = 4, width: int = 96, height: int = 72, **facts: Any) -> Path:
    """Writes the synthetic scene in millimeters, its first row unknown, and `facts` as index.json."""
    source = SyntheticSource(count=count, width=width, height=height)
    for folder in ("rgb", "depth"):
        (root / name / folder).mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(root / name / "rgb" / f"{i:04d}.jpg"), source.image_at(i)[..., ::-1])
        millimeters = (source.depth_at(i) * 1000).astype(np.uint16)
        millimeters[0] = 0
        cv2.imwrite(str(root / name / "depth" / f"{i:04d}.png"), millimeters)
    (root / "index.json").write_text(json.dumps({name: {"depth_scale": 1000} | facts}))
    return root / name
