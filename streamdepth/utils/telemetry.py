"""Switches off usage statistics that packages used by streamdepth would send to their makers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ALLOW_VARIABLE = "STREAMDEPTH_ALLOW_TELEMETRY"
"""Environment variable that keeps the packages' own defaults for statistics, if it is 1."""

OPT_OUT_VARIABLES = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and transformers through it
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, which would also keep an id of this machine in the home folder
    "RAY_USAGE_STATS_ENABLED": "0",
    "TELEMETRY_ENABLED": "false",  # the traces of Rerun's package
}
"""Environment variable -> value that switches off a package's statistics or its search for updates."""

_STATISTICS_PACKAGES = ("openvino_telemetry",)
"""Packages that only send statistics and have no such variable; OpenVINO and nncf work without them."""


def disable_telemetry() -> None:
    """Switches off the statistics of all packages, in this process and in those that it starts.

    It is called when streamdepth is imported, because most packages read their variables at their own import. A
    variable that the user has set keeps its value, and STREAMDEPTH_ALLOW_TELEMETRY=1 changes nothing at all.
    """
    if telemetry_is_allowed():
        return
    for name, value in OPT_OUT_VARIABLES.items():
        os.environ.setdefault(name, value)
    for name in _STATISTICS_PACKAGES:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python takes None for "not installed"


@contextmanager
def without_rerun_analytics() -> Iterator[None]:
    """Starts processes of Rerun's viewer so that they send no statistics and keep no id in the home folder.

    The viewer has no variable for it, and sends nothing on a machine for continuous integration: CI=true says so to
    the processes that are started meanwhile.
    """
    if telemetry_is_allowed() or "CI" in os.environ:
        yield
        return
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        del os.environ["CI"]


def telemetry_is_allowed() -> bool:
    """True if the user wants the packages' own defaults for statistics."""
    return os.environ.get(ALLOW_VARIABLE) == "1"
