"""Load control of live streams: the model's input shrinks, then it runs less often, until a target is reached."""

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
"""Length of the window of frames that are judged together."""
CALM_SECONDS, _MAX_CALM_SECONDS = 6.0, 96.0
"""Seconds of light load before the quality rises; doubled, up to the second number, each time a rise fails."""
_TARGET_TOLERANCE = 0.95
"""Share of the target frame rate that counts as reaching it."""
_LIGHT_BUSY_SHARE, _LIGHT_LATENCY_SHARE = 0.6, 0.7
"""The load is light while the model is busy for less than this share of the time, and the latency is below this share
of its limit."""
_INPUT_SCALES = (1.0, 0.85, 0.7, 0.6, 0.5)
_INFERENCE_FPS = (10.0, 5.0)
_DEFAULT_INPUT_PX = 384
"""Short side of the input, assumed for models that do not state theirs."""


@dataclass(frozen=True, slots=True)
class QualityLevel:
    """A trade of quality for speed: the size of the model's input, and how often the model runs."""

    input_scale: float = 1.0
    """Each side of the model's input, as a share of its usual size."""
    inference_fps: float | None = None
    """Largest number of inferences per second where depth is propagated in between; None runs on every frame, or as
    often as possible."""

    def __str__(self) -> str:
        rate = f", {self.inference_fps:g} times a second" if self.inference_fps else ""
        return f"an input of {self.input_scale:.0%} of its size{rate}"


def make_quality_levels(
    inference_fps: float | None, *, propagates: bool, can_resize: bool = True
) -> list[QualityLevel]:
    """Returns quality levels from the highest to the lowest.

    Args:
        inference_fps: inferences per second at the highest level; None if they are not limited.
        propagates: True if frames without inference get propagated depth, so that the model may run less often.
        can_resize: True if the model's input can have another size.
    """
    scales = _INPUT_SCALES if can_resize else _INPUT_SCALES[:1]
    lower = ([inference_fps / 2, inference_fps / 4] if inference_fps else list(_INFERENCE_FPS)) if propagates else []
    levels = [QualityLevel(scale, inference_fps) for scale in scales]
    return levels + [QualityLevel(scales[-1], fps) for fps in lower]


