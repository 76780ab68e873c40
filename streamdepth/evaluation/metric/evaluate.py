"""Evaluation of metric depth on datasets: the network runs once, and its depth is made metric by several references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.evaluation.accuracy.crops import NO_CROP
from streamdepth.evaluation.accuracy.evaluate import NEAREST_M, ValidRegion
from streamdepth.evaluation.datasets import DepthDataset, ImageDepthPair
from streamdepth.evaluation.metric.score import MetricScore, MetricScorer, score_frame
from streamdepth.evaluation.metric.simulated_references import (
    SIMULATED_REFERENCES,
    SimulatedReference,
    applicable_references,
)
from streamdepth.geometry.inverse_depth import finite_inverse_depth
from streamdepth.geometry.metric_fit import to_meters
from streamdepth.stabilizers import MetricConverter, make_stabilizer

_USUAL_FPS = 30.0
_INDOORS_M, _OUTDOORS_M = 10.0, 80.0
_OUTDOORS_SHARE = 0.25
"""Share of the truth beyond _INDOORS_M from which a set counts as taken outdoors."""


@dataclass(frozen=True, slots=True)
class MetricProtocol:
    """Options of an evaluation of metric depth."""

    references: tuple[str, ...] = ()
    """Names of SIMULATED_REFERENCES; none means all that apply."""
    smooth: str = "default"
    """The preset that steadies videos before they become metric; single pictures are taken as they are."""
    farthest_m: float | None = None
    """Farther truth does not count; None: the set's own `max_depth`, or 10 m, 80 m where a quarter of it is farther."""
    every: int = 1
    """Only every `every`th picture of a set of single pictures is evaluated; videos are evaluated whole."""
    limit: int | None = None
    """Largest number of pictures of a set that are evaluated; None sets no limit."""
    max_scale_error: float = 0.25
    """Error of the scale, as a share, beyond which meters are to be withheld."""
    camera: Intrinsics | None = None
    """The camera of datasets without a camera.json."""

    def names(self, data: DepthDataset) -> list[str]:
        """Returns the names of the pictures to evaluate."""
        return data.names(every=1 if data.is_video else self.every, limit=self.limit)

    def region(self, data: DepthDataset, truth_m: DepthMap) -> ValidRegion:
        """Returns the limits of the truth that counts; `truth_m` is that of one of the set's pictures."""
        known = truth_m[np.isfinite(truth_m)]
        is_outdoors = known.size > 0 and float((known > _INDOORS_M).mean()) > _OUTDOORS_SHARE
        usual = _OUTDOORS_M if is_outdoors else _INDOORS_M
        return ValidRegion(NO_CROP, NEAREST_M, self.farthest_m or data.max_depth_m or usual)


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """The scores of one reference on one dataset."""

    set_name: str
    reference: str
    farthest_m: float
    score: MetricScore
    scorer: MetricScorer
    """The frames behind the score, for plots."""


@dataclass(slots=True)
class _ReferenceRun:
    """One simulated reference, applied to one stream."""

    simulated: SimulatedReference
    converter: MetricConverter | None
    scorer: MetricScorer


def evaluate_metric(
    data: DepthDataset,
    estimator: Estimator,
    protocol: MetricProtocol,
    on_picture: Callable[[], None] = lambda: None,
) -> list[ReferenceResult]:
    """Runs the model once over a dataset, makes its depth metric by each reference, and returns the scores of each."""
    names = protocol.names(data)
    first = next(data.pairs(names[:1]))
    region = protocol.region(data, first.depth)
    scorers = {name: MetricScorer() for name in applicable_references(data, protocol.references)}
    runs: list[_ReferenceRun] = []
    for index, (item, pair) in enumerate(_relative_depth(data, names, estimator, protocol)):
        if index == 0 or not data.is_video:
            runs = [_begin(data, name, pair, protocol, scorer) for name, scorer in scorers.items()]
        truth = region.valid(pair.depth)
        if np.isfinite(truth).any():
            for run in runs:
                _score(run, item, pair, truth, region, protocol)
        on_picture()
    return [
        ReferenceResult(data.name, name, region.farthest_m, scorer.total(), scorer) for name, scorer in scorers.items()
    ]


def _begin(
    data: DepthDataset, name: str, pair: ImageDepthPair, protocol: MetricProtocol, scorer: MetricScorer
) -> _ReferenceRun:
    simulated = SIMULATED_REFERENCES[name](data, protocol.camera)
    reference = simulated.make_reference(pair)
    return _ReferenceRun(
        simulated, None if reference is None else MetricConverter(reference, protocol.max_scale_error), scorer
    )


def _score(
    run: _ReferenceRun,
    item: DepthFrame,
    pair: ImageDepthPair,
    truth: DepthMap,
    region: ValidRegion,
    protocol: MetricProtocol,
) -> None:
    run.simulated.observe(item.frame.index, pair)
    nearness = finite_inverse_depth(item.depth, item.kind)
    given = replace(item, depth=np.full_like(item.depth, np.nan), kind=DepthKind.METRIC)
    withheld: DepthMap | None = None
    if run.converter is not None:
        (given,) = run.converter.push(replace(item, intrinsics=run.simulated.camera))
        if given.is_withheld and run.converter.estimate is not None:
            withheld = to_meters(nearness, *run.converter.estimate)
    run.scorer.frames.append(
        score_frame(
            given,
            nearness,
            truth,
            region,
            withheld_m=withheld,
            has_evidence=run.simulated.has_evidence(pair),
            max_scale_error=protocol.max_scale_error,
        )
    )


def _relative_depth(
    data: DepthDataset, names: Sequence[str], estimator: Estimator, protocol: MetricProtocol
) -> Iterator[tuple[DepthFrame, ImageDepthPair]]:
    """Yields the steadied depth of each picture with its truth, before it becomes metric."""
    stabilizer = make_stabilizer(protocol.smooth if data.is_video else "off")
    ticks = Fraction(1) / Fraction(data.fps or _USUAL_FPS)
    waiting: list[ImageDepthPair] = []
    for index, pair in enumerate(data.pairs(names)):
        waiting.append(pair)
        frame = Frame(pair.image, index, index, ticks, 0.0, data.name)
        depth = estimator.estimate([frame])[0].depth
        if not data.is_video:
            stabilizer.reset()
        for item in stabilizer.push(DepthFrame(frame, depth, estimator.info.kind)):
            yield item, waiting.pop(0)
    for item in stabilizer.flush():
        yield item, waiting.pop(0)
