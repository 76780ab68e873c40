"""A cluster of Ray: joining it or starting one here, and where on it models can be held."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, MissingDependencyError
from streamdepth.utils.redact import redact

_MOST_CORES = 4
"""Of a CPU for one model: more gain little, and fewer workers decode, smooth and encode beside it."""
_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_worker_niceness": "0"}
"""What Ray reads when it is imported and started: it sends no statistics, gives no advice on its future, and works as
willingly as a run without it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one model: a GPU, or some cores of a CPU."""

    node: str
    cores: int
    """How many; 0 beside a GPU, where nothing needs them for itself."""
    number: int
    """Among the places of its node."""
    has_gpu: bool = False


def import_ray() -> Any:
    """Raises MissingDependencyError."""
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "cluster", "--cluster") from error
    return ray


@contextmanager
def joined(address: str) -> Iterator[None]:
    """As a member of the cluster at `address`, left at the end; `auto`: the one that runs here, or a new one.

    Raises ConfigError when there is none.
    """
    ray = import_ray()
    if ray.is_initialized():  # the caller's, who also leaves it
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own, of the packages that it uses
            _join(ray, address)
        yield
    finally:
        ray.shutdown()


def _join(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "auto":
        try:
            ray.init("auto", **quiet)
        except ConnectionError:
            ray.init(num_cpus=usable_cores(), include_dashboard=False, **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"no Ray cluster answers at '{redact(address)}' ({type(error).__name__}); give HOST:PORT as 'ray start "
            "--head' prints it, or auto"
        ) from error


def usable_cores() -> int:
    """Of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def places(settings: Settings) -> list[Place]:
    """Where models can be held: one on each GPU, or where there is none or the CPU was asked for, on cores of CPUs.

    Kinds are not mixed, because they do not round alike. Raises ConfigError when there is no room at all.
    """
    nodes = [node for node in import_ray().nodes() if node["Alive"]]
    has_gpus = settings.device != "cpu" and any(node["Resources"].get("GPU") for node in nodes)
    found = [place for node in nodes for place in (_gpus(node) if has_gpus else _cores(node, settings.threads))]
    if not found:
        raise ConfigError(f"the cluster has no {'GPU' if has_gpus else 'CPU'} to give")
    return found


def _gpus(node: dict[str, Any]) -> Iterator[Place]:
    for number in range(int(node["Resources"].get("GPU", 0))):
        yield Place(node["NodeID"], 0, number, has_gpu=True)


def _cores(node: dict[str, Any], threads: int | None) -> Iterator[Place]:
    cores = int(node["Resources"].get("CPU", 0))
    each = threads or max(1, min(_MOST_CORES, cores // 2))
    for number in range(cores // each or min(1, cores)):
        yield Place(node["NodeID"], min(each, cores), number)
