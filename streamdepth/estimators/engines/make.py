"""Builds the engine for a network: the one that is chosen, with another behind it where it may prove unfit."""

from __future__ import annotations

import copy
import hashlib
import logging
import platform
from collections.abc import Callable
from functools import partial

from streamdepth.estimators.engines import Engine, EngineOptions
from streamdepth.estimators.engines.choose import EngineChoice, choose_engine
from streamdepth.estimators.engines.fallback import FallbackEngine
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.onnx_engine import OnnxEngine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.precision_check import DEFAULT_LIMIT, DifferenceRecord, PrecisionCheck

_log = logging.getLogger(__name__)

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
        engine: as `choose_engine` takes it. Where `auto` is OpenVINO or ONNX Runtime, torch takes over if that cannot
            convert the network, or TensorRT does not take it.
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
    choice = choose_engine(engine, device, compile=compile, precision=precision)
    if choice.name == "torch":
        precision = _torch_precision(precision, device)
    options: EngineOptions = {
        "device": device,
        "compile": compile,
        "threads": threads,
        "for_throughput": for_throughput,
    }

    def make(precision: str, *, keeps_module: bool = False) -> Engine:
        made = _make_runtime(choice, module, precision, options, keeps_module=keeps_module)
        made.reason = choice.reason
        return made

    def make_float32() -> Engine:
        if "npu" in device:  # NPUs compute in float16 only
            options["device"] = "cpu"
        return make("float32")

    made, check = _make_with_check(module, make, make_float32, precision, precision_limit)
    has_fallback = engine == "auto" and choice.name != "torch" and (device in ("auto", "cpu") or choice.needs_tensorrt)
    if check or has_fallback:
        torch_device = device if choice.needs_tensorrt else "cpu"
        make_torch = partial(_make_torch, module, torch_device, precision, precision_limit, threads)
        made = FallbackEngine(made, make_torch=make_torch if has_fallback else None, check=check)
    _log.info("the engine is %s on %s in %s: %s", made.name, made.runs_on, made.precision, made.reason)
    return made


def _torch_precision(precision: str, device: str) -> str:
    """Returns the precision that torch computes in on a device. Raises ConfigError for one that it does not have."""
    from streamdepth.estimators.engines.torch_engine import choose_device, choose_precision

    return choose_precision(precision, choose_device(device))


def _make_torch(
    module: LazyModule, device: str, precision: str, precision_limit: float | None, threads: int | None
) -> Engine:
    """Builds torch's engine on a device, in `precision` if torch has it there; for networks no other engine takes."""
    from streamdepth.estimators.engines.torch_engine import allowed_precisions, choose_device

    return make_engine(
        module,
        engine="torch",
        device=device,
        precision=precision if precision in allowed_precisions(choose_device(device)) else "auto",
        precision_limit=precision_limit,
        threads=threads,
    )


def _make_runtime(
    choice: EngineChoice, module: LazyModule, precision: str, options: EngineOptions, *, keeps_module: bool = False
) -> Engine:
    """Builds the engine of one runtime.

    precision: the precision to ask for. keeps_module: leaves `module` unchanged; the engine torch changes the module
    that it runs, and gets a copy.
    """
    device, threads = options["device"], options["threads"]
    if choice.name == "torch":
        from streamdepth.estimators.engines.torch_engine import TorchEngine

        taken = copy.deepcopy(module.get()) if keeps_module else module.get()
        return TorchEngine(taken, device=device, precision=precision, compile=options["compile"], threads=threads)
    if choice.name == "openvino":
        for_throughput = options["for_throughput"]
        return OpenVinoEngine(
            module, precision=precision, threads=threads, device=device, for_throughput=for_throughput
        )
    return OnnxEngine(module, device=device, precision=precision, threads=threads, needs_tensorrt=choice.needs_tensorrt)


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
