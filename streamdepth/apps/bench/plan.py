"""What is measured, and what comes out of one turn of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamdepth.config import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """The same for everything that is compared."""

    settings: Settings
    """Of the model."""
    clip: Path
    size: tuple[int, int]
    """(width, height) in px of the clip."""
    frames: int
    """Of the clip, in each turn."""
    folder: Path
    """For what is written; removed afterwards."""
    random_weights: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one contender."""

    ms: float
    """A frame, mean."""
    frames: int
    latency_ms: dict[str, float] = field(default_factory=dict)
    """p50, p95, p99 from decoding to writing."""
    more: dict[str, float] = field(default_factory=dict)


class LeftOutError(Exception):
    """A contender cannot take part; the message says why."""


class Contender(ABC):
    """One way to do the work, alone in a process of its own."""

    name: str

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def prepare(self) -> dict[str, Any]:
        """Loads everything and does one frame -> facts, `first_frame_s` among them. Raises LeftOutError."""

    @abstractmethod
    def turn(self) -> list[Turn]:
        """One turn for each of `names`."""

    @property
    def names(self) -> list[str]:
        """Of what a turn measures."""
        return [self.name]

    def close(self) -> None:
        """Lets go of everything."""
