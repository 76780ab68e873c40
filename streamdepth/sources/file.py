"""Video files, by PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.types import StreamInfo
from streamdepth.geometry.camera import intrinsics_from_metadata
from streamdepth.sources.decoded_source import DecodedSource
from streamdepth.sources.libav_errors import error_reason
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.containers import open_media_file
from streamdepth.utils.media_clock import MediaClock
from streamdepth.utils.redact import redact

_HEAD_BYTES = 65536


class FileSource(DecodedSource[TrackDecoder]):
    """A local video file: every frame with its exact timestamp, in RGB, upright, with square pixels.

    The timestamps are those of the file on a clock that begins at 0 with its earliest track and has no jumps
    (`MediaClock`). Pictures without any, as in a raw .h264, come at the rate that the stream states, or at 25 per
    second.

    Rotation, reflection, pixel aspect ratio, color matrix and range are applied as tagged; HDR is tone-mapped to SDR.
    Frames that cannot be decoded are counted in `undelivered`, and at the end `read` raises SourceLostError.

    Args:
        name: the stream's name, safe to log; the path when it is not given.
        input_fps: frames per second, whatever the file says; its sound is then left out.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        input_fps: Fraction | None = None,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__(str(path) if name is None else name)
        self.path, self.input_fps, self.max_side_px = Path(path), input_fps, max_side_px

    def open(self) -> StreamInfo:
        self._release()
        name = self.name
        _check_readable(self.path)
        try:
            container = _open_container(self.path)
            decoder = TrackDecoder(
                container,
                name,
                self.add_notice,
                clock=MediaClock(container),
                input_fps=self.input_fps,
                max_side_px=self.max_side_px,
            )
        except (FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"{name} cannot be decoded: {error_reason(error)}; try to convert it first", code="undecodable"
            ) from error
        self._start(decoder)
        is_regular = self.path.is_file()
        if container.streams.audio and self.input_fps:
            self.add_notice(f"the sound of {name} is left out, because its pictures get another rate")
        elif container.streams.audio and not is_regular:
            self.add_notice(
                f"the sound of {name} is left out, because a pipe can be read only once; write it to a file first, and "
                "give that, to keep it"
            )
        tags = {**decoder.container.metadata, **decoder.stream.metadata}
        return StreamInfo(
            name,
            decoder.width,
            decoder.height,
            fps=decoder.fps,
            frame_count=decoder.frame_count,
            time_base=decoder.time_base,
            # A pipe can be read only once, and sound does not fit pictures at another rate.
            file_path=self.path if is_regular and not self.input_fps else None,
            intrinsics=intrinsics_from_metadata(tags, decoder.width, decoder.height),
        )


def _check_readable(path: Path) -> None:
    """Raises SourceOpenError with the reason when `path` cannot be a video file."""
    try:
        path.is_file()
    except OSError as error:
        raise SourceOpenError(
            f"'{str(path)[:60]}...' cannot be a file: {error.strerror}; check the address", code="not-found"
        ) from error
    if path.is_dir():
        raise SourceOpenError(
            f"{path} is a folder, not a video file; for its pictures give the folder itself", code="is-folder"
        )
    if not path.exists():
        name = redact(str(path))
        raise SourceOpenError(
            f"{name} does not exist; check the spelling and the current folder ({Path.cwd()})", code="not-found"
        )
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


def _open_container(path: Path) -> InputContainer:
    try:
        return open_media_file(path)
    except (FFmpegError, ValueError) as error:
        raise SourceOpenError(
            f"{path} is not a video that can be read: {_explain(path, error)}", code="unknown-format"
        ) from error


def _explain(path: Path, error: FFmpegError | ValueError) -> str:
    if path.is_file() and _is_text(_read_head(path)):
        return "it holds text, whatever its name says; give a video file"
    return (
        f"{error_reason(error)}; it is damaged, cut off before its index, or in a format unknown to FFmpeg; "
        "try to fetch or record it again"
    )


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", errors="replace")
    return all(c.isprintable() or c.isspace() for c in text[:-1]) and "\ufffd" not in text[:-3]
