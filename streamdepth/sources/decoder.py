"""Decoding of libav's frames, shared by files, network streams and libav's devices."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from fractions import Fraction
from typing import NamedTuple

import av
from av.error import FFmpegError

from streamdepth.core.arrays import DepthMap, Image, Mask
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.types import LazyImage
from streamdepth.sources.device_image import is_on_device
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.libav_errors import error_reason, redact_error
from streamdepth.sources.limits import MAX_SIDE_PX, MAX_VIDEO_PIXELS, check_picture_size, plausible_fps


class DecodedFrame(NamedTuple):
    """A decoded picture with the timestamp of its packet."""

    pixels: Image | LazyImage
    """The picture, see `Frame.pixels`."""
    pts: int | None
    """Presentation timestamp in ticks of `time_base`; None when the stream gave none."""
    time_base: Fraction
    """Seconds per tick."""
    decoded_at: float
    """`time.monotonic()` when the decoder returned it."""
    valid: Mask | None = None
    """The valid pixels, see `Frame.valid`."""
    sensor_depth: DepthMap | None = None
    """The depth of a sensor, see `Frame.sensor_depth`."""


class Damage(NamedTuple):
    """Description of the damage of a stream, which is known once it was read to its end."""

    message: str
    code: str
    """"cut-off" when frames are missing at the end, "damaged" when some could not be decoded."""

    def error(self) -> SourceLostError:
        """Returns the error to raise after the last frame."""
        return SourceLostError(self.message, code=self.code)


class FrameDecoder:
    """Reads frames from a libav generator and converts them to RGB.

    Raises SourceOpenError when there is no frame at all, or a side is longer than `max_side_px`.
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
        self.delivered_count = self.undecodable_count = 0
        self.failure: FFmpegError | ValueError | None = None
        """The error that ended the stream before its end, for example a timeout."""
        self._first = next(frames, None)
        if self._first is None:
            raise self.no_frame_error()
        self.width, self.height = converter.size_of(self._first)
        largest = max(self.width, self._first.width), max(self.height, self._first.height)
        check_picture_size(name, *largest, max_side_px, MAX_VIDEO_PIXELS)
        self.is_on_device = is_on_device(self._first)
        """True if frames are decoded into the memory of a GPU."""
        self.deep_color = converter.deep_color(self._first)
        """The colors of frames of 10 bits; None for others."""
        self.time_base = self._first.time_base or Fraction(1, 90000)
        self.fps = plausible_fps(1 / self.time_base)
        self.frame_count: int | None = None
        self.has_media_clock = False
        """True if the timestamps are those of a `MediaClock`, which other tracks share."""
        self.has_timestamps = True
        """False if the frames' timestamps are missing or made up; they are then given out as None."""

    @property
    def missing_count(self) -> int:
        """Number of frames that the container announced and does not have; known at the end."""
        return 0

    @property
    def damage(self) -> Damage | None:
        """Damage found in the stream, known at the end; None for a whole stream."""
        return None

    def no_frame_error(self) -> Exception:
        """Returns the error to raise for a stream without a single frame."""
        return SourceOpenError(f"{self.name} gives no picture at all", code="no-video")

    def read(self) -> DecodedFrame | None:
        """Returns the next frame; None at the end. Raises SourceLostError."""
        try:
            return self._convert_next()
        except (FFmpegError, ValueError, OSError, MemoryError) as error:
            raise SourceLostError(
                f"{self.name} was given up after {self.delivered_count} frames: its next picture cannot be decoded "
                f"({error_reason(error)}); try to convert it first",
                code="undecodable",
            ) from redact_error(error)

    def _convert_next(self) -> DecodedFrame | None:
        frame, self._first = self._first or next(self._frames, None), None
        if frame is None:
            return None
        decoded_at = time.monotonic()
        if frame.is_corrupt:
            self._announce(f"{self.name} is damaged: some of its pictures show errors")
        pixels, valid = self.converter.convert(frame)
        self.delivered_count += 1
        pts = frame.pts if self.has_timestamps else None
        return DecodedFrame(pixels, pts, frame.time_base or self.time_base, decoded_at, valid)

    def close(self) -> None:
        """Releases the decoder. Idempotent."""
        self._frames.close()
