"""INT8 by post-training quantisation, judged on frames that it was not made from."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import MissingDependencyError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.engines import Engine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine, OpenVinoFile, last_weighted
from streamdepth.estimators.network import Card, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.onnx_file import DESCRIPTION

_log = logging.getLogger(__name__)

_NEAREST, _FARTHEST = 1.0, 0.1
"""What the 99th and the 1st percentile of float32's inverse depth become for `Agreement`: depths of 1 and 10."""
_TIMED = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a network's depth agrees with float32's, over all held-out frames."""

    precision: str
    delta1: float
    """Share of the pixels whose depths are within a factor of 1.25 of each other."""
    error: float
    """Mean difference of inverse depth, as a share of its range."""
    ms: float
    """Median of one frame, network only."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """What `quantize` found."""

    before: Agreement
    """The same runtime without INT8, in the precision it chooses here."""
    after: Agreement
    frames: int
    """How many were held out."""


def quantize(network: Network, pictures: Sequence[Image], held_out: Sequence[Image], folder: Path) -> Quantized:
    """Writes INT8 of the network to the empty `folder`, made from `pictures` and judged on `held_out`, all of one size.

    Nagel et al., "A White Paper on Neural Network Quantization" (2021), section 3, in the form of the Neural Network
    Compression Framework: ranges of activations from the pictures, weights per channel, biases corrected. The layers
    that give the depth stay as they were, for 256 levels would be visible.
    Raises MissingDependencyError and ModelLoadError.
    """
    nncf = _import_nncf()
    card = network.card.fixed(*pictures[0].shape[:2])
    exact = OpenVinoEngine(network.module, precision="float32", cache_name=network.cache_name)
    usual = OpenVinoEngine(network.module, cache_name=network.cache_name)
    model = exact.convert(*card.input_size())

    def as_input(picture: Image) -> npt.NDArray[np.float32]:
        pixels: npt.NDArray[np.float32] = card.prepare([_frame(picture)], exact)[0].numpy()
        return pixels

    with _quiet():
        try:
            model = nncf.quantize(
                model,
                nncf.Dataset(list(pictures), as_input),
                subset_size=len(pictures),
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if _has_attention(model) else None,
                ignored_scope=nncf.IgnoredScope(names=last_weighted(model)),
            )
        except Exception as error:  # nncf and OpenVINO raise whatever they like
            reason = " ".join(str(error).split())[-300:]
            raise ModelLoadError(f"this network cannot be quantised; use it as it is ({reason})") from error
    exact.save(model, folder / "model.xml")
    small = OpenVinoFile(folder / "model.xml", "int8")
    truth = _Run(card, exact, held_out)
    before, after = (truth.agreement(_Run(card, engine, held_out)) for engine in (usual, small))
    found = Quantized(before, after, len(held_out))
    facts = {"card": card.as_json(), "held_out": asdict(found)}
    (folder / DESCRIPTION).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return found


class _Run:
    """The depth of some pictures by one engine, which is closed afterwards, and how long its network took."""

    def __init__(self, card: Card, engine: Engine, pictures: Sequence[Image]) -> None:
        estimator = NetworkEstimator(card, engine)
        self.maps = [estimate.depth for picture in pictures for estimate in estimator.estimate([_frame(picture)])]
        self.precision, self.kind = engine.precision, card.kind
        pixels, _ = card.prepare([_frame(pictures[0])], engine)
        times = []
        for _ in range(_TIMED):
            began = time.perf_counter()
            engine.run(pixels)
            times.append(time.perf_counter() - began)
        self.ms = float(np.median(times)) * 1e3
        estimator.close()

    def agreement(self, other: _Run) -> Agreement:
        """How `other` agrees with this."""
        delta1, error = np.mean(
            [
                _agreement(inverse(a, self.kind), inverse(b, self.kind))
                for a, b in zip(self.maps, other.maps, strict=True)
            ],
            axis=0,
        )
        return Agreement(other.precision, float(delta1), float(error), other.ms)


def _frame(picture: Image) -> Frame:
    return Frame(picture, 0, 0, Fraction(1), 0.0)


def inverse(depth: DepthMap, kind: DepthKind) -> DepthMap:
    """Inverse depth, near is large."""
    with np.errstate(divide="ignore"):
        return depth if kind is DepthKind.RELATIVE else np.asarray(1 / depth, np.float32)


def _agreement(wanted: DepthMap, found: DepthMap) -> tuple[float, float]:
    """delta1 and the mean error of inverse depth `found`, after scale and shift were fitted to `wanted`."""
    known = np.isfinite(wanted) & np.isfinite(found)
    if not known.any() or known.mean() < np.isfinite(wanted).mean():
        return 0.0, 1.0
    a, b = wanted[known].astype(np.float64), found[known].astype(np.float64)
    low, high = np.percentile(a, (1, 99))
    scale = (_NEAREST - _FARTHEST) / max(high - low, 1e-12)
    spread = b.var()
    slope = ((a - a.mean()) * (b - b.mean())).mean() / spread if spread else 0.0
    metric_fit = a.mean() + slope * (b - b.mean())
    a, metric_fit = (np.clip(_FARTHEST + (x - low) * scale, _FARTHEST / 2, None) for x in (a, metric_fit))
    ratio = np.maximum(a / metric_fit, metric_fit / a)
    return float((ratio < 1.25).mean()), float(np.abs(a - metric_fit).mean() / (_NEAREST - _FARTHEST))


def _has_attention(model: Any) -> bool:
    kinds = {node.get_type_name() for node in model.get_ops()}
    return bool({"Softmax", "ScaledDotProductAttention"} & kinds)


def _import_nncf() -> Any:
    """Without its statistics over the network."""
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with _quiet():
            import nncf
    except ImportError as error:
        raise MissingDependencyError("nncf", "quantize", "INT8") from error
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
    return nncf


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """nncf's own progress bars, log lines and warnings are silenced: what it made is measured instead."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
