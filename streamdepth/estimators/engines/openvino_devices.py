"""OpenVINO's devices by the words of `--device`: cpu, gpu, gpu.1, npu, and lists of them such as auto:gpu,cpu."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamdepth.core.errors import ConfigError

_KINDS = ("cpu", "gpu", "npu")
_LIST = "auto:"


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
            "installed? --device auto:gpu,cpu takes the CPU where there is no GPU",
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
