"""Facts of the machine that a benchmark runs on: processor, memory, package versions."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from streamdepth.utils.cpu import usable_cores

_PACKAGES = ("streamdepth", "torch", "transformers", "openvino", "onnxruntime", "av", "opencv-python", "numpy")


def describe_machine(device: str = "cpu") -> dict[str, str | int]:
    """Returns processor, cores that this process may use, operating system, and the GPU if `device` is one."""
    found: dict[str, str | int] = {"cpu": _processor(), "cores": usable_cores(), "system": platform.platform()}
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_available():  # where ONNX Runtime uses the GPU, torch may have no CUDA
            found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    """Returns the name of the processor, with its instruction sets for matrices where the system tells them."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = values.get("flags", "").split()
    known = [
        flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if flag in flags
    ]
    name = values.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({', '.join(known)})" if known else name


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of the installed packages that matter for speed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> float | None:
    """Returns the peak resident memory of this process in MB; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) / 1024 if lines else None  # some sandboxes leave it out
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS, which alone comes here
