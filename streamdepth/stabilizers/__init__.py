"""What steadies depth, each part usable alone; `make_stabilizer` puts a preset's parts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamdepth.errors import ConfigError
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.range import LockedRange, RangeTracker
from streamdepth.stabilizers.temporal import TemporalFilter
from streamdepth.stages import Stabilizer
from streamdepth.types import DepthFrame

PRESETS: dict[str, float | None] = {"off": None, "light": 0.1, "default": 0.3, "strong": 0.8}
"""Preset -> time constant of the temporal filter in seconds; None leaves the network's depth as it is."""


class Chain(Stabilizer):
    """Several stabilizers, one after the other."""

    def __init__(self, parts: Sequence[Stabilizer]) -> None:
        self.parts = list(parts)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        return self._through([item], self.parts)

    def flush(self) -> Iterable[DepthFrame]:
        late: list[DepthFrame] = []
        for i, part in enumerate(self.parts):
            late += self._through(part.flush(), self.parts[i + 1 :])
        return late

    def reset(self) -> None:
        for part in self.parts:
            part.reset()

    @staticmethod
    def _through(items: Iterable[DepthFrame], parts: Sequence[Stabilizer]) -> list[DepthFrame]:
        result = list(items)
        for part in parts:
            result = [out for item in result for out in part.push(item)]
        return result


def make_stabilizer(smooth: str = "default", range: str = "auto") -> Stabilizer:
    """A preset (`off`, `light`, `default`, `strong`) with a display range (`auto` or `lock:LOW,HIGH`).

    Raises ConfigError for other words.
    """
    if smooth not in PRESETS:
        raise ConfigError(f"unknown smoothing '{smooth}'; choose one of: {', '.join(PRESETS)}")
    seconds = PRESETS[smooth]
    parts: list[Stabilizer] = [CutDetector()]
    if seconds is not None:
        parts.append(TemporalFilter(seconds))
    return Chain([*parts, _range(range)])


def _range(text: str) -> Stabilizer:
    if text == "auto":
        return RangeTracker()
    try:
        word, numbers = text.split(":")
        low, high = (float(n) for n in numbers.split(","))
        if word != "lock" or not low < high:
            raise ValueError(text)
    except ValueError:
        raise ConfigError(f"unknown range '{text}'; use auto, or lock:LOW,HIGH such as lock:0.5,6") from None
    return LockedRange(low, high)
