"""Comparison of stabilizers, baselines and presets, on the same raw depth of one run of a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Source, Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.evaluation.steadiness.baselines import BASELINES
from streamdepth.evaluation.steadiness.clip import EvaluationClip
from streamdepth.evaluation.steadiness.inputs import DepthDiskCache, DepthSequence
from streamdepth.evaluation.steadiness.score import TemporalScore, TruthOptions, score_clip
from streamdepth.stabilizers import PRESETS, make_stabilizer

_COLUMNS = {
    "flow_warped_error": ("warped error", 100, "%"),
    "tepe_m": ("TEPE", 1000, "mm"),
    "abs_rel": ("AbsRel", 1, ""),
    "delta1": ("delta1", 1, ""),
    "edge_retention": ("edges", 1, ""),
    "lag_frames": ("lag", 1, "frames"),
    "ghosting": ("ghosting", 100, "%"),
    "static_flicker_p50": ("static flicker", 100, "%"),
    "display_range_jitter": ("range jitter", 100, "%"),
    "cut_recovery_frames": ("cut recovery", 1, "frames"),
    "known": ("known", 100, "%"),
}
"""Metric -> heading, factor to the unit, unit; percentages are shares of the shot's range."""


def stabilization_methods() -> dict[str, Callable[[], Stabilizer]]:
    """Returns name -> maker of a stabilizer: the baselines, then the presets, of which `off` is the raw depth."""
    presets = {f"--smooth {name}": (lambda name=name: make_stabilizer(name)) for name in PRESETS}
    return {**BASELINES, **presets, "offline, per-shot": lambda: make_stabilizer("offline", "per-shot")}


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The score of one stabilization method on one clip."""

    clip: str
    method: str
    score: TemporalScore
    milliseconds: float
    """Median processor time per frame."""

    def as_json(self) -> dict[str, Any]:
        """Returns plain types for JSON, without values per frame; a metric that does not apply is None."""
        facts = self.score.as_json()
        del facts["per_frame"]
        return {"clip": self.clip, "method": self.method, "ms": round(self.milliseconds, 2), **facts}


@dataclass(frozen=True, slots=True)
class StabilizerComparison:
    """A video with a network's depth, on which stabilization methods are compared."""

    name: str
    open_source: Callable[[], Source]
    raw: DepthSequence
    """The network's depth."""
    truth: DepthSequence | None = None
    truth_options: TruthOptions | None = None
    cuts: frozenset[int] | None = None
    """Indices of the first frames of shots; None: cuts are detected in the pictures."""
    max_frames: int | None = None

    def compare(self, names: Sequence[str] = ()) -> Iterator[MethodResult]:
        """Yields the result of each method in the order of `stabilization_methods`; with `names`, of these only.

        Nothing is kept but depth on disk.
        """
        for name, make in stabilization_methods().items():
            if not names or name in names:
                yield self._score(name, make())

    def _score(self, name: str, stabilizer: Stabilizer) -> MethodResult:
        times, ranges = list[float](), list[tuple[int, float, float]]()
        with DepthDiskCache() as cache:
            for number, item in enumerate(self._stabilized(stabilizer, times)):
                cache.add(item.depth)
                ranges += [(number, *item.range)] if item.range else []
            depth = DepthSequence(
                name, self.raw.kind, cache.__iter__, has_known_unit=name not in BASELINES, ranges=ranges
            )
            clip = EvaluationClip(self.open_source, depth, self.raw, self.truth, self.cuts, self.max_frames)
            score = score_clip(clip, self.truth_options, same_unit=clip.same_unit)
        return MethodResult(self.name, name, score, sorted(times)[len(times) // 2])

    def _stabilized(self, stabilizer: Stabilizer, times: list[float]) -> Iterator[DepthFrame]:
        clip = EvaluationClip(self.open_source, self.raw, max_frames=self.max_frames)
        for frame, depth in zip(clip.frames(), self.raw, strict=False):
            start = time.thread_time()
            items = list(stabilizer.push(DepthFrame(frame, depth, self.raw.kind)))
            times.append(1000 * (time.thread_time() - start))
            yield from items
        yield from stabilizer.flush()


def map_sequence(raw: DepthSequence, make_function: Callable[[], Callable[[DepthMap], DepthMap]]) -> DepthSequence:
    """Returns `raw` with a function such as `baselines.DepthNoise` applied to each map, made anew for each reading."""

    def read() -> Iterator[DepthMap]:
        function = make_function()
        return (function(depth) for depth in raw)

    return DepthSequence(raw.name, raw.kind, read, has_known_unit=raw.has_known_unit)


def cached_sequence(cache: DepthDiskCache, kind: DepthKind) -> DepthSequence:
    """Returns the raw depth of a network that is cached on disk."""
    return DepthSequence("raw", kind, cache.__iter__, has_known_unit=True)


def table(rows: Sequence[MethodResult]) -> Table:
    """Returns one line per result; metrics that apply to none are left out."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    used = [m for m in _COLUMNS if any(math.isfinite(row.score.result.get(m, math.nan)) for row in rows)]
    for heading in ("clip", "method"):
        made.add_column(heading, no_wrap=True)
    for name in used:
        heading, _, unit = _COLUMNS[name]
        made.add_column(f"{heading} {unit}".strip(), justify="right")
    made.add_column("ms", justify="right")
    for row in rows:
        values = [row.score.result.get(m, math.nan) * _COLUMNS[m][1] for m in used]
        made.add_row(row.clip, row.method, *map(_figure, values), f"{row.milliseconds:.1f}")
    return made


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"
