"""Base classes of sources that number and timestamp decoded frames."""

from __future__ import annotations

from fractions import Fraction
from typing import Generic, TypeVar

from streamdepth.core.errors import SourceLostError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame
from streamdepth.sources.decoder import DecodedFrame, FrameDecoder
from streamdepth.sources.timestamps import TimestampCorrector


class TimestampedSource(Source):
    """A source that turns decoded frames into numbered frames with increasing timestamps."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self._timestamps = TimestampCorrector(Fraction(1), None)
        self._index = 0
        self._start_pts: int | None = None

    def _start_clock(
        self, time_base: Fraction, fps: Fraction | None, *, is_live: bool, is_shared: bool = False
    ) -> None:
        """Prepares for the first frame, which gets the time 0, unless the clock is shared with other tracks."""
        self._timestamps, self._index = TimestampCorrector(time_base, fps, is_live=is_live), 0
        self._start_pts = 0 if is_shared else None

    def _make_frame(self, decoded: DecodedFrame) -> Frame:
        pts = self._timestamps.correct(decoded.pts, decoded.time_base, decoded.decoded_at)
        if self._timestamps.has_repairs:
            self.add_notice(f"{self.name} has timestamps that do not increase; they were repaired")
        if self._timestamps.has_jumped:
            self.add_notice(f"the clock of {self.name} jumps ahead; its timestamps go on by the time that passed")
        if self._timestamps.is_clock_rejected:
            self.add_notice(f"the clock of {self.name} is wrong; its pictures get the time of their arrival")
        if self._start_pts is None:
            self._start_pts = pts
        index, self._index = self._index, self._index + 1
        return Frame(
            decoded.pixels,
            index,
            pts - self._start_pts,
            self._timestamps.time_base,
            decoded.decoded_at,
            self.name,
            valid=decoded.valid,
            sensor_depth=decoded.sensor_depth,
        )


DecoderT = TypeVar("DecoderT", bound=FrameDecoder)


class DecodedSource(TimestampedSource, Generic[DecoderT]):
    """A source that reads from a `FrameDecoder`, which its subclass opens, and reports lost frames at the end."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._decoder: DecoderT | None = None

    def _start(self, decoder: DecoderT, *, is_live: bool = False) -> None:
        """Takes ownership of an open decoder; frames are read from it until its end."""
        self._decoder = decoder
        self._start_clock(decoder.time_base, decoder.fps, is_live=is_live, is_shared=decoder.has_media_clock)

    def read(self) -> Frame | None:
        if self._decoder is None:
            return None
        try:
            decoded = self._decoder.read()
        except SourceLostError:
            self._release()
            raise
        if decoded is None:
            self._finish(self._decoder)
            return None
        return self._make_frame(decoded)

    def _finish(self, decoder: DecoderT) -> None:
        """Counts what was missing at the end. Raises SourceLostError when the stream was not whole."""
        if self.interrupted.is_set():  # what was not waited for is not missing
            self._release()
            return
        damage = decoder.damage
        if decoder.missing_count:
            self.undelivered["missing"] += decoder.missing_count
        self._release()
        if damage:
            raise damage.error()

    def _release(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is None:
            return
        # Counted here and not at the end of the stream: a reader may stop before it.
        if decoder.undecodable_count:
            self.undelivered["undecodable"] += decoder.undecodable_count
        decoder.close()

    def close(self) -> None:
        self._release()
        super().close()
