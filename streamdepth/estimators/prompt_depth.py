"""Models that take a sensor's depth as a prompt beside the picture: metric depth from a cheap sensor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import Unpack

import numpy as np
import torch

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import InferenceError
from streamdepth.core.futures import CompletedFuture, Future
from streamdepth.core.types import Estimate, Frame
from streamdepth.estimators.engines import EngineOptions, inference_error
from streamdepth.estimators.engines.eager_engine import EagerEngine
from streamdepth.estimators.network import Network, make_estimates
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.geometry.hole_filling import fill_nearest

_log = logging.getLogger(__name__)

HOLD_SECONDS = 0.5
"""Longest time for which a stream's last depth of the sensor serves frames that have none."""
_USUAL_PROMPT = (192, 256)
"""Rows and columns of the LiDAR depth of a telephone."""


class PromptEstimator(NetworkEstimator):
    """Computes metric depth from pictures and the depth of a sensor, `Frame.sensor_depth`, at any size.

    Depth that the sensor does not know gets the value of the nearest pixel that it knows. Frames for which it gave
    nothing, because it is slower than the camera, get the stream's last depth of it for `HOLD_SECONDS`; after that
    their depth is unknown, NaN, which is logged once. A picture without a stream and without a sensor's depth raises
    InferenceError ("no-prompt"). The engine is torch, because the others take one input.

    After Lin et al., "Prompting Depth Anything for 4K Resolution Accurate Metric Depth Estimation" (CVPR 2025).

    Args:
        network: maps a picture (1, 3, H, W) and a prompt (1, 1, h, w), 0 to 1, to depth (1, H, W), 0 to 1.
        options: as `make_engine` takes them.
    """

    def __init__(self, network: Network, **options: Unpack[EngineOptions]) -> None:
        self.prompted = EagerEngine(network.module.get(), "a model with a prompt runs on torch", **options)
        super().__init__(network.card, self.prompted)
        self._newest: dict[str, tuple[float, DepthMap]] = {}
        """The time and the prompt of the last frame of each stream that had one."""
        self._announced: set[str] = set()
        """Streams of which was said that they lack depth of the sensor."""

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        return CompletedFuture([self._estimate(frame) for frame in frames])

    def warm_up(self, width: int, height: int) -> None:
        black = np.zeros((height, width, 3), np.uint8)
        self._run(Frame(black, 0, 0, Fraction(1), 0.0), np.ones(_USUAL_PROMPT, np.float32))

    def _estimate(self, frame: Frame) -> Estimate:
        prompt = self._prompt_for(frame)
        if prompt is None:
            return Estimate(np.full(self.card.spec.output_size(*frame.size[::-1]), np.nan, np.float32))
        return self._run(frame, prompt)

    def _prompt_for(self, frame: Frame) -> DepthMap | None:
        """Returns the frame's own prompt or the held one, (h, w) meters without unknown pixels; None without both."""
        prompt = None if frame.sensor_depth is None else fill_nearest(frame.sensor_depth)
        if prompt is not None:
            if frame.stream:
                self._newest[frame.stream] = frame.time, prompt
            return prompt
        if not frame.stream:
            raise InferenceError(
                f"{self.card.name!r} needs a sensor's depth beside the picture, and there is none; give it with "
                "--sparse, or as Frame.sensor_depth",
                code="no-prompt",
            )
        time, held = self._newest.get(frame.stream, (0.0, None))
        if held is not None and 0 <= frame.time - time <= HOLD_SECONDS:
            return held
        self._announce_absence(frame)
        return None

    def _announce_absence(self, frame: Frame) -> None:
        if frame.stream not in self._announced:
            self._announced.add(frame.stream)
            _log.warning(
                "the sensor gave %s no depth for more than %g s before frame %d: the depth of such frames is unknown",
                frame.stream,
                HOLD_SECONDS,
                frame.index,
            )

    def _run(self, frame: Frame, prompt: DepthMap) -> Estimate:
        """Returns the depth of a frame in the unit of the prompt.

        The prompt is brought to 0 to 1 here and the output back, so that meters keep float32 whatever the network
        computes in.
        """
        low, high = float(prompt.min()), float(prompt.max())
        unit = (prompt - low) / (high - low) if high > low else np.zeros_like(prompt)
        if high == low:
            unit[0, 0] = 1.0  # the network divides by the range
        try:
            pixels, margins = self.card.prepare([frame], self.engine)
            depth = self.prompted.call(pixels, torch.from_numpy(unit)[None, None])
            (estimate,) = make_estimates((depth,), margins, frame.size[0], self.engine)
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, self.engine.device, (1, *frame.size[::-1], 3)) from error
        return Estimate(estimate.depth * np.float32(high - low) + np.float32(low))

    def reset(self, stream: str) -> None:
        self._newest.pop(stream, None)
        self._announced.discard(stream)
