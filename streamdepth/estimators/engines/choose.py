"""The choice of the fastest engine for a network on this machine."""

from __future__ import annotations

import copy
import hashlib
import logging
import platform
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import Engine, EngineOptions, onnx_engine, openvino_engine
from streamdepth.estimators.engines.cache import fingerprint
from streamdepth.estimators.engines.fallback import FallbackEngine
from streamdepth.estimators.engines.onnx_engine import OnnxEngine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.precision_check import DEFAULT_LIMIT, DifferenceRecord, PrecisionCheck
from streamdepth.estimators.engines.torch_engine import TorchEngine, choose_device, choose_precision

_log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino", "onnx")
_REDUCED_PRECISIONS = ("float16", "bfloat16")


def make_engine(
    module: nn.Module,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    precision_limit: float | None = DEFAULT_LIMIT,
    compile: bool = False,
    threads: int | None = None,
    for_throughput: bool = False,
    cache_name: str,
) -> Engine:
    """Builds an engine for `module`, which may be changed in place; `Engine.reason` says why it was chosen.

    Args:
        module: maps (N, 3, H, W) float32 to a tensor or a tuple of tensors.
        engine: a name of ENGINES. `auto` is torch where a GPU is used; else OpenVINO, ONNX Runtime or torch, the first
            that is installed, and torch where the other cannot convert the network.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` or what the engine can compute in.
        precision_limit: largest `relative_difference` from float32 at which reduced precision is used; None accepts
            any.
        compile: use torch.compile, with the engine torch only.
        threads: number of CPU threads; None leaves it to the runtime.
        for_throughput: compute several pictures at a time, see OpenVinoEngine.
        cache_name: goes into the names of cached files.

    Raises:
        ConfigError: for options that are unknown or do not go together.
        MissingDependencyError: an engine was asked for that is not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}", code="unknown-engine")
    if engine == "openvino" and device not in ("auto", "cpu"):
        raise ConfigError(
            f"the engine openvino runs on the CPU, not on {device!r}; try --engine torch", code="wrong-device"
        )
    name, reason = choose_engine(device, compile=compile) if engine == "auto" else (engine, Engine.reason)
    if compile and name != "torch":
        raise ConfigError(
            f"--compile is for the engine torch, not for {name}; leave one of the two out", code="option-conflict"
        )
    if name == "torch":
        precision = choose_precision(precision, choose_device(device))
    options: EngineOptions = {
        "device": device,
        "compile": compile,
        "threads": threads,
        "for_throughput": for_throughput,
    }
    make = partial(_make_runtime, name, reason, cache_name, options)
    made, check = _make_with_check(module, make, precision, precision_limit, changes_weights=name == "torch")
    make_torch = None
    if engine == "auto" and name != "torch":
        in_torch = "auto" if precision == "float16" else precision  # torch has no float16 on CPUs
        make_torch = partial(TorchEngine, module, device="cpu", precision=in_torch, threads=threads)
    if check or make_torch:
        made = FallbackEngine(made, make_torch=make_torch, check=check)
    _log.info("the engine is %s on %s in %s: %s", made.name, made.device, made.precision, made.reason)
    return made


def _make_runtime(
    name: str, reason: str, cache_name: str, options: EngineOptions, module: nn.Module, precision: str
) -> Engine:
    """Builds the engine of one runtime. precision: the one to ask for."""
    threads = options["threads"]
    made: Engine
    if name == "torch":
        made = TorchEngine(
            module, device=options["device"], precision=precision, compile=options["compile"], threads=threads
        )
    elif name == "openvino":
        for_throughput = options["for_throughput"]
        made = OpenVinoEngine(
            module, precision=precision, cache_name=cache_name, threads=threads, for_throughput=for_throughput
        )
    else:
        made = OnnxEngine(module, device=options["device"], precision=precision, cache_name=cache_name, threads=threads)
    made.reason = reason
    return made


def choose_engine(device: str, *, compile: bool = False) -> tuple[str, str]:
    """Returns the name of the engine that `auto` means on `device`, and a short sentence that says why."""
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


def _make_with_check(
    module: nn.Module,
    make: Callable[[nn.Module, str], Engine],
    precision: str,
    limit: float | None,
    *,
    changes_weights: bool,
) -> tuple[Engine, PrecisionCheck | None]:
    """Makes the engine, and a check if it computes in reduced precision. changes_weights: `make` alters the module."""
    if limit is None or precision == "float32":
        return make(module, precision), None
    reference = module.eval().to("cpu", torch.float32)
    key = fingerprint(reference)
    made = make(copy.deepcopy(reference) if changes_weights else reference, precision)
    if made.precision not in _REDUCED_PRECISIONS:
        return made, None
    facts = f"{key} {made.name} {made.precision} {made.device} {_processor_name(made.device)}"
    record = DifferenceRecord(hashlib.blake2b(facts.encode(), digest_size=10).hexdigest())
    return made, PrecisionCheck(reference, lambda: make(reference, "float32"), limit=limit, record=record)


def _processor_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
