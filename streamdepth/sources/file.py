"""Video files, by PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.track_feed import TrackFeed
from streamdepth.core.types import StreamInfo
from streamdepth.geometry.camera import intrinsics_from_metadata
from streamdepth.sources.decoded_source import DecodedSource
from streamdepth.sources.device_decoding import choose_acceleration
from streamdepth.sources.libav_errors import error_reason
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.missing_file import missing_file_error
from streamdepth.sources.pipe import PipeInput, is_pipe
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.containers import open_media_file, open_media_stream
from streamdepth.utils.media_clock import MediaClock
from streamdepth.utils.redact import redact

_HEAD_BYTES = 65536
_SIGNATURE_BYTES, _MAX_INDEX_BYTES = 8, 64_000_000
_SINGLE_FORMATS = {"mov", "flv", "asf"}
"""Formats of which FFmpeg reads only the first file where several are joined."""


class FileSource(DecodedSource[TrackDecoder]):
    """A local video file: every frame with its exact timestamp, in RGB, upright, with square pixels.

    The timestamps are those of the file on a clock that begins at 0 with its earliest track and has no jumps
    (`MediaClock`). Pictures without any, as in a raw .h264, come at the rate that the stream states, or at 25 per
    second.

    Rotation, reflection, pixel aspect ratio, color matrix and range are applied as tagged; HDR is tone-mapped to SDR.
    Frames that cannot be decoded are counted in `undelivered`, and at the end `read` raises SourceLostError.

    Args:
        name: the stream's name, safe to log; the path when it is not given.
        descriptor: an open file descriptor that is read instead of the path, such as 0 for standard input.
        input_fps: frames per second, whatever the file says; its sound is then left out.
        deinterlaces: True rebuilds interlaced frames from the fields around them.
        start_seconds: frames before this time need not be delivered.
        device: an NVIDIA GPU, such as cuda or cuda:1, that decodes what it can; frames then lie in its memory. What it
            does not decode is decoded on the CPU, and a notice says why. Pipes are always decoded on the CPU.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        descriptor: int | None = None,
        input_fps: Fraction | None = None,
        deinterlaces: bool = False,
        start_seconds: float = 0.0,
        max_side_px: int = MAX_SIDE_PX,
        device: str | None = None,
    ) -> None:
        super().__init__(str(path) if name is None else name)
        self.path, self.input_fps, self.max_side_px = Path(path), input_fps, max_side_px
        self.deinterlaces, self.start_seconds = deinterlaces, start_seconds
        self.descriptor, self.device = descriptor, device
        self._pipe: PipeInput | None = None
        self._feed: TrackFeed | None = None

    def open(self) -> StreamInfo:
        self._release()
        self._release_pipe()
        name = self.name
        path = self._find_file()
        try:
            container, hwaccel = self._open_file(path) if path else (self._open_stream(), None)
            clock = MediaClock(container)
            if self._pipe is not None and path is None:
                self._feed = TrackFeed(container, clock.start_seconds, self._pipe.close)
            decoder = TrackDecoder(
                container,
                name,
                self.add_notice,
                clock=clock,
                feed=self._feed,
                input_fps=self.input_fps,
                deinterlaces=self.deinterlaces,
                # At another rate the file's own clock does not tell where the start is.
                start_seconds=0.0 if self.input_fps else self.start_seconds,
                max_side_px=self.max_side_px,
                hwaccel=hwaccel,
            )
        except (FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"{name} cannot be decoded: {error_reason(error)}; try to convert it first", code="undecodable"
            ) from error
        self._start(decoder)
        if hwaccel is not None and not decoder.is_on_device:
            self._announce_cpu("its decoder does not take this kind of video")
        if container.streams.audio and self.input_fps:
            self.add_notice(f"the sound of {name} is left out, because its pictures get another rate")
        tags = {**decoder.container.metadata, **decoder.stream.metadata}
        return StreamInfo(
            name,
            decoder.width,
            decoder.height,
            fps=decoder.fps,
            frame_count=decoder.frame_count,
            time_base=decoder.time_base,
            deep_color=decoder.deep_color,
            device=self.device if decoder.is_on_device else None,
            # Sound does not fit pictures at another rate.
            file_path=None if self.input_fps else path,
            track_feed=None if self.input_fps else self._feed,
            intrinsics=intrinsics_from_metadata(tags, decoder.width, decoder.height),
        )

    @property
    def can_begin_anew(self) -> bool:
        return self.descriptor is None and not is_pipe(self.path)

    def _open_file(self, path: Path) -> tuple[InputContainer, HWAccel | None]:
        """Opens the file for the GPU if that can decode it, else for the CPU; also returns PyAV's settings."""
        container = _open_container(path, self.name)
        hwaccel = choose_acceleration(container, self.device, self._announce_cpu)
        if hwaccel is None:
            return container, None
        container.close()
        try:
            return open_media_file(path, hwaccel), hwaccel
        except (FFmpegError, ValueError) as error:
            self._announce_cpu(error_reason(error))
            return _open_container(path, self.name), None

    def _announce_cpu(self, reason: str) -> None:
        self.add_notice(f"{self.name} is decoded on the CPU and not on {self.device}: {reason}")

    def _find_file(self) -> Path | None:
        """Returns the regular file to read; for some pipes that is a copy of their content, for others None."""
        if self.descriptor is None:
            _check_readable(self.path)
            if not is_pipe(self.path):
                return self.path
        self._pipe = PipeInput(self.name, self.path, self.descriptor, self.interrupted)
        return self._pipe.stored_path

    def _open_stream(self) -> InputContainer:
        assert self._pipe is not None
        try:
            return open_media_stream(self._pipe.reader)
        except (FFmpegError, ValueError) as error:
            if self.interrupted.is_set():
                raise SourceOpenError(f"{self.name} was left before its first picture", code="interrupted") from error
            raise _unreadable_error(self.name, error_reason(error)) from error

    def _finish(self, decoder: TrackDecoder) -> None:
        path = self.path if self._pipe is None else self._pipe.stored_path
        is_single = decoder.container.format.name.split(",")[0] in _SINGLE_FORMATS
        if path and is_single and not self.interrupted.is_set() and _has_second_file(path, decoder.end_position):
            self.add_notice(
                f"{self.name} is several recordings joined byte by byte, of which only the first can be read; give "
                "them one by one, or join them with ffmpeg's concat demuxer"
            )
        super()._finish(decoder)

    def close(self) -> None:
        super().close()
        self._release_pipe()

    def _release_pipe(self) -> None:
        (feed, self._feed), (pipe, self._pipe) = (self._feed, None), (self._pipe, None)
        if feed is not None:
            feed.release_source()
        elif pipe is not None:
            pipe.close()


