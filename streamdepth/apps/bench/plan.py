"""The plan of a benchmark, its implementations, and the measurement that one round gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamdepth.config import Settings


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """The model, the clip and the number of frames, the same for all implementations that are compared."""

    settings: Settings
    """Settings of the model."""
    clip: Path
    size: tuple[int, int]
    """(width, height) of the clip in px."""
    frames: int
    """Frames of the clip in each round."""
    folder: Path
    """Temporary folder for the videos that the implementations write."""
    random_weights: bool = False
    """True if the model gets random weights of its full size instead of downloaded ones."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Duration and latency of the frames in one round of one implementation."""

    ms: float
    """Mean duration of a frame in milliseconds."""
    frames: int
    latency_ms: dict[str, float] = field(default_factory=dict)
    """The percentiles p50, p95 and p99 of the time from decoding a frame to writing it."""
    cpu_ms: float = 0.0
    """Mean processor time of a frame in milliseconds, of all threads together; 0 if it was not measured."""
    matrix_gflops_per_second: float = 0.0
    """Speed of matrix products on this machine in the same round, in GFLOP/s; 0 if it was not measured."""


class SkippedError(Exception):
    """An implementation cannot take part in the benchmark; the message says why."""


class Implementation(ABC):
    """One way to turn a video into a depth video. It runs in a process of its own.

    One round may give several measurements: `names` says what they are of.
    """

    name: str

    def __init__(self, plan: BenchmarkPlan) -> None:
        self.plan = plan

    @abstractmethod
    def prepare(self) -> dict[str, Any]:
        """Loads everything and processes one frame; returns facts for the report, `first_frame_s` among them.

        Raises SkippedError if the implementation cannot take part.
        """

    @abstractmethod
    def measure(self) -> list[Measurement]:
        """Runs one round, and returns a measurement for each of `names`."""

    @property
    def names(self) -> list[str]:
        """Names of the measurements that a round gives."""
        return [self.name]

    def close(self) -> None:
        """Releases the model."""
