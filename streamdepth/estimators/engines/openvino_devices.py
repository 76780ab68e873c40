"""OpenVINO on this machine: its core, its devices, and the words of `--device` for them.

The words are cpu, gpu, gpu.1, npu, and lists of them such as auto:gpu,cpu.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import import_engine_package

_KINDS = ("cpu", "gpu", "npu")
_LIST = "auto:"


def is_installed() -> bool:
    """Returns True if OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


@functools.cache
def openvino_core() -> Any:
    """Returns the process's one OpenVINO core. Raises MissingDependencyError.

    Each core gives its thread a stack for signal handlers, and restores the one before when it goes. Where two cores go
    in the order in which they came, that one is gone, too: the next Ctrl-C then crashes the process.
    """
    return import_engine_package("openvino", "openvino").Core()


def describe_devices() -> dict[str, str]:
    """Returns the words of `--device` for OpenVINO's devices on this machine, each with the name of the hardware.

    Raises MissingDependencyError.
    """
    core = openvino_core()
    return {name.lower(): str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}


def is_openvino_device(device: str) -> bool:
    """Returns True for the devices that no other engine has: gpu, gpu.N, npu, and lists."""
    return device.startswith(_LIST) or device.partition(".")[0] in ("gpu", "npu")


def choose_openvino_devices(device: str, find_present: Callable[[], Sequence[str]]) -> tuple[list[str], list[str]]:
    """Returns OpenVINO's names of the devices to try, the preferred one first, and the words that are not here.

    `auto` is the CPU. Of a list, the first device that is here and takes the network is used from the first picture on.
    OpenVINO's own device AUTO would begin on the CPU and go over to another device later: the time at which a driver is
    ready would decide how the same file comes out.

    Args:
        device: a word of `--device`.
        find_present: returns OpenVINO's names of the devices of this machine, such as CPU, GPU.0, GPU.1 and NPU; it is
            called only for other devices than the CPU.

    Raises:
        ConfigError: for a word that stands for no device ("wrong-device"), and where none of them is here
            ("no-such-device").
    """
    if device in ("auto", "cpu"):
        return ["CPU"], []
    words = device.removeprefix(_LIST).split(",")
    if not all(map(_is_word, words)):
        raise ConfigError(
            f"the engine openvino runs on auto, cpu, gpu, gpu.N, npu, or the first of a list such as auto:gpu,cpu, not "
            f"on {device!r}; for other devices try --engine torch or onnx",
            code="wrong-device",
        )
    present = find_present()
    missing = [word for word in words if not _is_present(word.upper(), present)]
    if len(missing) == len(words):
        raise ConfigError(
            f"OpenVINO finds no {' and no '.join(words)} here, only {', '.join(present).lower()}; is its driver "
            f"installed? --device cpu works here; auto:{','.join([*words, 'cpu'])} takes the first that is here",
            code="no-such-device",
        )
    return [word.upper() for word in words if word not in missing], missing


def _is_word(word: str) -> bool:
    kind, point, number = word.partition(".")
    return kind in _KINDS and (not point or (kind != "cpu" and number.isdecimal()))


def _is_present(name: str, present: Sequence[str]) -> bool:
    """Returns True if a device is here; one without a number is the first of its kind."""
    return any(found == name or found.startswith(f"{name}.") for found in present) or (
        name.endswith(".0") and name.removesuffix(".0") in present
    )
