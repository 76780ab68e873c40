"""Every way to steady depth beside each other: baselines and presets, on the same depth of one run of a network."""

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
from streamdepth.evaluation.steadiness.clip import Clip
from streamdepth.evaluation.steadiness.inputs import DepthClip, DepthStore
from streamdepth.evaluation.steadiness.score import TemporalScore, Truth, score_clip
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
"""Measure -> heading, factor to the unit, unit; percent are of the shot's range."""


def methods() -> dict[str, Callable[[], Stabilizer]]:
    """Name -> a fresh stabilizer: the baselines, then the presets, of which `off` is the network's own depth."""
    presets = {f"--smooth {name}": (lambda name=name: make_stabilizer(name)) for name in PRESETS}
    return {**BASELINES, **presets, "offline, per-shot": lambda: make_stabilizer("offline", "per-shot")}


@dataclass(frozen=True, slots=True)
class Row:
    """What came out for one method on one clip."""

    clip: str
    method: str
    score: TemporalScore
    milliseconds: float
    """Time on the processor per frame, the median."""

    def as_json(self) -> dict[str, Any]:
        """Plain types, without the values of each frame; what does not apply is null."""
        facts = self.score.as_json()
        del facts["per_frame"]
        return {"clip": self.clip, "method": self.method, "ms": round(self.milliseconds, 2), **facts}


@dataclass(frozen=True, slots=True)
class Job:
    """A video with the depth that a network gave it."""

    name: str
    open_source: Callable[[], Source]
    raw: DepthClip
    truth: DepthClip | None = None
    judge: Truth | None = None
    cuts: frozenset[int] | None = None
    """Frames that begin a shot; None: they are found in the pictures."""
    max_frames: int | None = None

    def compare(self, names: Sequence[str] = ()) -> Iterator[Row]:
        """One row per method, in the order of `methods`; `names`: these only. Nothing but depth on disk is kept."""
        for name, make in methods().items():
            if not names or name in names:
                yield self._row(name, make())

    def _row(self, name: str, stabilizer: Stabilizer) -> Row:
        times, ranges = list[float](), list[tuple[int, float, float]]()
        with DepthStore() as store:
            for number, item in enumerate(self._steady(stabilizer, times)):
                store.add(item.depth)
                ranges += [(number, *item.range)] if item.range else []
            depth = DepthClip(name, self.raw.kind, store.__iter__, has_known_unit=name not in BASELINES, ranges=ranges)
            clip = Clip(self.open_source, depth, self.raw, self.truth, self.cuts, self.max_frames)
            score = score_clip(clip, self.judge, same_unit=clip.same_unit)
        return Row(self.name, name, score, sorted(times)[len(times) // 2])

    def _steady(self, stabilizer: Stabilizer, times: list[float]) -> Iterator[DepthFrame]:
        clip = Clip(self.open_source, self.raw, max_frames=self.max_frames)
        for frame, depth in zip(clip.frames(), self.raw, strict=False):
            began = time.thread_time()
            items = list(stabilizer.push(DepthFrame(frame, depth, self.raw.kind)))
            times.append(1000 * (time.thread_time() - began))
            yield from items
        yield from stabilizer.flush()


def changed(raw: DepthClip, change: Callable[[], Callable[[DepthMap], DepthMap]]) -> DepthClip:
    """`raw` with each map changed, for example by `baselines.Jitter`; `change` gives a fresh one per reading."""

    def read() -> Iterator[DepthMap]:
        function = change()
        return (function(depth) for depth in raw)

    return DepthClip(raw.name, raw.kind, read, has_known_unit=raw.has_known_unit)


def stored(store: DepthStore, kind: DepthKind) -> DepthClip:
    """The depth of a network, kept on disk."""
    return DepthClip("raw", kind, store.__iter__, has_known_unit=True)


def table(rows: Sequence[Row]) -> Table:
    """One line per method; measures that apply to none are left out."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    used = [m for m in _COLUMNS if any(math.isfinite(row.score.result.get(m, math.nan)) for row in rows)]
    for heading in ("clip", "method"):
        made.add_column(heading, no_wrap=True)
    for measure in used:
        heading, _, unit = _COLUMNS[measure]
        made.add_column(f"{heading} {unit}".strip(), justify="right")
    made.add_column("ms", justify="right")
    for row in rows:
        values = [row.score.result.get(m, math.nan) * _COLUMNS[m][1] for m in used]
        made.add_row(row.clip, row.method, *map(_figure, values), f"{row.milliseconds:.1f}")
    return made


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"
