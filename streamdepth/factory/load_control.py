"""Keeps live streams at a target by how much the model does: the size of its input first, then how often it runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthFrame
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.pipeline.pipeline import Pipeline

_log = logging.getLogger(__name__)

WINDOW_SECONDS = 2.0
"""Of frames that are judged together."""
CALM_SECONDS, _LONGEST_CALM_SECONDS = 6.0, 96.0
"""How long it must have been easy before more is tried; doubled each time that was too much."""
_MET = 0.95
"""Share of the target that counts as meeting it."""
_IDLE_SHARE, _ROOM = 0.6, 0.7
"""Easy is: the model works less than this share of the time, and the latency is below this share of the limit."""
_SHARES = (1.0, 0.85, 0.7, 0.6, 0.5)
_RATES_HZ = (10.0, 5.0)
_USUAL_PX = 384


@dataclass(frozen=True, slots=True)
class QualityLevel:
    """What the model does."""

    share: float = 1.0
    """Of the usual size of its input, each side."""
    hz: float | None = None
    """How often it runs at most, where depth is carried in between; None: on every frame, or as often as it can."""

    def __str__(self) -> str:
        return f"an input of {self.share:.0%} of its size" + (f", {self.hz:g} times a second" if self.hz else "")


def quality_levels(hz: float | None, *, carries: bool, has_sizes: bool = True) -> list[QualityLevel]:
    """From the most to the least. hz: the most often the model runs. carries: whether depth is carried in between.

    has_sizes: whether the model's input can have another size.
    """
    shares = _SHARES if has_sizes else _SHARES[:1]
    rates = ([hz / 2, hz / 4] if hz else list(_RATES_HZ)) if carries else []
    return [QualityLevel(share, hz) for share in shares] + [QualityLevel(shares[-1], rate) for rate in rates]


class LoadController:
    """Chooses one of `efforts` so that so many frames a second come out and none is older than the limit.

    It does less as soon as a window was too slow, and more only after a calm time in which it was easy, which doubles
    when more proves too much: so it settles. No more frames are expected than came in. The window after a change, in
    which another size is being prepared, does not count. Thread-safe.
    """

    def __init__(
        self,
        quality_levels: Sequence[QualityLevel],
        *,
        target_fps: float | None = None,
        max_latency_seconds: float | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._efforts, self._target, self._limit = list(quality_levels), target_fps, max_latency_seconds
        self._level = 0
        self._calm_seconds = CALM_SECONDS
        self._calm_since: float | None = None
        self._rose_at: float | None = None
        self._settles = True
        self._window: tuple[float, int, float] | None = None
        self._ages: list[float] = []

    @property
    def effort(self) -> QualityLevel:
        """What the model is to do now."""
        with self._lock:
            return self._efforts[self._level]

    def rule_out(self, share: float) -> None:
        """The input cannot have that size: the next larger takes its place for good, or else the largest there is."""
        with self._lock:
            rest = [effort.share for effort in self._efforts if effort.share != share]
            if not rest:
                return
            instead = min((other for other in rest if other > share), default=max(rest))
            found = [replace(e, share=instead) if e.share == share else e for e in self._efforts]
            now = found[self._level]
            self._efforts = list(dict.fromkeys(found))
            self._level = self._efforts.index(now)

    def written(self, now: float, age: float, read: int, busy: float) -> str | None:
        """To be told of each finished frame: its age, and since the start the frames read and the model's busy time.

        All in seconds of one clock. Returns what people should know when `effort` has changed.
        """
        if self._window is None:
            self._window = now, read, busy
        self._ages.append(age)
        began, read_before, busy_before = self._window
        seconds = now - began
        if seconds < WINDOW_SECONDS:
            return None
        fps, came = len(self._ages) / seconds, (read - read_before) / seconds
        oldest = sorted(self._ages)[int(0.95 * len(self._ages))]
        self._window, self._ages = (now, read, busy), []
        if self._settles:
            self._settles = False
            return None
        with self._lock:
            return self._judge(now, fps, min(self._target or 0.0, came), oldest, (busy - busy_before) / seconds)

    def _judge(self, now: float, fps: float, wanted: float, oldest: float, busy_share: float) -> str | None:
        is_slow = fps < _MET * wanted
        is_old = self._limit is not None and oldest > self._limit
        has_room = self._limit is None or oldest < _ROOM * self._limit
        if is_slow or is_old:
            reason = (
                f"{fps:.1f} of {wanted:.1f} frames a second" if is_slow else f"frames are {oldest * 1e3:.0f} ms old"
            )
            return self._fall(now, reason)
        if not has_room or busy_share > _IDLE_SHARE:
            self._calm_since = None
            return None
        self._calm_since = now if self._calm_since is None else self._calm_since
        is_calm = now - self._calm_since >= self._calm_seconds
        return self._move(now, -1, "there is room for more") if is_calm and self._level else None

    def _fall(self, now: float, reason: str) -> str | None:
        if self._rose_at is not None and now - self._rose_at < 2 * self._calm_seconds:
            self._calm_seconds = min(2 * self._calm_seconds, _LONGEST_CALM_SECONDS)
        self._rose_at = self._calm_since = None
        return self._move(now, 1, reason) if self._level + 1 < len(self._efforts) else None

    def _move(self, now: float, step: int, reason: str) -> str:
        self._level += step
        self._rose_at = now if step < 0 else None
        self._calm_since, self._settles = None, True
        return f"{reason}: the model gets {self.effort}"


def keep_pace(pace: LoadController, pipeline: Pipeline, item: DepthFrame) -> None:
    """Tells `pace` of a finished frame of a live stream, and the pipeline and people what it decides."""
    if not any(stream.is_timely for stream in pipeline.streams):
        return
    now, stats = time.monotonic(), pipeline.stats
    told = pace.written(now, now - item.frame.captured_at, stats["read"], stats.total_seconds("infer"))
    if told:
        _log.warning("%s", told)
        pipeline.set_inference_fps(pace.effort.hz)


def make_pace(settings: Settings, streams: int, *, loads_model: bool = True) -> LoadController | None:
    """What the settings ask for, of so many streams together; None where they ask for nothing.

    loads_model: whether another size of the model can be loaded. Raises ConfigError where nothing can be varied.
    """
    if not (settings.inference.target_fps or settings.inference.max_latency_ms):
        return None
    hz = None if settings.inference.fps == "auto" else settings.inference.fps
    fixed = _why_one_size(settings)
    found = quality_levels(hz, carries=settings.inference.fps is not None, has_sizes=loads_model and not fixed)
    if fixed and len(found) == 1:
        raise ConfigError(
            f"--target-fps and --max-latency-ms vary what the model does, and {fixed}; leave them out, or let it run "
            "less often with --inference-fps auto"
        )
    return LoadController(
        found,
        target_fps=streams * settings.inference.target_fps if settings.inference.target_fps else None,
        max_latency_seconds=settings.inference.max_latency_ms / 1e3 if settings.inference.max_latency_ms else None,
    )


def _why_one_size(settings: Settings) -> str:
    """Why the model's input cannot have another size; empty when it can."""
    from streamdepth.estimators.exported_model import is_exported_model

    if settings.cluster:
        return "on a cluster its input keeps its size"
    return f"'{settings.model.name}' was made for one size of input" if is_exported_model(settings.model.name) else ""


def make_paced(
    pace: LoadController, settings: Settings, load: Callable[[Settings], Estimator]
) -> HotSwapEstimator[float]:
    """The settings' model in the size that `pace` asks for.

    One that cannot be had is said and not asked for again, and the one at work stays.
    """
    usual_px: list[int] = []

    def load_share(share: float) -> Estimator:
        if usual_px and share < 1:
            return load(settings.replace(size=round(usual_px[0] * share)))
        estimator = load(settings)
        usual_px[:] = [settings.model.size or _short_side(estimator)]
        return estimator

    def failed(share: float, error: BaseException) -> None:
        _log.warning("the model's input cannot be %.0f %% of its size: %s", 100 * share, error)
        pace.rule_out(share)

    return HotSwapEstimator(lambda: pace.effort.share, load_share, failed)


def _short_side(estimator: Estimator) -> int:
    """px of the network's input where it has a size of its own."""
    card = getattr(estimator, "card", None)
    return min(card.spec.size) if card is not None and card.spec.size else _USUAL_PX
