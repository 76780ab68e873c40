"""One connection to a network address by libav, and the meaning of libav's errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from errno import EIO, EPERM
from fractions import Fraction
from typing import NamedTuple

import av
from av import error as av_error
from av.error import FFmpegError

from streamdepth.core.errors import SourceError, SourceOpenError, SourceTimeoutError
from streamdepth.sources.decoder import Damage, DecodedFrame
from streamdepth.sources.device_decoding import choose_acceleration
from streamdepth.sources.libav_errors import error_reason, redact_error
from streamdepth.sources.network_address import ESCAPES, NetworkAddress
from streamdepth.sources.sound import SoundReader, open_sound
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.sources.unsized_file import ReceivedVideo
from streamdepth.utils.containers import network_options

_JPEG_SECONDS = 2.0
"""Longest wait for the first JPEG of a server that libav could not read otherwise."""
_SOUND_REFUSALS = (
    av_error.HTTPBadRequestError,
    av_error.HTTPOtherClientError,
    av_error.HTTPServerError,
    av_error.InvalidDataError,
)
"""Errors of libav for a server that refuses one of several tracks."""
_FORMATS_WITHOUT_SIZE = {"hls", "dash", "mpjpeg"}
_HTTP = ("http://", "https://")
_TIMEOUTS = (av_error.ExitError, av_error.TimeoutError)  # by PyAV's interrupt, by the protocol's own clock
_REFUSALS = (av_error.HTTPUnauthorizedError, av_error.HTTPForbiddenError, av_error.ProtocolNotFoundError)
_MAX_NOT_FOUND = 4
"""Answers "not found" before a stream that was there is given up: servers take a while to start their streams."""


class NetworkConnection:
    """An open address. libav is called only on the thread that opened it; the attributes can be read on any."""

    def __init__(self, decoder: TrackDecoder, sound: SoundReader | None, received: ReceivedVideo) -> None:
        self._decoder, self.received = decoder, received
        self.sound = sound.feed if sound else None
        """The sound that comes with the pictures; None where there is none of a known format."""
        self.width, self.height, self.fps = decoder.width, decoder.height, decoder.fps
        self.time_base, self.frame_count = decoder.time_base, decoder.frame_count
        self.is_on_device = decoder.is_on_device
        self.has_sound = bool(decoder.container.streams.audio)
        self.has_duration = bool(decoder.container.duration)
        self.has_file_size = _has_file_size(decoder)
        """True for a file whose size in bytes the server states."""
        self.missing_count = 0
        """Number of frames that a file lacks; known at its end."""
        self.damage: Damage | None = None
        """Damage found in a file; known at its end."""

    @property
    def failure(self) -> Exception | None:
        """The error that ended the connection before its end, without secrets."""
        return redact_error(self._decoder.failure) if self._decoder.failure else None

    @property
    def undecodable_count(self) -> int:
        """Number of frames that were received and could not be decoded."""
        return self._decoder.undecodable_count

    def read(self) -> DecodedFrame | None:
        """Returns the next frame; None at the end. Raises SourceLostError."""
        frame = self._decoder.read()
        if frame is not None:
            self.received.add(frame)
            return frame
        if _is_end_of_unsized(self._decoder):
            self._decoder.failure = None
        if self._decoder.failure is None:
            self.missing_count, self.damage = self._decoder.missing_count, self._decoder.damage
        return None

    def close(self) -> None:
        """Closes the connection and its decoder."""
        self._decoder.close()


def _has_file_size(decoder: TrackDecoder) -> bool:
    # The size of a playlist says nothing, and cameras make theirs up.
    name = decoder.container.format.name.split(",")[0]
    return name not in _FORMATS_WITHOUT_SIZE and decoder.container.size > 0


def _is_end_of_unsized(decoder: TrackDecoder) -> bool:
    """True if the server closed the connection over HTTP in order, without having stated a length.

    libav calls that an input/output error, unless the server also announced the closing.
    """
    is_http = decoder.container.name.lower().startswith(_HTTP)
    return is_http and decoder.container.size <= 0 and getattr(decoder.failure, "errno", None) == EIO


def connect(
    address: NetworkAddress, notice: Callable[[str], None], max_side_px: int, input_fps: Fraction | None = None
) -> NetworkConnection:
    """Opens an address. Raises SourceOpenError or SourceTimeoutError, with libav's error as the cause."""
    started_at = time.monotonic()
    try:
        return _open(address, notice, max_side_px, input_fps)
    except (FFmpegError, ValueError) as error:
        for open_otherwise in (_open_as_jpegs, _open_without_sound):
            if connection := open_otherwise(address, error, notice, max_side_px, input_fps):
                return connection
        raise _open_error(address, error, time.monotonic() - started_at) from redact_error(error)


def _open(
    address: NetworkAddress,
    notice: Callable[[str], None],
    max_side_px: int,
    input_fps: Fraction | None,
    *,
    container_format: str | None = None,
    options: dict[str, str] | None = None,
) -> NetworkConnection:
    received = ReceivedVideo()
    container = av.open(
        address.url,
        format=container_format,
        options=address.libav_options() | network_options() | (options or {}),
        timeout=(address.timeout_seconds, address.silence_seconds),
        metadata_errors="replace",
    )
    hwaccel = choose_acceleration(
        container,
        address.device,
        lambda reason: notice(f"{address.name} is decoded on the CPU and not on {address.device}: {reason}"),
    )
    sound = open_sound(container)
    decoder = TrackDecoder(
        container,
        address.name,
        notice,
        sound=sound,
        input_fps=input_fps,
        deinterlaces=address.deinterlaces,
        max_side_px=max_side_px,
        threads="SLICE",
        max_wait_seconds=address.silence_seconds,
        hwaccel=hwaccel,
    )
    return NetworkConnection(decoder, sound, received)


