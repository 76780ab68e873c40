"""One stream of a pipeline, and the values that travel through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from streamdepth.core.interfaces import DepthPropagator, Source, Stabilizer
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, Frame, StreamInfo


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame on its way to the model."""

    stream_index: int
    frame: Frame
    info: StreamInfo
    """The stream's facts when the frame was read; they may have changed before its depth is written."""


@dataclass(frozen=True, slots=True)
class StreamResult:
    """A frame with its depth on the way to the sinks."""

    stream_index: int
    item: DepthFrame
    info: StreamInfo
    """The stream's facts when the frame was read."""


@dataclass(slots=True)
class Stream:
    """One source, the stages that its depth passes, and the sinks that get it.

    >>> from streamdepth.stabilizers import make_stabilizer
    >>> from streamdepth.testing import RecordingSink, SyntheticSource
    >>> Stream(SyntheticSource(), make_stabilizer(), [RecordingSink()], name="door").title
    'door'
    """

    source: Source
    stabilizer: Stabilizer
    sinks: Sequence[Sink] = ()
    propagator: DepthPropagator | None = None
    """Warps depth to the frames between keyframes; None: the model sees every frame."""
    name: str = ""
    """A name without credentials, for messages while the source is not open."""
    info: StreamInfo | None = field(default=None, init=False)
    """The stream's facts; None before the pipeline has opened the source."""
    is_live: bool = field(default=True, init=False)
    """True if frames are dropped rather than waited for; it stays True until the source has been opened."""
    needs_low_latency: bool = field(default=True, init=False)
    """True if frames arrive in real time and are processed at once: a live stream, or a file played at its own
    speed."""

    @property
    def title(self) -> str:
        """The source's own name where it is known."""
        return self.info.name if self.info else self.name

    def set_info(self, info: StreamInfo) -> None:
        """Takes the facts of the source when it was opened, and when it came back with another size or rate."""
        self.info, self.is_live, self.needs_low_latency = info, info.is_live, info.is_live or info.is_realtime

    def expected_frames(self, max_frames: int | None, max_seconds: float | None) -> int | None:
        """Returns the number of frames that the open source announces, within the limits of a run; None if unknown."""
        count = self.info.frame_count if self.info else None
        limits = [] if max_frames is None else [max_frames]
        if self.info and self.info.fps and max_seconds is not None and math.isfinite(max_seconds):
            limits.append(math.ceil(self.info.fps * Fraction(max_seconds)))
        return min([count, *limits] if count else limits, default=count)
