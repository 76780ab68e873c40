"""Runs a network with OpenVINO, the fastest runtime on most CPUs."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.estimators.engines import BySize, Engine, Outputs, import_package
from streamdepth.estimators.engines.cache import ModelCache, fingerprint

_log = logging.getLogger(__name__)

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_NAMES = {hint: name for name, hint in _HINTS.items()}
_CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}
_WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")


def is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


class OpenVinoRuntime(Engine):
    """OpenVINO on the CPU: pictures run one at a time, each with all threads, which costs nothing there.

    for_throughput: as many at a time as OpenVINO thinks best instead, each with a part of the threads, which then need
    not wait for each other: a sixth less work in all, and each picture takes longer.
    threads: None leaves them to OpenVINO. Raises MissingDependencyError, and ConfigError for a precision that cannot be
    had.
    """

    name = "openvino"
    max_in_flight = 2
    device = torch.device("cpu")

    def __init__(self, precision: str = "auto", threads: int | None = None, *, for_throughput: bool = False) -> None:
        self._openvino = import_package("openvino", "openvino")
        self._core = self._openvino.Core()
        hint = "THROUGHPUT" if for_throughput else "LATENCY"
        self._options: dict[str, str | int] = {"PERFORMANCE_HINT": hint, **self._precision_option(precision)}
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = threads
        used = self._options.get("INFERENCE_PRECISION_HINT") or self._used_precision(self._core, "CPU")
        self.precision = _NAMES.get(str(used), str(used))
        self._free: dict[Any, list[Any]] = {}

    def _precision_option(self, precision: str) -> dict[str, str]:
        if precision == "auto":
            return {}
        can = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        allowed = [name for name, capability in _CAPABILITIES.items() if capability in can]
        if precision not in allowed:
            raise ConfigError(
                f"precision {precision!r} does not go with OpenVINO on this CPU; allowed are auto, {', '.join(allowed)}"
            )
        return {"INFERENCE_PRECISION_HINT": _HINTS[precision]}

    @staticmethod
    def _used_precision(holder: Any, *device: str) -> str:
        return str(holder.get_property(*device, "INFERENCE_PRECISION_HINT").to_string())

    @abstractmethod
    def _network(self, height: int, width: int) -> Any:
        """The compiled network for pictures of this size. Raises InferenceError and ModelLoadError."""

    def _compile(self, model: Any) -> Any:
        network = self._core.compile_model(model, "CPU", self._options)
        self.max_in_flight = network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1  # one is prepared meanwhile
        return network

    def run(self, pixels: Tensor) -> Outputs:
        return self.start(pixels)()

    def start(self, pixels: Tensor) -> Callable[[], Outputs]:
        network = self._network(*pixels.shape[-2:])
        pictures = pixels.detach().to("cpu", torch.float32).contiguous().numpy()
        free = self._free.setdefault(network, [])
        with _failures_explained(pixels):
            requests = [free.pop() if free else network.create_infer_request() for _ in pictures]
            for request, picture in zip(requests, pictures, strict=True):
                request.start_async([picture[None]], share_inputs=True)

        def finish() -> Outputs:
            with _failures_explained(pixels):
                results = [_results(request) for request in requests]
            outputs = tuple(torch.from_numpy(np.concatenate(parts)) for parts in zip(*results, strict=True))
            free.extend(requests)
            return outputs

        return finish

    def close(self) -> None:
        self._free.clear()


def _results(request: Any) -> list[npt.NDArray[np.float32]]:
    """Once it is done; views of its memory."""
    request.wait()
    return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]


@contextmanager
def _failures_explained(pixels: Tensor) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InferenceError(f"OpenVINO failed on {tuple(pixels.shape)}: {error}") from error


class OpenVinoEngine(OpenVinoRuntime):
    """Converts `module` at the first use of each input size, and keeps the result in a cache on disk.

    `module` maps (1, 3, H, W) float32 to a tensor or a tuple of tensors with the batch first. Precision `auto` is what
    OpenVINO chooses for this CPU: bfloat16 or float16 where it computes that natively, else float32; `precision` says
    what is really used. `cache_name` goes into the cache's file names; weights, structure, size and versions are part
    of the key anyway.

    `run` raises ModelLoadError when the network cannot be converted.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        precision: str = "auto",
        cache_name: str,
        threads: int | None = None,
        for_throughput: bool = False,
    ) -> None:
        super().__init__(precision, threads, for_throughput=for_throughput)
        self._module: nn.Module | None = module.eval().to("cpu", torch.float32)
        key = fingerprint(module, f"openvino {self._openvino.__version__}")
        self._cache = ModelCache("openvino", cache_name, key)
        self._compiled = BySize[Any]()

    def _network(self, height: int, width: int) -> Any:
        if self._module is None:
            raise InferenceError("the engine was closed; make a new one")
        return self._compiled.of(
            (height, width), lambda: self._load(height, width), dropped=lambda network: self._free.pop(network, None)
        )

    def _load(self, height: int, width: int) -> Any:
        key = f"{width}x{height}"
        cached = self._cache.find(key)
        if cached is not None:
            try:
                return self._compile(self._core.read_model(cached))
            except RuntimeError as error:
                _log.warning("the cached network %s is not usable and is made anew: %s", cached, error)
        model = self.convert(height, width)
        self._cache.store(key, lambda path: self.save(model, path))
        stored = self._cache.find(key)
        return self._compile(model if stored is None else self._core.read_model(stored))

    def save(self, model: Any, path: Path) -> None:
        """path: the .xml file; the weights go beside it."""
        self._openvino.save_model(model, path, compress_to_fp16=False)
        mark_outputs_precise(path)

    def _compile(self, model: Any) -> Any:
        network = super()._compile(model)
        used = self._used_precision(network)
        self.precision = _NAMES.get(used, used)
        return network

    def convert(self, height: int, width: int) -> Any:
        """OpenVINO's model with an input of this size. Raises ModelLoadError."""
        _log.info("converting the network for OpenVINO at %dx%d px", width, height)
        example = torch.zeros(1, 3, height, width)
        try:
            # torch.jit.trace announces its deprecation, and constants baked into the trace; both are meant here.
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(self._module, example, check_trace=False)  # type: ignore[no-untyped-call]
                model = _from_torchscript(traced, example)
            model.reshape([1, 3, height, width])
            return model
        except Exception as error:  # torch, OpenVINO and the network's own code raise whatever they like
            reason = " ".join(str(error).split())[-300:]
            raise ModelLoadError(f"OpenVINO cannot convert this network; try --engine torch ({reason})") from error

    def close(self) -> None:
        super().close()
        self._module = None
        self._compiled.clear()