def _open_as_jpegs(
    address: NetworkAddress,
    error: Exception,
    notice: Callable[[str], None],
    max_side_px: int,
    input_fps: Fraction | None,
) -> NetworkConnection | None:
    """Opens a camera that sends plain JPEGs, or a multipart form that libav rejects; None for others."""
    is_candidate = isinstance(error, (av_error.InvalidDataError, av_error.ExitError))
    if address.scheme not in ("http", "https") or not is_candidate:
        return None
    quick = replace(address, timeout_seconds=min(address.timeout_seconds, _JPEG_SECONDS))
    options = {"analyzeduration": "1", "fpsprobesize": "0"}
    try:
        return _open(quick, notice, max_side_px, input_fps, container_format="mjpeg", options=options)
    except (FFmpegError, ValueError, SourceError):
        return None


def _open_without_sound(
    address: NetworkAddress,
    error: Exception,
    notice: Callable[[str], None],
    max_side_px: int,
    input_fps: Fraction | None,
) -> NetworkConnection | None:
    """Opens the pictures of an RTSP camera that refuses to send its sound; None for others."""
    if address.scheme not in ("rtsp", "rtsps") or not isinstance(error, _SOUND_REFUSALS):
        return None
    try:
        connection = _open(address, notice, max_side_px, input_fps, options={"allowed_media_types": "video"})
    except (FFmpegError, ValueError, SourceError):
        return None
    notice(f"{address.name} refuses to send its sound; its pictures are read without it")
    return connection


def is_permanent(error: Exception, attempts: int) -> bool:
    """True if `error`, which occurred in `attempts` attempts, is a refusal, or repeatedly "not found"."""
    is_missing = isinstance(error, av_error.HTTPNotFoundError) and attempts >= _MAX_NOT_FOUND
    return isinstance(error, _REFUSALS) or is_missing


def is_refused(error: Exception | None) -> bool:
    """True if nothing listened at the address."""
    return isinstance(error, av_error.ConnectionRefusedError)


class _Reason(NamedTuple):
    """Explanation of an error of libav, with the code of the error that it becomes."""

    text: str
    code: str


_NOTHING_KNOWN = _Reason(
    "what it sends ends, or breaks off, before FFmpeg finds video in it; check the path in the address", "no-video"
)
_BROKEN_OFF = _Reason("the connection broke off while it was made; is there a camera at that address?", "broken-off")
_REASONS: dict[type[Exception], _Reason] = {
    av_error.HTTPUnauthorizedError: _Reason(
        "user name or password is missing or wrong (401); put them in the address: rtsp://USER:PASSWORD@HOST/PATH, "
        f"with {ESCAPES} in them",
        "unauthorized",
    ),
    av_error.HTTPForbiddenError: _Reason("access is forbidden (403); check the rights of the user", "forbidden"),
    av_error.HTTPNotFoundError: _Reason("there is no such stream (404); check the path in the address", "not-found"),
    av_error.ConnectionRefusedError: _Reason("nothing listens at that address and port; check both", "refused"),
    av_error.ProtocolNotFoundError: _Reason(
        "FFmpeg here does not know such addresses; use rtsp, http, https, rtmp or udp", "unknown-protocol"
    ),
    av_error.InvalidDataError: _Reason(
        "what it sends is not video that FFmpeg knows; check the path in the address", "no-video"
    ),
    av_error.ExitError: _Reason("no answer in time", "source-timeout"),
}


def _open_error(address: NetworkAddress, error: Exception, after_seconds: float) -> SourceError:
    # libav's RTSP calls it invalid data when a server stays silent.
    is_silent = isinstance(error, av_error.InvalidDataError) and after_seconds >= address.timeout_seconds
    if is_silent or isinstance(error, _TIMEOUTS):
        return SourceTimeoutError(
            f"{address.name} did not answer within {address.timeout_seconds:g} seconds; check the address and the "
            "network, or allow more time"
        )
    reason, code = explain(error), error_code(error)
    if address.url.lower().startswith(_HTTP) and getattr(error, "errno", None) == EIO:
        reason, code = _NOTHING_KNOWN
    return SourceOpenError(f"{address.name} cannot be opened: {reason}{address.advice}", code=code)


def error_code(error: Exception) -> str | None:
    """Returns the code for an error of libav, such as "unauthorized"; None if there is no specific one."""
    reason = _reason(error)
    return reason.code if reason else None


def explain(error: Exception) -> str:
    """Returns the reason of an error in words for people, without secrets."""
    reason = _reason(error)
    return reason.text if reason else error_reason(error)


def _reason(error: Exception) -> _Reason | None:
    if getattr(error, "errno", None) == EPERM:  # -1: libav's RTSP meant no error in particular
        return _BROKEN_OFF
    return _REASONS.get(type(error))
