"""A look at the system for a GPU that torch might use, which is a second faster than asking torch."""

from __future__ import annotations

import ctypes.util
import sys
from pathlib import Path

_LINUX_SIGNS = (
    "/dev/nvidia*",
    "/proc/driver/nvidia/version",  # the driver is loaded, and its devices are made at their first use
    "/dev/nvhost-gpu",  # NVIDIA's Jetson
    "/dev/nvgpu",
    "/dev/dxg",  # the Windows Subsystem for Linux
    "/dev/kfd",  # AMD
)
_WINDOWS_DRIVERS = ("nvcuda", "amdhip64")


def may_have_gpu(root: Path = Path("/")) -> bool:
    """Returns False only if torch would find no GPU here; where the system shows signs of one, torch has to be asked.

    root: the folder below which the signs of Linux are looked for.
    """
    if sys.platform == "darwin":
        return True
    if sys.platform == "win32":
        return any(ctypes.util.find_library(name) for name in _WINDOWS_DRIVERS)
    return any(next(root.glob(sign.lstrip("/")), None) is not None for sign in _LINUX_SIGNS)