class OpenVinoFile(OpenVinoRuntime):
    """Runs OpenVINO's model in `path` (.xml), made for one input size; `precision` is what it was made for.

    Raises ModelLoadError.
    """

    def __init__(self, path: Path, precision: str, *, threads: int | None = None, for_throughput: bool = False) -> None:
        super().__init__(threads=threads, for_throughput=for_throughput)
        try:
            self._compiled: Any = self._compile(self._core.read_model(path))
        except RuntimeError as error:
            raise ModelLoadError(f"OpenVINO cannot read '{path}', or the weights beside it; make it anew") from error
        self.precision = precision

    def _network(self, height: int, width: int) -> Any:
        if self._compiled is None:
            raise InferenceError("the engine was closed; make a new one")
        return self._compiled

    def close(self) -> None:
        super().close()
        self._compiled = None


def _from_torchscript(traced: Any, example: Tensor) -> Any:
    """By OpenVINO's frontend itself: `openvino.convert_model` would send statistics over the network, and is slower."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced, example_input=example)
    loaded = frontend.load(decoder)  # refers to the decoder without owning it
    return frontend.convert(loaded)


def last_weighted(model: Any) -> list[str]:
    """Names of the last weighted layers before each of the model's outputs."""
    found: list[str] = []
    seen: set[str] = set()
    todo = list(model.get_results())
    while todo:
        node = todo.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() in _WEIGHTED:
            found.append(name)
        else:
            todo += [entry.get_source_output().get_node() for entry in node.inputs()]
    return found


def mark_outputs_precise(path: Path) -> None:
    """Tells OpenVINO to compute the network's last weighted layers in float32, whatever the rest is computed in.

    path: a model's .xml file, changed in place. A bfloat16 has 8 significant bits: as the last layer's result it
    would cut depth into visible steps.
    """
    tree = ElementTree.parse(path)
    layers = {layer.attrib["id"]: layer for layer in tree.iter("layer")}
    edges = [(edge.attrib["from-layer"], edge.attrib["to-layer"]) for edge in tree.iter("edge")]
    todo = {number for number, layer in layers.items() if layer.attrib["type"] == "Result"}
    seen: set[str] = set()
    while todo := todo - seen:
        seen |= todo
        for number in todo:
            _mark(layers[number])
        weighted = {number for number in todo if layers[number].attrib["type"] in _WEIGHTED}
        todo = {start for start, end in edges if end in todo - weighted}
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _mark(layer: ElementTree.Element) -> None:
    if layer.attrib["type"] not in (*_WEIGHTED, "Interpolate"):
        return
    notes = layer.find("rt_info")
    if notes is None:
        notes = ElementTree.Element("rt_info")
        layer.insert(1 if layer.find("data") is not None else 0, notes)
    ElementTree.SubElement(notes, "attribute", {"name": "precise", "version": "0"})
