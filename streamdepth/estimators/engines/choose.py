"""Chooses the fastest engine for a network on this machine."""

from __future__ import annotations

import copy
import hashlib
import logging
import platform
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import Delegate, Engine, Outputs, onnx_engine, openvino_engine
from streamdepth.estimators.engines.cache import fingerprint
from streamdepth.estimators.engines.check import LIMIT, CheckedEngine, Verdict
from streamdepth.estimators.engines.onnx_engine import OnnxEngine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.torch_engine import TorchEngine, pick_device, pick_precision

_log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino", "onnx")
_REDUCED = ("float16", "bfloat16")
Result = TypeVar("Result")


def make_engine(
    module: nn.Module,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    precision_limit: float | None = LIMIT,
    compile: bool = False,
    threads: int | None = None,
    for_throughput: bool = False,
    cache_name: str,
) -> Engine:
    """`engine` auto is torch where a GPU is used; else OpenVINO, ONNX Runtime or torch, the first that is installed.

    `reason` of the result says why. precision_limit: of `check.difference`, past which float32 runs instead of reduced
    precision; None never looks. compile, threads: as TorchEngine takes them; for_throughput: as OpenVinoEngine does.
    Raises ConfigError, and MissingDependencyError when an engine that is not installed was asked for.
    """
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}")
    if engine == "openvino" and device not in ("auto", "cpu"):
        raise ConfigError(f"the engine openvino runs on the CPU, not on {device!r}; try --engine torch")
    name, reason = pick_engine(device, compile=compile) if engine == "auto" else (engine, Engine.reason)
    if compile and name != "torch":
        raise ConfigError(f"--compile is for the engine torch, not for {name}; leave one of the two out")

    def make(chosen: nn.Module, wanted: str) -> Engine:
        found: Engine
        if name == "torch":
            found = TorchEngine(chosen, device=device, precision=wanted, compile=compile, threads=threads)
        elif name == "openvino":
            found = OpenVinoEngine(
                chosen, precision=wanted, cache_name=cache_name, threads=threads, for_throughput=for_throughput
            )
        else:
            found = OnnxEngine(chosen, device=device, precision=wanted, cache_name=cache_name, threads=threads)
        found.reason = reason
        return found

    if name == "torch":
        precision = pick_precision(precision, pick_device(device))
    made = _checked(module, make, precision, precision_limit, changes=name == "torch")
    if engine == "auto" and name != "torch":
        in_torch = "auto" if precision == "float16" else precision  # which torch has not on CPUs
        made = _OrTorch(made, lambda: TorchEngine(module, device="cpu", precision=in_torch, threads=threads))
    _log.info("the engine is %s on %s in %s: %s", made.name, made.device, made.precision, made.reason)
    return made


def pick_engine(device: str, *, compile: bool = False) -> tuple[str, str]:
    """The engine that `auto` means on `device`, and why, a short sentence."""
    if device not in ("auto", "cpu") or (device == "auto" and torch.cuda.is_available()):
        return "torch", "the fastest of what is installed for a GPU"
    if device == "auto" and torch.backends.mps.is_available():
        return "torch", "the only one for Apple's GPU"
    if compile:
        return "torch", "--compile needs it"
    if openvino_engine.is_installed():
        return "openvino", "the fastest on a CPU"
    advice = 'OpenVINO, which is faster on a CPU, is not installed: pip install "streamdepth[openvino]"'
    if onnx_engine.is_installed():
        return "onnx", f"the fastest that is installed; {advice}"
    return "torch", advice


def _checked(
    module: nn.Module,
    make: Callable[[nn.Module, str], Engine],
    precision: str,
    limit: float | None,
    *,
    changes: bool,
) -> Engine:
    """What `make` makes, under watch when it computes in reduced precision. changes: whether `make` alters weights."""
    if limit is None or precision == "float32":
        return make(module, precision)
    reference = module.eval().to("cpu", torch.float32)
    key = fingerprint(reference)
    made = make(copy.deepcopy(reference) if changes else reference, precision)
    if made.precision not in _REDUCED:
        return made
    facts = f"{key} {made.name} {made.precision} {made.device} {_processor(made.device)}"
    verdict = Verdict(hashlib.blake2b(facts.encode(), digest_size=10).hexdigest())
    return CheckedEngine(made, lambda: make(reference, "float32"), reference, limit=limit, verdict=verdict)


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


class _OrTorch(Delegate):
    """Another engine, and torch from the moment it proves unable to convert the network."""

    def __init__(self, engine: Engine, make_torch: Callable[[], Engine]) -> None:
        super().__init__(engine)
        self._make_torch = make_torch

    def start(self, pixels: Tensor) -> Callable[[], Outputs]:
        return self._done(lambda: self._engine.start(pixels))

    def warm_up(self, pixels: Tensor) -> None:
        self._done(lambda: self._engine.warm_up(pixels))

    def _done(self, work: Callable[[], Result]) -> Result:
        try:
            result = work()
        except ModelLoadError as error:
            _log.warning("%s; torch is used instead", error)
            engine = self._make_torch()
            engine.reason = f"{self._engine.name} could not convert the network"
            self._use(engine)
            return work()
        self._show()
        return result
