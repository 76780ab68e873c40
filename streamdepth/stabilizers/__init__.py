"""What steadies depth, each part usable alone; `make_stabilizer` puts a preset's parts together.

Order: cuts are found, scale and shift are aligned, depth is smoothed along the motion, relative
depth gets its metres where they are known, the range to display follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers.align import Aligner
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.hot_swap import HotSwapStabilizer
from streamdepth.stabilizers.metric import MetricFit, Reference
from streamdepth.stabilizers.optical_flow import MotionTracker
from streamdepth.stabilizers.propagation import FlowPropagator
from streamdepth.stabilizers.range import LockedRange, RangeTracker, ShotRange
from streamdepth.stabilizers.temporal import TemporalFilter, TwoSidedFilter

__all__ = [
    "PRESETS",
    "Aligner",
    "Chain",
    "CutDetector",
    "FlowPropagator",
    "HotSwapStabilizer",
    "LockedRange",
    "MetricFit",
    "MotionTracker",
    "RangeTracker",
    "Reference",
    "ShotRange",
    "TemporalFilter",
    "TwoSidedFilter",
    "check_live",
    "make_hot_swap_stabilizer",
    "make_stabilizer",
]

PRESETS = {
    "off": "the network's depth as it is",
    "light": "memory of 0.2 s, within 6 % of the range of the network's depth",
    "default": "memory of 1.5 s, within 9 %",
    "strong": "memory of 3 s, within 12 %",
    "offline": "0.4 s before and after, for files: nothing lags",
}
"""Preset -> what it does. README tells what each costs and gains."""


class Chain(Stabilizer):
    """Several stabilizers, one after the other. Items go through one by one, so that none gather in memory."""

    def __init__(self, parts: Sequence[Stabilizer]) -> None:
        self.parts = list(parts)
        self.is_late = any(part.is_late for part in parts)

    @property
    def notices(self) -> list[str]:
        return [text for part in self.parts for text in part.notices]

    def kind_of(self, kind: DepthKind) -> DepthKind:
        for part in self.parts:
            kind = part.kind_of(kind)
        return kind

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        return self._through([item], self.parts)

    def flush(self) -> Iterator[DepthFrame]:
        for i, part in enumerate(self.parts):
            yield from self._through(part.flush(), self.parts[i + 1 :])

    def reset(self) -> None:
        for part in self.parts:
            part.reset()

    def _through(self, items: Iterable[DepthFrame], parts: Sequence[Stabilizer]) -> Iterator[DepthFrame]:
        if not parts:
            yield from items
            return
        for item in items:
            yield from self._through(parts[0].push(item), parts[1:])


def make_stabilizer(
    smooth: str = "default", range: str = "auto", metric: Reference | None = None, motion: MotionTracker | None = None
) -> Stabilizer:
    """A preset of PRESETS with a display range: `auto`, `lock:LOW,HIGH`, or `per-shot` for files.

    metric: what gives relative depth its metres. Raises ConfigError for other words.
    """
    motion = motion or MotionTracker()
    return _chain(Chain(_smoothing(smooth, motion)), _range(range), metric, motion)


def make_hot_swap_stabilizer(
    smooth: Callable[[], str], range: Callable[[], str], metric: Reference | None, motion: MotionTracker
) -> Stabilizer:
    """As `make_stabilizer`, with words that are asked for before each frame; only such as suit live streams."""
    return _chain(
        HotSwapStabilizer(smooth, lambda word: Chain(_smoothing(word, motion))),
        HotSwapStabilizer(range, _range),
        metric,
        motion,
    )


def check_live(smooth: str, range: str) -> None:
    """Raises ConfigError for words that do not suit a live stream."""
    if make_stabilizer(smooth, range).is_late:
        raise ConfigError("offline smoothing and the range per-shot are for files; use smooth default and range auto")


def _chain(smoothing: Stabilizer, range: Stabilizer, metric: Reference | None, motion: MotionTracker) -> Chain:
    to_metric = [MetricFit(metric)] if metric else []
    return Chain([CutDetector(motion=motion), smoothing, *to_metric, range])


def _smoothing(smooth: str, motion: MotionTracker) -> list[Stabilizer]:
    if smooth not in PRESETS:
        raise ConfigError(f"unknown smoothing '{smooth}'; choose one of: {', '.join(PRESETS)}")
    if smooth == "off":
        return []
    filters: dict[str, Stabilizer] = {
        "light": TemporalFilter(0.2, 6.0, motion=motion),
        "default": TemporalFilter(motion=motion),
        "strong": TemporalFilter(3.0, 12.0, motion=motion),
        "offline": TwoSidedFilter(motion=motion),
    }
    return [Aligner(motion=motion), filters[smooth]]


def _range(text: str) -> Stabilizer:
    if text == "auto":
        return RangeTracker()
    if text == "per-shot":
        return ShotRange()
    try:
        word, numbers = text.split(":")
        low, high = (float(n) for n in numbers.split(","))
        if word != "lock" or not -math.inf < low < high < math.inf:
            raise ValueError(text)
    except ValueError:
        raise ConfigError(
            f"unknown range '{text}'; use auto, per-shot, or lock:LOW,HIGH with finite numbers such as lock:0.5,6"
        ) from None
    return LockedRange(low, high)
