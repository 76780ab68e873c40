"""Compiles models of OpenVINO for the device that `--device` means."""

from __future__ import annotations

import logging
from typing import Any

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import openvino_devices
from streamdepth.estimators.engines.openvino_devices import choose_openvino_devices
from streamdepth.estimators.engines.runtime_errors import plain_reason
from streamdepth.utils.cache import cache_folder

_log = logging.getLogger(__name__)

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_PRECISION_OF_HINT = {hint: name for name, hint in _HINTS.items()}
_CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}


class OpenVinoCompiler:
    """Compiles for the first of several devices that takes a model, and says which one that is.

    Where a device of a list does not take a model, the next one is used from then on; that is logged, and `note` says
    it. Raises MissingDependencyError, and ConfigError for a device or a precision that cannot be had.

    Args:
        device: as `choose_openvino_devices` takes it.
        precision: `auto`, which leaves it to OpenVINO, or one that the device computes in.
        threads: number of CPU threads; None leaves it to OpenVINO.
        for_throughput: run as many requests at a time as OpenVINO thinks best, each with a part of the threads.
        is_precision_strict: False leaves a precision that the device does not have to the device.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "auto",
        *,
        threads: int | None = None,
        for_throughput: bool = False,
        is_precision_strict: bool = True,
    ) -> None:
        self.core = openvino_devices.openvino_core()
        self._devices, missing = choose_openvino_devices(device, lambda: self.core.available_devices)
        self._skipped = [f"{word} is not here" for word in missing]
        """Why devices of a list are not used."""
        for text in self._skipped:
            _log.warning("%s; %s is used instead", text, self.runs_on)
        self._asked_precision, self._is_precision_strict = precision, is_precision_strict
        self._threads, self._hint = threads, "THROUGHPUT" if for_throughput else "LATENCY"
        self.options = self._make_options()
        """The options with which models are compiled for the device that is used now."""

    @property
    def runs_on(self) -> str:
        """The device that is used, as `--device` names it."""
        return self._devices[0].lower()

    @property
    def note(self) -> str:
        """The part of a sentence that says why devices of a list were passed over; empty if none was."""
        return "".join(f"; {text}" for text in self._skipped)

    @property
    def precision(self) -> str:
        """The precision that the device computes in; a compiled network may tell another one."""
        hint = self.options.get("INFERENCE_PRECISION_HINT")
        return _name_of(str(hint)) if hint else self._read_precision(self.core, self._devices[0])

    def precision_of(self, network: Any) -> str:
        """Returns the precision that a compiled network computes in."""
        return self._read_precision(network)

    @staticmethod
    def _read_precision(holder: Any, *device: str) -> str:
        return _name_of(str(holder.get_property(*device, "INFERENCE_PRECISION_HINT").to_string()))

    def _make_options(self) -> dict[str, str | int]:
        """Returns the options for the device that is used now. Raises ConfigError."""
        options: dict[str, str | int] = {"PERFORMANCE_HINT": self._hint, **self._precision_option()}
        if self._devices[0] != "CPU":
            options["CACHE_DIR"] = str(cache_folder() / "openvino-compiled")  # drivers need seconds to compile
        elif self._threads:
            options["INFERENCE_NUM_THREADS"] = self._threads
        return options

    def _precision_option(self) -> dict[str, str]:
        precision = self._asked_precision
        if precision == "auto":
            return {}
        capabilities = self.core.get_property(self._devices[0], "OPTIMIZATION_CAPABILITIES")
        allowed = [name for name, capability in _CAPABILITIES.items() if capability in capabilities]
        if precision in allowed:
            return {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if not self._is_precision_strict:
            return {}
        raise ConfigError(
            f"precision {precision!r} does not go with OpenVINO on this {self._devices[0]}; allowed are auto, "
            f"{', '.join(allowed)}",
            code="wrong-precision",
        )

    def compile(self, model: Any) -> Any:
        """Returns the model compiled for the first device that takes it. Raises RuntimeError where none does."""
        try:
            return self.core.compile_model(model, self._devices[0], self.options)
        except RuntimeError as error:
            if len(self._devices) == 1:
                raise
            self._skip_device(error)
            return self.compile(model)

    def _skip_device(self, error: RuntimeError) -> None:
        """Goes over to the next device of the list after one that does not take a network. Raises ConfigError."""
        self._skipped.append(f"{self.runs_on} did not take the network")
        del self._devices[0]
        self.options = self._make_options()
        _log.warning("%s (%s); %s is used instead", self._skipped[-1], plain_reason(error), self.runs_on)


def _name_of(hint: str) -> str:
    return _PRECISION_OF_HINT.get(hint, hint)
