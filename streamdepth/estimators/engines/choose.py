"""The choice of the fastest engine for a network on this machine."""

from __future__ import annotations

import copy
import hashlib
import logging
import platform
import sys
from collections.abc import Callable
from functools import partial

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import Engine, EngineOptions, onnx_engine, openvino_engine
from streamdepth.estimators.engines.fallback import FallbackEngine
from streamdepth.estimators.engines.gpu_presence import may_have_gpu
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.onnx_engine import OnnxEngine, is_onnx_device
from streamdepth.estimators.engines.openvino_devices import is_openvino_device
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.precision_check import DEFAULT_LIMIT, DifferenceRecord, PrecisionCheck

_log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino", "onnx")
_REDUCED_PRECISIONS = ("float16", "bfloat16")


def make_engine(
    module: LazyModule,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    precision_limit: float | None = DEFAULT_LIMIT,
    compile: bool = False,
    threads: int | None = None,
    for_throughput: bool = False,
) -> Engine:
    """Builds an engine for `module`, which may be changed in place; `Engine.reason` says why it was chosen.

    torch is imported only if it is used: to run the network, to convert it, or to check its precision.

    Args:
        module: maps (N, 3, H, W) float32 to a tensor or a tuple of tensors.
        engine: a name of ENGINES. `auto` is torch where a GPU is used; else OpenVINO, ONNX Runtime or torch, the first
            that is installed, and torch where the other cannot convert the network. A device that only one engine has
            chooses that engine.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`, or one of OpenVINO's or of ONNX Runtime's, see
            `choose_openvino_devices` and `choose_providers`.
        precision: `auto` or what the engine can compute in.
        precision_limit: largest `relative_difference` from float32 at which reduced precision is used; None accepts
            any.
        compile: use torch.compile, with the engine torch only.
        threads: number of CPU threads; None leaves it to the runtime.
        for_throughput: compute several pictures at a time, see OpenVinoEngine.

    Raises:
        ConfigError: for options that are unknown or do not go together.
        MissingDependencyError: an engine was asked for that is not installed.
    """
    name, reason = _resolve_engine(engine, device, compile=compile)
    if name == "torch":
        from streamdepth.estimators.engines.torch_engine import choose_device, choose_precision

        precision = choose_precision(precision, choose_device(device))
    options: EngineOptions = {
        "device": device,
        "compile": compile,
        "threads": threads,
        "for_throughput": for_throughput,
    }

    def make(precision: str, *, keeps_module: bool = False) -> Engine:
        made = _make_runtime(name, module, precision, options, keeps_module=keeps_module)
        made.reason = reason
        return made

    def make_float32() -> Engine:
        if "npu" in device:  # NPUs compute in float16 only
            options["device"] = "cpu"
        return make("float32")

    made, check = _make_with_check(module, make, make_float32, precision, precision_limit)
    has_fallback = engine == "auto" and name != "torch" and device in ("auto", "cpu")
    if check or has_fallback:
        make_torch = partial(_make_torch_on_cpu, module, precision, options)
        made = FallbackEngine(made, make_torch=make_torch if has_fallback else None, check=check)
    _log.info("the engine is %s on %s in %s: %s", made.name, made.runs_on, made.precision, made.reason)
    return made


def _resolve_engine(engine: str, device: str, *, compile: bool) -> tuple[str, str]:
    """Returns the name of the engine to build, and why it was chosen. Raises ConfigError for wrong options."""
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}", code="unknown-engine")
    name, reason = choose_engine(device, compile=compile) if engine == "auto" else (engine, Engine.reason)
    if compile and name != "torch":
        raise ConfigError(
            f"--compile is for the engine torch, not for {name}; leave one of the two out", code="option-conflict"
        )
    return name, reason


def _make_torch_on_cpu(module: LazyModule, precision: str, options: EngineOptions) -> Engine:
    """Builds torch's engine on the CPU, in `precision` if torch has it there; for networks no other engine converts."""
    from streamdepth.estimators.engines.torch_engine import allowed_precisions, choose_device

    in_torch = precision if precision in allowed_precisions(choose_device("cpu")) else "auto"
    return _make_runtime("torch", module, in_torch, options | {"device": "cpu"})


def _make_runtime(
    name: str, module: LazyModule, precision: str, options: EngineOptions, *, keeps_module: bool = False
) -> Engine:
    """Builds the engine of one runtime.

    precision: the precision to ask for. keeps_module: leaves `module` unchanged; the engine torch changes the module
    that it runs, and gets a copy.
    """
    threads = options["threads"]
    if name == "torch":
        from streamdepth.estimators.engines.torch_engine import TorchEngine

        taken = copy.deepcopy(module.get()) if keeps_module else module.get()
        return TorchEngine(
            taken, device=options["device"], precision=precision, compile=options["compile"], threads=threads
        )
    if name == "openvino":
        return OpenVinoEngine(
            module,
            precision=precision,
            threads=threads,
            device=options["device"],
            for_throughput=options["for_throughput"],
        )
    return OnnxEngine(module, device=options["device"], precision=precision, threads=threads)


def choose_engine(device: str, *, compile: bool = False) -> tuple[str, str]:
    """Returns the name of the engine that `auto` means on `device`, and a short sentence that says why."""
    if is_openvino_device(device):
        return "openvino", f"the one for {device}"
    if is_onnx_device(device):
        return "onnx", f"the one for {device}"
    if device not in ("auto", "cpu"):
        return "torch", "the fastest of what is installed for a GPU"
    if device == "auto" and ("torch" in sys.modules or may_have_gpu()):
        import torch

        if torch.cuda.is_available():
            return "torch", "the fastest of what is installed for a GPU"
        if torch.backends.mps.is_available():
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
    module: LazyModule,
    make: Callable[..., Engine],
    make_float32: Callable[[], Engine],
    precision: str,
    limit: float | None,
) -> tuple[Engine, PrecisionCheck | None]:
    """Builds the engine by `make`, and a check against float32 if it computes in reduced precision, else None."""
    if limit is None or precision == "float32":
        return make(precision), None
    made = make(precision, keeps_module=True)
    if made.precision not in _REDUCED_PRECISIONS:
        return made, None
    facts = f"{module.conversion_key()} {made.name} {made.precision} {made.runs_on} {_processor_name(made.device)}"
    record = DifferenceRecord(hashlib.blake2b(facts.encode(), digest_size=10).hexdigest())
    return made, PrecisionCheck(module, make_float32, limit=limit, record=record)


def _processor_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
