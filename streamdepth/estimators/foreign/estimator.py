"""The estimator for ONNX files that other programs wrote."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from streamdepth.core.device_map import as_depth_map
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Estimate, Frame
from streamdepth.estimators.engines import EngineOptions, Outputs, as_array
from streamdepth.estimators.foreign.completion import Completed, complete, unknown_kind_error
from streamdepth.estimators.foreign.confidence import is_confidence
from streamdepth.estimators.foreign.depth import make_estimate
from streamdepth.estimators.foreign.description import Description, Size
from streamdepth.estimators.foreign.engine import ForeignEngine
from streamdepth.estimators.foreign.interface import Interface, fixed_batch, fixed_size
from streamdepth.estimators.foreign.runtimes import Runtime, open_runtime
from streamdepth.estimators.licenses import check_license, is_restricted_license
from streamdepth.estimators.margins import Margins, crop_margins
from streamdepth.estimators.network import ModelCard
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.preprocess import InputSpec

_log = logging.getLogger(__name__)

_NO_LIMIT_PX = 2**20
_USUAL_BATCH = 32
"""Frames that Video Depth Anything sees together."""


class ForeignModelEstimator(NetworkEstimator):
    """Runs an ONNX file by its description.

    Consecutive frames that a file wants together (layout 1NCHW) are those of one stream in one batch; a batch that is
    too short is filled up with its last frame.

    Args:
        runtime: the open file, which is closed with the estimator.
        description: of the file.
        name: what the model is called.
    """

    def __init__(self, runtime: Runtime, description: Description, name: str) -> None:
        self.description, self._has_warned, self._gives_confidence = description, False, True
        spec = make_input_spec(description, runtime.interface)
        card = ModelCard(name, description.depth_kind, description.licence, 0, spec, resizes_before_upload=True)
        super().__init__(card, ForeignEngine(runtime, description))

    def _group(self, frame: Frame) -> Hashable:
        return (frame.size, frame.stream) if self.description.layout == "1NCHW" else frame.size

    def _make_estimates(self, outputs: Outputs, margins: Margins | None, frame_size: tuple[int, int]) -> list[Estimate]:
        shown = [as_array(crop_margins(output, margins) if output.ndim > 2 else output) for output in outputs]
        named = dict(zip(self.description.outputs, shown, strict=True))
        height, width = self.card.spec.output_size(frame_size[1], frame_size[0])
        estimates = [
            make_estimate({name: a[i] for name, a in named.items()}, self.description, frame_size, (width, height))
            for i in range(len(outputs[0]))
        ]
        self._warn_if_all_unknown(estimates)
        return [self._with_checked_confidence(estimate) for estimate in estimates]

    def _with_checked_confidence(self, estimate: Estimate) -> Estimate:
        """Returns the estimate with a confidence of 0 to 1, and without one from the first that is none on."""
        values = estimate.confidence
        if values is None:
            return estimate
        if self._gives_confidence and not is_confidence(values):
            self._gives_confidence = False
            known = values[~np.isnan(values)]
            _log.warning(
                "the confidence of %r is left out: `%s` is from %.4g to %.4g, and not within 0 to 1; its description "
                "can say NAME / NUMBER, sigmoid(NAME) for logits, or 1 - 1 / NAME for values from 1 on",
                self.card.name, self.description.confidence, known.min(), known.max(),
            )  # fmt: skip
        confidence = np.clip(np.nan_to_num(values, nan=0.0), 0, 1) if self._gives_confidence else None
        return replace(estimate, confidence=confidence)

    def _warn_if_all_unknown(self, estimates: Sequence[Estimate]) -> None:
        """Logs once that a picture has no known depth at all, which looks like any other dark picture."""
        if not self._has_warned and any(np.isnan(as_depth_map(estimate.depth)).all() for estimate in estimates):
            self._has_warned = True
            _log.warning(
                "%r knows the depth of no pixel (NaN everywhere): look at kind, mean, std and confidence of its "
                "description, or try another --engine",
                self.card.name,
            )


def open_foreign_model(
    path: Path,
    *,
    description: Sequence[str] = (),
    size: int | None = None,
    accept_license: bool = False,
    name: str | None = None,
    **options: Unpack[EngineOptions],
) -> ForeignModelEstimator:
    """Opens an ONNX file by NAME.yaml beside it, by settings, or by the description that is ready for such files.

    Args:
        path: the ONNX file.
        description: pairs such as `kind=inverse`, and at most one YAML file or name of a ready description.
        size: short side of the network's input in px, for files that take several sizes.
        accept_license: run weights with a restricted license.
        name: what the model is called; by default as the file.
        options: `engine`, `device`, `threads` and `for_throughput` as `make_engine` takes them.

    Raises:
        ModelLoadError: "not-found", "damaged", "license", or "foreign" (nothing tells what the numbers mean).
        ConfigError: "bad-description", "unknown-description", "fixed-size" or "option-conflict".
        MissingDependencyError: the runtime is not installed.

    >>> model = open_foreign_model(Path("depth.onnx"), description=["kind=inverse", "keep_aspect=true"])
    >>> model.info.kind.value, model.description.size.width, model.description.licence
    ('relative', 96, 'unknown')
    >>> model.close()
    """
    runtime = open_runtime(path, options)
    completed = complete(path, description, runtime.interface)
    if not completed.has_kind:
        raise unknown_kind_error(path, runtime.interface)
    found = _with_size(path, completed.description, runtime.interface, size)
    check_license(name or str(path), found.licence, not is_restricted_license(found.licence), accept_license)
    _log_guesses(path, completed, runtime.interface)
    return ForeignModelEstimator(runtime, found, name or str(path))


def _with_size(path: Path, found: Description, interface: Interface, size: int | None) -> Description:
    if size is None:
        return found
    if fixed := fixed_size(interface.pictures, found.layout):
        raise ConfigError(
            f"'{path}' takes {fixed[1]}x{fixed[0]} px only; leave --size out, or export it for another size",
            code="fixed-size",
        )
    return replace(found, size=Size(size, size, "short"))


def make_input_spec(found: Description, interface: Interface) -> InputSpec:
    """Returns how pictures become the input: size, mean and standard deviation of red, green and blue."""
    order = slice(None, None, -1 if found.color == "bgr" else 1)
    takes_bytes = interface.pictures.type == "uint8"
    mean, std = found.mean[order], (1 / 255,) * 3 if takes_bytes else found.std[order]
    if found.size is None:
        return InputSpec(None, multiple=found.multiple, mean=mean, std=std)
    size, is_short = (found.size.height, found.size.width), found.size.bounds == "short"
    if found.size.bounds == "both":
        return InputSpec(size, letterbox=bool(found.keep_aspect), multiple=found.multiple, mean=mean, std=std)
    if found.keep_aspect is False:
        return InputSpec(size, multiple=found.multiple, mean=mean, std=std)
    longest = _NO_LIMIT_PX if is_short else found.size.width
    return InputSpec(size, multiple=found.multiple, mean=mean, std=std, max_long_side=longest)


def _log_guesses(path: Path, completed: Completed, interface: Interface) -> None:
    """Logs what was neither given nor in the file."""
    if completed.ready:
        _log.warning(
            "'%s' is taken for %s by its name: %s, license %s; --description or '%s' says otherwise",
            path, completed.ready, completed.description.kind, completed.description.licence,
            path.with_suffix(".yaml").name,
        )  # fmt: skip
    if completed.description.layout == "1NCHW":
        most = fixed_batch(interface.pictures, "1NCHW") or _USUAL_BATCH
        _log.warning(
            "'%s' sees the frames of a batch together: --batch %d gives it %d of a stream at a time", path, most, most
        )
    if completed.guesses:
        _log.warning("guessed for '%s': %s; a description can say it", path, ", ".join(completed.guesses))
