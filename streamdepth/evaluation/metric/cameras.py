"""The camera of a dataset."""

from __future__ import annotations

import json
from pathlib import Path

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.intrinsics import Intrinsics


def dataset_camera(folder: Path) -> Intrinsics | None:
    """Returns the camera of `camera.json` in a dataset's folder; None without that file.

    It has {"width", "height", "fx", "fy", "cx", "cy"} in px. Raises SourceOpenError, "bad-camera", for other content.
    """
    path = folder / "camera.json"
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text())
        return Intrinsics(**{name: facts[name] for name in ("fx", "fy", "cx", "cy", "width", "height")})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceOpenError(
            f"'{path}' cannot be used ({error}); needed are width, height, fx, fy, cx and cy in px", code="bad-camera"
        ) from error