def _check_readable(path: Path) -> None:
    """Raises SourceOpenError with the reason when `path` cannot be a video file."""
    try:
        path.is_file()
    except PermissionError as error:
        raise missing_file_error(redact(str(path)), path) from error
    except OSError as error:
        raise SourceOpenError(
            f"'{str(path)[:60]}...' cannot be a file: {error.strerror}; check the address", code="not-found"
        ) from error
    if path.is_dir():
        raise SourceOpenError(
            f"{path} is a folder, not a video file; for its pictures give the folder itself", code="is-folder"
        )
    if not path.exists():
        raise missing_file_error(redact(str(path)), path)
    if not path.is_file():
        return  # a pipe: reading its head would lose it
    _check_content(path)


def _check_content(path: Path) -> None:
    try:
        head = _read_head(path)
    except PermissionError as error:
        raise SourceOpenError(f"{path} may not be read; check its permissions", code="no-permission") from error
    except OSError as error:
        raise SourceOpenError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise SourceOpenError(f"{path} is empty (0 bytes); the recording or download may have failed", code="empty")
    if not any(head):
        raise SourceOpenError(f"{path} holds only zeros; the recording or download may have failed", code="empty")


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _has_second_file(path: Path, end: int) -> bool:
    """True if a file's first bytes come again after the byte at which its last packet ends.

    Between the two there can be the first one's index.
    """
    if not end:
        return False
    try:
        with path.open("rb") as file:
            signature = file.read(_SIGNATURE_BYTES)
            file.seek(end)
            return signature in file.read(_MAX_INDEX_BYTES)
    except OSError:  # it was removed or replaced while it was read
        return False


def _open_container(path: Path, name: str) -> InputContainer:
    try:
        return open_media_file(path)
    except (FFmpegError, ValueError) as error:
        if _is_text(_read_head(path)):
            raise SourceOpenError(
                f"{name} is not a video that can be read: it holds text, whatever its name says; give a video file",
                code="unknown-format",
            ) from error
        raise _unreadable_error(name, error_reason(error)) from error


def _unreadable_error(name: str, reason: str) -> SourceOpenError:
    return SourceOpenError(
        f"{name} is not a video that can be read: {reason}; it is damaged, cut off before its index, or in a format "
        "unknown to FFmpeg; try to fetch or record it again",
        code="unknown-format",
    )


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", errors="replace")
    return all(c.isprintable() or c.isspace() for c in text[:-1]) and "\ufffd" not in text[:-3]
