"""Statistics of depth videos by LeRobot's definitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streamdepth.apps.lerobot.dataset import Episode
from streamdepth.sinks.lerobot_video import LARGEST_CODE, PIXEL_FORMAT, DepthQuantizer
from streamdepth.utils.containers import open_media_file

Histogram: TypeAlias = npt.NDArray[np.int64]
"""(4096,) number of pixels with each depth code."""
Statistics: TypeAlias = dict[str, Any]
"""Name, such as "mean" -> [[[meters]]], as LeRobot nests one channel; "count" -> [number of frames]."""
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def episode_histograms(path: Path, episodes: Sequence[Episode]) -> dict[int, Histogram]:
    """Returns the histogram of each episode of a depth video, by the episode's index."""
    histograms = {episode.index: np.zeros(LARGEST_CODE + 1, np.int64) for episode in episodes}
    with open_media_file(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            for episode in episodes:
                if episode.first <= number < episode.first + episode.length:
                    codes = frame.to_ndarray(format=PIXEL_FORMAT)
                    histograms[episode.index] += np.bincount(codes.ravel(), minlength=LARGEST_CODE + 1)
    return histograms


def depth_statistics(histogram: Histogram, quantizer: DepthQuantizer, frame_count: int) -> Statistics:
    """Returns LeRobot's statistics in meters, for one channel.

    LeRobot's `count` is the number of frames, not of pixels, and the weight of a dataset among several.

    Args:
        histogram: pixels with each depth code.
        quantizer: the meaning of the codes.
        frame_count: number of frames that they come from.
    """
    depth = quantizer.decode(np.arange(LARGEST_CODE + 1, dtype=np.uint16)).astype(np.float64)
    total, seen = int(histogram.sum()), np.flatnonzero(histogram)
    mean = float((depth * histogram).sum() / total)
    values = {
        "min": depth[seen[0]],
        "max": depth[seen[-1]],
        "mean": mean,
        "std": float(np.sqrt(((depth - mean) ** 2 * histogram).sum() / total)),
        **{name: depth[np.searchsorted(np.cumsum(histogram), share * total)] for name, share in _QUANTILES.items()},
    }
    return {name: [[[float(value)]]] for name, value in values.items()} | {"count": [frame_count]}
