"""Joining or starting a Ray cluster, and the places on it where a model can run."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, MissingDependencyError
from streamdepth.utils.cpu import usable_cores
from streamdepth.utils.redact import redact
from streamdepth.utils.telemetry import telemetry_is_allowed

_MAX_CORES_PER_WORKER = 4
"""CPU cores of one worker at most: more gain little, and fewer workers then decode, smooth and encode in parallel."""
_RAY_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Environment variables that Ray reads when it is imported and started.

With them it prints no advice about its own future, and its workers have the priority of an ordinary process.
"""


_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 30.0
_PROBE = "import sys, ray._raylet; ray._raylet.GcsClient(address=sys.argv[1]).internal_kv_get(b'x', namespace=b'x')"
"""A program that exits with 0 if a Ray cluster answers at the address in its argument."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """A place for one worker with its model: one GPU, or some cores of a CPU."""

    node: str
    """Ray's id of the machine."""
    cores: int
    """CPU cores that are reserved for the worker; 0 on a GPU, where none are reserved."""
    number: int
    """Index of the slot on its machine."""
    has_gpu: bool = False


def import_ray() -> Any:
    """Imports Ray with the environment that suits a batch. Raises MissingDependencyError."""
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "cluster", "--cluster") from error
    return ray


_NO_PROXY_THERE = "http://127.0.0.1:9"
"""An address of this machine where nothing listens (the port of "discard")."""


@contextmanager
def cluster_connection(address: str) -> Iterator[None]:
    """Connects to the cluster at `address`, and disconnects at the end.

    Args:
        address: HOST:PORT, or `auto` for the cluster that runs on this machine, or else a new one.

    Raises:
        ConfigError: with the code "no-cluster", when no cluster answers.
    """
    ray = import_ray()
    if ray.is_initialized():  # the caller has connected, and will disconnect
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of Ray about the packages that it uses
            _connect(ray, address)
        yield
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "auto" and not os.environ.get("RAY_ADDRESS"):
        try:
            ray.init("auto", **quiet)
        except ConnectionError:
            _listen_on_loopback_only()
            with _without_cloud_queries():
                ray.init(num_cpus=usable_cores(), include_dashboard=False, **quiet)
        return
    named = os.environ["RAY_ADDRESS"] if address == "auto" else address
    _check_answers(named)
    try:
        ray.init(named, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise _no_cluster(named, type(error).__name__) from error


def _listen_on_loopback_only() -> None:
    """Makes Ray, if this process starts it, unreachable from other machines, which could run programs through it."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # of this process, and below of the processes that it starts
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


@contextmanager
def _without_cloud_queries() -> Iterator[None]:
    """Prevents Ray, if it is started within the block, from querying the metadata servers of clouds.

    Ray's statistics query the metadata servers of three clouds before they check whether statistics are turned off, and
    no variable prevents that. A proxy address without a server does, for this process and not for the workers.
    """
    from ray._private import ray_constants, services

    start = services.start_ray_process

    def start_offline(command: Any, process_type: str, *arguments: Any, **options: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD and not telemetry_is_allowed():
            offline = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"), _NO_PROXY_THERE)
            options["env_updates"] = {**(options.get("env_updates") or {}), **offline, "no_proxy": "", "NO_PROXY": ""}
        return start(command, process_type, *arguments, **options)

    services.start_ray_process = start_offline
    try:
        yield
    finally:
        services.start_ray_process = start


def _check_answers(address: str) -> None:
    """Raises ConfigError ("no-cluster") if no Ray answers within seconds; Ray itself would wait for many minutes.

    Ray waits inside its library, which ignores Ctrl-C; therefore another process tries to connect first.
    """
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not (host and port.isdecimal() and int(port) < 2**16):
        raise _no_cluster(address, "it is no HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, "nobody answers there") from error
    if address.startswith("ray://"):  # the protocol of Ray's client, which gives up by itself
        return
    try:
        probe = [sys.executable, "-W", "ignore", "-c", _PROBE, f"{host}:{port}"]
        subprocess.run(probe, check=True, timeout=_ANSWER_SECONDS, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise _no_cluster(address, "what answers there is no Ray") from error


def _no_cluster(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"no Ray cluster answers at '{redact(address)}' ({reason}); give HOST:PORT as 'ray start --head' prints it, or "
        "auto",
        code="no-cluster",
    )


def worker_slots(settings: Settings) -> list[WorkerSlot]:
    """Returns one slot for each GPU of the cluster, or slots on its CPUs.

    The CPUs are used without GPUs, and with a device that is not NVIDIA's.

    The two kinds are never mixed, because they round differently and depth would depend on the worker. Raises
    ConfigError with the code "no-room" when the cluster has neither.
    """
    nodes = [node for node in import_ray().nodes() if node["Alive"]]
    takes_gpus = settings.model.device == "auto" or settings.model.device.startswith("cuda")
    has_gpus = takes_gpus and any(node["Resources"].get("GPU") for node in nodes)
    slots = [
        slot for node in nodes for slot in (_gpu_slots(node) if has_gpus else _cpu_slots(node, settings.model.threads))
    ]
    if not slots:
        raise ConfigError(f"the cluster has no {'GPU' if has_gpus else 'CPU'} to give", code="no-room")
    return slots


def _gpu_slots(node: dict[str, Any]) -> Iterator[WorkerSlot]:
    for number in range(int(node["Resources"].get("GPU", 0))):
        yield WorkerSlot(node["NodeID"], 0, number, has_gpu=True)


def _cpu_slots(node: dict[str, Any], threads: int | None) -> Iterator[WorkerSlot]:
    cores = int(node["Resources"].get("CPU", 0))
    cores_per_worker = threads or max(1, min(_MAX_CORES_PER_WORKER, cores // 2))
    for number in range(cores // cores_per_worker or min(1, cores)):
        yield WorkerSlot(node["NodeID"], min(cores_per_worker, cores), number)
