"""Stabilizers, each usable alone, and presets that put them together.

Their order in a preset: cuts are found, scale and shift are aligned, depth is smoothed along the motion, relative depth
becomes metric if a reference is known, sky becomes +inf in metric depth, and the display range is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers.align import Aligner
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.hot_swap import HotSwapStabilizer
from streamdepth.stabilizers.metric import MAX_SCALE_ERROR, MetricConverter, MetricReference
from streamdepth.stabilizers.optical_flow import MotionTracker
from streamdepth.stabilizers.propagation import FlowPropagator
from streamdepth.stabilizers.range import LockedRange, RangeByKind, RangeTracker, ShotRange
from streamdepth.stabilizers.sensor import SENSOR_MEMORY_SECONDS, SensorFilter
from streamdepth.stabilizers.sky import SkyMarker
from streamdepth.stabilizers.temporal import TemporalFilter, TwoSidedFilter

__all__ = [
    "PRESETS",
    "Aligner",
    "CutDetector",
    "FlowPropagator",
    "HotSwapStabilizer",
    "LockedRange",
    "MetricConverter",
    "MetricReference",
    "MotionTracker",
    "RangeByKind",
    "RangeTracker",
    "SensorFilter",
    "ShotRange",
    "SkyMarker",
    "StabilizerChain",
    "TemporalFilter",
    "TwoSidedFilter",
    "check_live_settings",
    "make_hot_swap_stabilizer",
    "make_stabilizer",
]

SCALE_RANGE = "scale"
"""The range for files with relative depth as 16-bit numbers: one scale for all values of a shot."""
PRESETS = {
    "off": "the network's depth as it is",
    "light": "memory of 0.2 s, within 6 % of the range of the network's depth",
    "default": "memory of 1.5 s, within 9 %",
    "strong": "memory of 3 s, within 12 %",
    "offline": "0.4 s before and after, for files: nothing lags",
}
"""The presets by name, with what each does; README.md beside this file has their costs and gains."""


class StabilizerChain(Stabilizer):
    """Several stabilizers, one after the other. Items pass one by one, so that they do not pile up in memory."""

    def __init__(self, stages: Sequence[Stabilizer]) -> None:
        self.stages = list(stages)
        self.is_offline = any(stage.is_offline for stage in stages)

    @property
    def notices(self) -> list[str]:
        return [text for stage in self.stages for text in stage.notices]

    @property
    def facts(self) -> dict[str, float | int | None]:
        return {name: value for stage in self.stages for name, value in stage.facts.items()}

    def output_kind(self, kind: DepthKind) -> DepthKind:
        for stage in self.stages:
            kind = stage.output_kind(kind)
        return kind

    def begins_shot(self, frame: Frame) -> bool:
        answers = [stage.begins_shot(frame) for stage in self.stages]
        return any(answers)

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        return _push_all(self.stages, [item])

    def flush(self) -> Iterator[DepthFrame]:
        for i, stage in enumerate(self.stages):
            yield from _push_all(self.stages[i + 1 :], stage.flush())

    def reset(self) -> None:
        for stage in self.stages:
            stage.reset()


def _push_all(stages: Sequence[Stabilizer], items: Iterable[DepthFrame]) -> Iterator[DepthFrame]:
    """Yields the results of items pushed through all stages; each item is pushed when its results are asked for."""
    for stage in stages:
        items = chain.from_iterable(map(stage.push, items))
    return iter(items)


def make_stabilizer(
    smooth: str = "default",
    range: str = "auto",
    metric: MetricReference | None = None,
    tracker: MotionTracker | None = None,
    max_scale_error: float = MAX_SCALE_ERROR,
    is_sensor: bool = False,
) -> Stabilizer:
    """Builds the stabilizer of a preset with a display range.

    Args:
        smooth: a name of PRESETS.
        range: `auto`, `lock:LOW,HIGH`, or for files `per-shot`, `lock:LOW%,HIGH%` (percent of the file's values) and
            `scale` (that of numbered pictures: relative depth spans all values of a shot, metric depth is as in auto).
        metric: the reference that makes relative depth metric; None leaves it relative.
        tracker: shared with others that follow the same stream.
        max_scale_error: one-sigma error of the metric scale beyond which meters are withheld, as a share.
        is_sensor: the depth was measured and not estimated, so that it is smoothed only where nothing moves.

    Raises:
        ConfigError: for other words, with the code "unknown-smoothing" or "unknown-range".
    """
    tracker = tracker or MotionTracker()
    smoothing = _make_smoothing(smooth, tracker, is_sensor=is_sensor)
    return _assemble(smoothing, _make_range(range), metric, tracker, max_scale_error, is_sensor=is_sensor)


def make_hot_swap_stabilizer(
    smooth: Callable[[], str],
    range: Callable[[], str],
    metric: MetricReference | None,
    tracker: MotionTracker,
    max_scale_error: float = MAX_SCALE_ERROR,
    is_sensor: bool = False,
) -> Stabilizer:
    """Builds a stabilizer like `make_stabilizer` for live streams; its settings are read before each frame."""
    return _assemble(
        [HotSwapStabilizer(smooth, lambda name: StabilizerChain(_make_smoothing(name, tracker, is_sensor=is_sensor)))],
        HotSwapStabilizer(range, _make_range),
        metric,
        tracker,
        max_scale_error,
        is_sensor=is_sensor,
    )


def check_live_settings(smooth: str, range: str) -> None:
    """Raises ConfigError, with the code "not-live" for settings that only suit files."""
    if make_stabilizer(smooth, range).is_offline:
        raise ConfigError(
            "offline smoothing and the range per-shot are for files; use smooth default and range auto",
            code="not-live",
        )


def _assemble(
    smoothing: Sequence[Stabilizer],
    range: Stabilizer,
    metric: MetricReference | None,
    tracker: MotionTracker,
    max_scale_error: float,
    *,
    is_sensor: bool,
) -> StabilizerChain:
    is_late = any(stage.is_offline for stage in smoothing)
    later_tracker = MotionTracker() if is_late else tracker
    to_metric = [MetricConverter(metric, max_scale_error, later_tracker)] if metric else []
    sky = [] if is_sensor else [SkyMarker(later_tracker)]
    return StabilizerChain([CutDetector(tracker=tracker), *smoothing, *to_metric, *sky, range])


def _make_smoothing(preset: str, tracker: MotionTracker, *, is_sensor: bool = False) -> list[Stabilizer]:
    if preset not in PRESETS:
        raise ConfigError(
            f"unknown smoothing '{preset}'; choose one of: {', '.join(PRESETS)}", code="unknown-smoothing"
        )
    if preset == "off":
        return []
    if is_sensor:
        return [SensorFilter(SENSOR_MEMORY_SECONDS[preset], tracker=tracker)]
    filters: dict[str, Stabilizer] = {
        "light": TemporalFilter(0.2, 6.0, tracker=tracker),
        "default": TemporalFilter(tracker=tracker),
        "strong": TemporalFilter(3.0, 12.0, tracker=tracker),
        "offline": TwoSidedFilter(tracker=tracker),
    }
    return [Aligner(tracker=tracker), filters[preset]]


def _make_range(text: str) -> Stabilizer:
    if text == "auto":
        return RangeTracker()
    if text == "per-shot":
        return ShotRange()
    if text == SCALE_RANGE:
        return RangeByKind(ShotRange((0, 1)), RangeTracker())
    try:
        return _make_locked_range(text)
    except ValueError:
        raise ConfigError(
            f"unknown range '{text}'; use auto, per-shot, lock:LOW,HIGH with finite numbers such as lock:0.5,6, or "
            "percent of a file's values such as lock:2%,98%",
            code="unknown-range",
        ) from None


def _make_locked_range(text: str) -> Stabilizer:
    """Makes the range of `lock:LOW,HIGH` or `lock:LOW%,HIGH%`. Raises ValueError for anything else."""
    word, numbers = text.split(":")
    ends = [number.strip() for number in numbers.split(",")]
    low, high = (float(end.removesuffix("%")) for end in ends)
    if word != "lock" or not -math.inf < low < high < math.inf:
        raise ValueError(text)
    signs = {end.endswith("%") for end in ends}
    if signs == {False}:
        return LockedRange(low, high)
    if len(signs) > 1 or low < 0 or high > 100:
        raise ValueError(text)
    return ShotRange((low / 100, high / 100), restarts_at_cuts=False)
