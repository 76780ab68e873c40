"""The parameters of the ROS 2 node, and the settings that they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamdepth import config
from streamdepth.config import Settings

PARAMETERS: dict[str, Any] = {
    "config_file": "",
    "settings": [""],
    "model": "nano",
    "device": "auto",
    "smooth": "light",
    "transport": "raw",
    "is_rectified": False,
    "reliability": "best_effort",
    "camera_info_wait_seconds": 2.0,
    "fov": math.nan,
    "camera_height": "",
    "camera_pitch": math.nan,
    "anchors": [""],
    "frame_id": "",
    "encoding": "32FC1",
    "points": True,
    "scan": True,
    "floor": False,
    "obstacle_heights": [-0.1, 0.1],
    "max_distance": 10.0,
    "sectors": 5,
}
"""Name of each parameter -> its default. NaN and "" stand for a value that is not given."""
_KEYWORDS = {
    **{name: name for name in ("model", "device", "smooth", "fov", "camera_height", "camera_pitch")},
    "anchors": "anchor",
    **{name: f"robot_{name}" for name in ("frame_id", "encoding", "points", "scan", "floor")},
    **{name: f"robot_{name}" for name in ("obstacle_heights", "max_distance", "sectors")},
}
"""Name of a parameter -> the keyword of its setting."""


def settings_from_parameters(parameters: Mapping[str, Any]) -> Settings:
    """Returns the settings of a node: those of its `config_file`, then of `settings`, then of the other parameters.

    A parameter that has its default changes nothing that the file says. Raises ConfigError as `config.load` does.
    """
    path, given = str(parameters["config_file"]), dict[str, Any]()
    for name, keyword in _KEYWORDS.items():
        value, default = parameters[name], PARAMETERS[name]
        value = [part for part in value if part != ""] if isinstance(value, (list, tuple)) else value
        is_missing = value in ("", []) or (isinstance(value, float) and math.isnan(value))
        if is_missing or (path and value == default):
            continue
        given[keyword] = tuple(value) if isinstance(value, list) else value
    assignments = [text for text in parameters["settings"] if text]
    settings = config.load(Path(path) if path else None, assignments, given)
    return settings.replace(robot_namespace="")