class LoadController:
    """Chooses a quality level so that streams reach a frame rate and no frame is older than a limit.

    The level falls as soon as a window of frames was too slow, and rises only after a calm time with a light load. That
    time doubles whenever the higher level proves too much, so that the level does not oscillate. No more frames are
    expected than were read. The window after a change, in which another input size is prepared, does not count.
    Thread-safe.

    Args:
        levels: quality levels from the highest to the lowest.
        target_fps: frames per second of all streams together; None sets no target.
        max_latency_seconds: limit of a frame's age when it is written; None sets no limit.
    """

    def __init__(
        self,
        levels: Sequence[QualityLevel],
        *,
        target_fps: float | None = None,
        max_latency_seconds: float | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._levels, self._target_fps, self._max_latency = list(levels), target_fps, max_latency_seconds
        self._index = 0
        self._calm_seconds = CALM_SECONDS
        self._light_since: float | None = None
        self._rose_at: float | None = None
        self._skips_window = True
        self._window_start: tuple[float, int, float] | None = None
        self._latencies: list[float] = []

    @property
    def level(self) -> QualityLevel:
        """The quality level to run at now."""
        with self._lock:
            return self._levels[self._index]

    def exclude_scale(self, input_scale: float) -> None:
        """Removes an input scale that cannot be loaded; the next larger takes its place, or else the largest left."""
        with self._lock:
            rest = [level.input_scale for level in self._levels if level.input_scale != input_scale]
            if not rest:
                return
            substitute = min((scale for scale in rest if scale > input_scale), default=max(rest))
            levels = [
                replace(level, input_scale=substitute) if level.input_scale == input_scale else level
                for level in self._levels
            ]
            current = levels[self._index]
            self._levels = list(dict.fromkeys(levels))
            self._index = self._levels.index(current)

    def add_frame(self, now: float, latency: float, frames_read: int, busy_seconds: float) -> str | None:
        """Counts a finished frame, and returns a message for people when the quality level changed.

        Args:
            now: the time in seconds.
            latency: the frame's age in seconds.
            frames_read: frames read since the start.
            busy_seconds: seconds in which the model was busy since the start.
        """
        if self._window_start is None:
            self._window_start = now, frames_read, busy_seconds
        self._latencies.append(latency)
        began, read_before, busy_before = self._window_start
        seconds = now - began
        if seconds < WINDOW_SECONDS:
            return None
        fps, read_fps = len(self._latencies) / seconds, (frames_read - read_before) / seconds
        p95_latency = sorted(self._latencies)[int(0.95 * len(self._latencies))]
        self._window_start, self._latencies = (now, frames_read, busy_seconds), []
        if self._skips_window:
            self._skips_window = False
            return None
        with self._lock:
            expected_fps = min(self._target_fps or 0.0, read_fps)
            return self._judge(now, fps, expected_fps, p95_latency, (busy_seconds - busy_before) / seconds)

    def _judge(self, now: float, fps: float, expected_fps: float, latency: float, busy_share: float) -> str | None:
        if fps < _TARGET_TOLERANCE * expected_fps:
            return self._lower(now, f"{fps:.1f} of {expected_fps:.1f} frames a second")
        if self._max_latency is not None and latency > self._max_latency:
            return self._lower(now, f"frames are {latency * 1e3:.0f} ms old")
        is_latency_low = self._max_latency is None or latency < _LIGHT_LATENCY_SHARE * self._max_latency
        if not is_latency_low or busy_share > _LIGHT_BUSY_SHARE:
            self._light_since = None
            return None
        self._light_since = now if self._light_since is None else self._light_since
        is_calm = now - self._light_since >= self._calm_seconds
        return self._change(now, -1, "there is room for more") if is_calm and self._index else None

    def _lower(self, now: float, reason: str) -> str | None:
        if self._rose_at is not None and now - self._rose_at < 2 * self._calm_seconds:
            self._calm_seconds = min(2 * self._calm_seconds, _MAX_CALM_SECONDS)
        self._rose_at = self._light_since = None
        return self._change(now, 1, reason) if self._index + 1 < len(self._levels) else None

    def _change(self, now: float, step: int, reason: str) -> str:
        self._index += step
        self._rose_at = now if step < 0 else None
        self._light_since, self._skips_window = None, True
        return f"{reason}: the model gets {self.level}"


def update_load(controller: LoadController, pipeline: Pipeline, item: DepthFrame) -> None:
    """Counts a finished frame of a live stream; a changed quality level is logged, and the pipeline follows it."""
    if not any(stream.needs_low_latency for stream in pipeline.streams):
        return
    now, stats = time.monotonic(), pipeline.stats
    message = controller.add_frame(
        now, now - item.frame.captured_at, stats["read"], stats.durations["infer"].total_seconds
    )
    if message:
        _log.warning("%s", message)
        pipeline.set_inference_fps(controller.level.inference_fps)


def make_load_controller(settings: Settings, stream_count: int, *, can_load: bool = True) -> LoadController | None:
    """Returns a controller for the targets of the settings; None where they name none.

    Args:
        settings: the settings of the run; the target frame rate is that of each stream.
        stream_count: number of streams that share the model.
        can_load: True if another size of the model can be loaded.

    Raises:
        ConfigError: if neither the input's size nor the inference rate can change ("fixed-size").
    """
    inference = settings.inference
    if not (inference.target_fps or inference.max_latency_ms):
        return None
    reason = _why_input_is_fixed(settings)
    levels = make_quality_levels(
        None if inference.fps == "auto" else inference.fps,
        propagates=inference.fps is not None,
        can_resize=can_load and not reason,
    )
    if reason and len(levels) == 1:
        raise ConfigError(
            f"--target-fps and --max-latency-ms vary what the model does, and {reason}; leave them out, or let it run "
            "less often with --inference-fps auto",
            code="fixed-size",
        )
    return LoadController(
        levels,
        target_fps=stream_count * inference.target_fps if inference.target_fps else None,
        max_latency_seconds=inference.max_latency_ms / 1e3 if inference.max_latency_ms else None,
    )


def _why_input_is_fixed(settings: Settings) -> str:
    """Returns why the model's input cannot have another size; "" when it can."""
    from streamdepth.estimators.exported_model import is_exported_model

    if settings.cluster:
        return "on a cluster its input keeps its size"
    return f"'{settings.model.name}' was made for one size of input" if is_exported_model(settings.model.name) else ""


def make_adaptive_estimator(
    controller: LoadController, settings: Settings, load: Callable[[Settings], Estimator]
) -> HotSwapEstimator[float]:
    """Returns the settings' model, hot-swapped for one of another input size when the controller chooses that.

    A size that cannot be loaded is logged and not tried again; the current model stays in use.
    """
    usual_px: list[int] = []

    def load_scaled(input_scale: float) -> Estimator:
        if usual_px and input_scale < 1:
            return load(settings.replace(size=round(usual_px[0] * input_scale)))
        estimator = load(settings)
        usual_px[:] = [settings.model.size or _input_px(estimator)]
        return estimator

    def on_failed(input_scale: float, error: BaseException) -> None:
        _log.warning("the model's input cannot be %.0f %% of its size: %s", 100 * input_scale, error)
        controller.exclude_scale(input_scale)

    return HotSwapEstimator(lambda: controller.level.input_scale, load_scaled, on_failed)


def _input_px(estimator: Estimator) -> int:
    """Returns the short side of the network's input in px."""
    card = getattr(estimator, "card", None)
    return min(card.spec.size) if card is not None and card.spec.size else _DEFAULT_INPUT_PX
