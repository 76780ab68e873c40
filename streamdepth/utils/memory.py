"""The memory of this machine."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container (cgroup v2): bytes, or the word max."""


def machine_memory_bytes() -> float:
    """Returns the bytes of memory that this machine, or this container, has; inf where the system does not tell it."""
    found = math.inf
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found = float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ValueError, OSError):
        found = min(found, float(_CONTAINER_LIMIT.read_text()))
    return found
