"""Speeds of models on this machine, stored beside the converted networks."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import platform
import secrets

from streamdepth.utils.cache import cache_folder, make_cache_subfolder
from streamdepth.utils.cpu import usable_cores

_log = logging.getLogger(__name__)

_FOLDER, _FILE = "speeds", "frames_per_second.json"


def record_speed(model: str, frames_per_second: float) -> None:
    """Stores the speed of a model's network at its own size, if it is the fastest that was measured here.

    A slower one was measured beside other programs, or on a slower engine. A cache that cannot be written is not an
    error.
    """
    speeds = known_speeds()
    if not (math.isfinite(frames_per_second) and frames_per_second > speeds.get(model, 0)):
        return
    speeds[model] = round(frames_per_second, 3)
    try:
        folder = make_cache_subfolder(_FOLDER)
        new = folder / f".{_FILE}-{secrets.token_hex(4)}"
        try:
            new.write_text(json.dumps({"machine": _machine(), "speeds": speeds}), encoding="utf-8")
            os.replace(new, folder / _FILE)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        _log.debug("the speed of %s is not kept: %s", model, error)


def known_speeds() -> dict[str, float]:
    """Returns model -> frames per second, of the models that have run on this machine."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads((cache_folder() / _FOLDER / _FILE).read_text(encoding="utf-8"))
        if kept["machine"] == _machine():
            return {str(name): float(speed) for name, speed in kept["speeds"].items()}
    return {}


def _machine() -> str:
    """Returns a text that identifies the kind of machine, because home folders can be shared by several."""
    return f"{platform.node()} {platform.machine()} {usable_cores()}"
