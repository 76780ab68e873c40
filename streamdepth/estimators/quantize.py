"""INT8 by post-training quantization, judged on pictures that it was not made from."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import MissingDependencyError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.engines import Engine, FloatArray, as_array
from streamdepth.estimators.engines.openvino_conversion import convert_to_openvino, save_openvino
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine, OpenVinoFileEngine
from streamdepth.estimators.engines.openvino_graph import last_weighted_layers
from streamdepth.estimators.exported_model import CARD_FILE
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.geometry.affine import fit_least_squares

_log = logging.getLogger(__name__)

_NEAR_INVERSE, _FAR_INVERSE = 1.0, 0.1
"""The 99th and the 1st percentile of float32's inverse depth are scaled to these for `EngineScore`: depths 1 and 10."""
_TIMED_RUNS = 10


@dataclass(frozen=True, slots=True)
class EngineScore:
    """One engine's agreement with float32 on the held-out pictures, and its time per picture."""

    precision: str
    delta1: float
    """Share of the pixels whose depths are within a factor of 1.25 of each other."""
    error: float
    """Mean difference of inverse depth, as a share of its range."""
    milliseconds: float
    """Median time of the network alone for one picture."""


@dataclass(frozen=True, slots=True)
class QuantizationResult:
    """The agreement with float32 before and after quantization."""

    before: EngineScore
    """The score of the same runtime without INT8, in the precision it chooses here."""
    after: EngineScore
    held_out: int
    """Number of held-out pictures."""


def quantize(
    network: Network, pictures: Sequence[Image], held_out: Sequence[Image], folder: Path
) -> QuantizationResult:
    """Writes the network in INT8, calibrated on `pictures` and judged on `held_out`, to the empty `folder`.

    All pictures have one size. Ranges of activations come from the pictures, weights are quantized per channel and
    biases corrected (Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 3, in the form of the
    Neural Network Compression Framework). The layers that give the depth stay as they were, because 256 levels would be
    visible. Raises MissingDependencyError and ModelLoadError.
    """
    nncf = _import_nncf()
    card = network.card.with_fixed_size(*pictures[0].shape[:2])
    exact = OpenVinoEngine(network.module, precision="float32")
    usual = OpenVinoEngine(network.module)
    model = convert_to_openvino(network.module.get(), *card.input_size())

    def as_input(picture: Image) -> FloatArray:
        return as_array(card.prepare([_frame(picture)], exact)[0])

    save_openvino(_quantized(nncf, model, nncf.Dataset(list(pictures), as_input)), folder / "model.xml")
    quantized = OpenVinoFileEngine(folder / "model.xml", "int8")
    reference = _EngineRun(card, exact, held_out)
    before, after = (reference.agreement(_EngineRun(card, engine, held_out)) for engine in (usual, quantized))
    result = QuantizationResult(before, after, len(held_out))
    facts = {"card": card.to_json(), "agreement": asdict(result)}
    (folder / CARD_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return result


def _quantized(nncf: Any, model: Any, inputs: Any) -> Any:
    """Returns a model of OpenVINO in INT8, calibrated on an `nncf.Dataset` of inputs. Raises ModelLoadError."""
    with _silence_nncf():
        try:
            return nncf.quantize(
                model,
                inputs,
                subset_size=inputs.get_length(),
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if _has_attention(model) else None,
                ignored_scope=nncf.IgnoredScope(names=last_weighted_layers(model)),
            )
        except Exception as error:  # nncf and OpenVINO raise whatever they like
            reason = " ".join(str(error).split())[-300:]
            raise ModelLoadError(
                f"this network cannot be quantized; use it as it is ({reason})", code="not-convertible"
            ) from error


class _EngineRun:
    """The depth of some pictures by one engine, which is closed afterwards, and the time that its network took."""

    def __init__(self, card: ModelCard, engine: Engine, pictures: Sequence[Image]) -> None:
        estimator = NetworkEstimator(card, engine)
        self.maps = [estimate.depth for picture in pictures for estimate in estimator.estimate([_frame(picture)])]
        self.precision, self.kind = engine.precision, card.kind
        pixels, _ = card.prepare([_frame(pictures[0])], engine)
        times = []
        for _ in range(_TIMED_RUNS):
            started = time.perf_counter()
            engine.run(pixels)
            times.append(time.perf_counter() - started)
        self.milliseconds = float(np.median(times)) * 1e3
        estimator.close()

    def agreement(self, other: _EngineRun) -> EngineScore:
        """Returns how the depth of `other` agrees with this one's."""
        delta1, error = np.mean(
            [
                inverse_depth_agreement(_inverse_depth(a, self.kind), _inverse_depth(b, self.kind))
                for a, b in zip(self.maps, other.maps, strict=True)
            ],
            axis=0,
        )
        return EngineScore(other.precision, float(delta1), float(error), other.milliseconds)


def _frame(picture: Image) -> Frame:
    return Frame(picture, 0, 0, Fraction(1), 0.0)


def _inverse_depth(depth: DepthMap, kind: DepthKind) -> DepthMap:
    with np.errstate(divide="ignore"):
        return depth if kind is DepthKind.RELATIVE else np.asarray(1 / depth, np.float32)


def inverse_depth_agreement(exact: DepthMap, found: DepthMap) -> tuple[float, float]:
    """Returns delta1 and the mean error of inverse depth `found`, after its scale and shift were fitted to `exact`.

    (0, 1) where `found` is unknown and `exact` is not.
    """
    known = np.isfinite(exact) & np.isfinite(found)
    if not known.any() or known.mean() < np.isfinite(exact).mean():
        return 0.0, 1.0
    a, b = exact[known].astype(np.float64), found[known].astype(np.float64)
    scale, shift = fit_least_squares(b, a)
    low, high = np.percentile(a, (1, 99))
    unit = (_NEAR_INVERSE - _FAR_INVERSE) / max(high - low, 1e-12)
    a, b = (np.clip(_FAR_INVERSE + (x - low) * unit, _FAR_INVERSE / 2, None) for x in (a, scale * b + shift))
    ratio = np.maximum(a / b, b / a)
    return float((ratio < 1.25).mean()), float(np.abs(a - b).mean() / (_NEAR_INVERSE - _FAR_INVERSE))


def _has_attention(model: Any) -> bool:
    kinds = {node.get_type_name() for node in model.get_ops()}
    return bool({"Softmax", "ScaledDotProductAttention"} & kinds)


def _import_nncf() -> Any:
    """Imports nncf. Raises MissingDependencyError."""
    try:
        with _silence_nncf():
            import nncf
    except ImportError as error:
        raise MissingDependencyError("nncf", "quantize", "INT8") from error
    return nncf


@contextlib.contextmanager
def _silence_nncf() -> Iterator[None]:
    """Silences nncf's progress bars, log lines and warnings; what it made is measured instead."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
