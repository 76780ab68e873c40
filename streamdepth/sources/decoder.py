"""Decoded pictures, one after the other: what files, network streams and libav's devices share."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from fractions import Fraction
from typing import Generic, NamedTuple, TypeVar

import av
from av.error import FFmpegError

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, LazyImage
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.timestamps import TimestampCorrector
from streamdepth.utils.redact import redact_text

MAX_SIDE_PX = 16384
"""The default limit for the width and the height of a picture."""

_FASTEST_FPS = 1000


class DecodedFrame(NamedTuple):
    """One decoded picture and when it is to be shown."""

    pixels: Image | LazyImage
    """As in `Frame`."""
    pts: int | None
    """In ticks of `time_base`, as it came; None when it came without."""
    time_base: Fraction
    """Seconds per tick."""
    decoded_at: float
    """`time.monotonic()`."""


class FrameDecoder:
    """Frames from libav, painted one after the other.

    Raises SourceOpenError when there is no frame at all or a side is longer than `max_side_px`.
    """

    def __init__(
        self,
        frames: Generator[av.VideoFrame],
        name: str,
        converter: FrameConverter,
        announce: Callable[[str], None],
        *,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        self.name, self.converter = name, converter
        self._frames, self._announce = frames, announce
        self.delivered = self.undecodable = 0
        self.failure: FFmpegError | ValueError | None = None
        """What ended the stream before its end, for example a timeout."""
        self._first = next(frames, None)
        if self._first is None:
            raise self.nothing()
        self.width, self.height = converter.size_of(self._first)
        check_picture_size(name, max(self.width, self._first.width), max(self.height, self._first.height), max_side_px)
        self.time_base = self._first.time_base or Fraction(1, 90000)
        self.fps = plausible_fps(1 / self.time_base)
        self.frame_count: int | None = None

    @property
    def missing(self) -> int:
        """Frames that should have come and did not."""
        return 0

    @property
    def damage(self) -> str | None:
        """What the whole stream, once read to its end, turned out to lack; None when it was complete."""
        return None

    def nothing(self) -> Exception:
        """The error for a stream without a single frame."""
        return SourceOpenError(f"{self.name} gives no picture at all")

    def read(self) -> DecodedFrame | None:
        """The next picture; None at the end. Raises SourceLostError."""
        try:
            return self._painted()
        except (FFmpegError, ValueError, OSError, MemoryError) as error:
            raise SourceLostError(
                f"{self.name} was given up after {self.delivered} frames: its next picture cannot be had "
                f"({error_reason(error)}); try to convert it first"
            ) from redact_error(error)

    def _painted(self) -> DecodedFrame | None:
        frame, self._first = self._first or next(self._frames, None), None
        if frame is None:
            return None
        decoded_at = time.monotonic()
        if frame.is_corrupt:
            self._announce(f"{self.name} is damaged: some of its pictures show errors")
        pixels = self.converter.convert(frame)
        self.delivered += 1
        return DecodedFrame(pixels, frame.pts, frame.time_base or self.time_base, decoded_at)

    def close(self) -> None:
        """Lets go of the decoder."""
        self._frames.close()


P = TypeVar("P", bound=FrameDecoder)


class TimestampedSource(Source):
    """Numbers and times pictures: frames of one stream."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self._timeline = TimestampCorrector(Fraction(1), None)
        self._index = 0

    def _start_clock(self, time_base: Fraction, fps: Fraction | None, *, is_live: bool) -> None:
        self._timeline, self._index = TimestampCorrector(time_base, fps, is_live=is_live), 0

    def _frame(self, picture: DecodedFrame) -> Frame:
        ticks = self._timeline.place(picture.pts, picture.time_base, picture.decoded_at)
        if self._timeline.repaired:
            self.add_notice(f"{self.name} has timestamps that do not increase; they were repaired")
        if self._timeline.jumped:
            self.add_notice(f"the clock of {self.name} jumps ahead; its timestamps go on by the time that passed")
        if self._timeline.is_broken:
            self.add_notice(f"the clock of {self.name} is not to be trusted; its pictures are timed by their arrival")
        index, self._index = self._index, self._index + 1
        return Frame(picture.pixels, index, ticks, self._timeline.time_base, picture.decoded_at, self.name)


class DecodedSource(TimestampedSource, Generic[P]):
    """Reads `Pictures`, which subclasses open, and says at the end what was lost."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._pictures: P | None = None

    def _begin(self, pictures: P, *, is_live: bool = False) -> None:
        self._pictures, self.name = pictures, pictures.name
        self._start_clock(pictures.time_base, pictures.fps, is_live=is_live)

    def read(self) -> Frame | None:
        if self._pictures is None:
            return None
        try:
            frame = self._next(self._pictures)
        except SourceLostError:
            self._release()
            raise
        if frame is None:
            self._finish(self._pictures)
        return frame

    def _next(self, pictures: P) -> Frame | None:
        picture = pictures.read()
        return None if picture is None else self._frame(picture)

    def _finish(self, pictures: P) -> None:
        damage = pictures.damage
        if pictures.missing:
            self.undelivered["missing"] += pictures.missing
        self._release()
        if damage:
            raise SourceLostError(damage)

    def _release(self) -> None:
        pictures, self._pictures = self._pictures, None
        if pictures is None:
            return
        # Here, and not at the end of the stream, so that frames are counted also when the reader stops early.
        if pictures.undecodable:
            self.undelivered["undecodable"] += pictures.undecodable
        pictures.close()

    def close(self) -> None:
        self._release()
        super().close()


def check_picture_size(name: str, width: int, height: int, max_side_px: int) -> None:
    """Raises SourceOpenError for pictures larger than the limit."""
    if max(width, height) > max_side_px:
        raise SourceOpenError(
            f"{name} is {width}x{height} px, and the limit is {max_side_px} px a side; raise it with --max-side"
        )


def error_reason(error: Exception) -> str:
    """What a foreign error says, without secrets."""
    return redact_text(str(getattr(error, "strerror", None) or error or type(error).__name__))


def redact_error(error: Exception) -> Exception:
    """The same error without the address, which may hold a password that a traceback would show."""
    if isinstance(error, FFmpegError):
        return type(error)(error.errno or 0, redact_text(error.strerror or ""))
    shown = redact_text(str(error))
    return error if shown == str(error) else ValueError(shown)


def plausible_fps(rate: Fraction | None) -> Fraction | None:
    """None for a frame rate that cannot be meant."""
    return rate if rate and 0 < rate <= _FASTEST_FPS else None
