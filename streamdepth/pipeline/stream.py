"""What a pipeline runs: one source, what steadies its depth, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamdepth.core.interfaces import DepthPropagator, Sink, Source, Stabilizer
from streamdepth.core.types import Frame, StreamInfo


class StreamEnd(Exception):  # noqa: N818 - an end, not always an error
    """One stream of several is over; it travels after the last of its items. `error`: why, if not as it should be."""

    def __init__(self, lane: int, error: BaseException | None = None) -> None:
        super().__init__(lane, error)
        self.lane, self.error = lane, error


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame on its way to the model."""

    lane: int
    """The number of its stream."""
    frame: Frame
    info: StreamInfo
    """What held of the stream when the frame was read: by the time it comes out, that may have changed."""


@dataclass(slots=True)
class Stream:
    """One source, what steadies its depth, and where the results go."""

    source: Source
    stabilizer: Stabilizer
    sinks: Sequence[Sink] = ()
    propagator: DepthPropagator | None = None
    """Fills in between the frames that the model sees; None: it sees all."""
    name: str = ""
    """What to call it while its source is not open; without secrets."""
    info: StreamInfo | None = field(default=None, init=False)
    """Known once the pipeline has opened the source; another when that came back with another size or rate."""

    @property
    def title(self) -> str:
        """The source's own name where it is known."""
        return self.info.name if self.info else self.name

    @property
    def is_live(self) -> bool:
        """Whether frames are dropped rather than waited for; so it is too while that is not known yet."""
        return self.info is None or self.info.is_live

    @property
    def is_timely(self) -> bool:
        """Whether frames come at their own pace, so that each is worth working on at once."""
        return self.is_live or (self.info is not None and self.info.is_paced)
