"""Video files, by PyAV."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.types import StreamInfo
from streamdepth.geometry.camera import intrinsics_from_metadata
from streamdepth.sources.decoded_source import DecodedSource
from streamdepth.sources.libav_errors import error_reason
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.redact import redact

_HEAD_BYTES = 65536


class FileSource(DecodedSource[TrackDecoder]):
    """A local video file: every frame with its exact timestamp, in RGB, upright, with square pixels.

    Rotation, reflection, pixel aspect ratio, colour matrix and range are applied as tagged; HDR is tone-mapped to SDR.
    Frames that cannot be decoded are counted in `undelivered`, and at the end `read` raises SourceLostError.

    Args:
        name: the stream's name, safe to log; the path when it is not given.
    """

    def __init__(self, path: str | Path, *, name: str | None = None, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__(str(path) if name is None else name)
        self.path, self.max_side_px = Path(path), max_side_px

    def open(self) -> StreamInfo:
        self._release()
        name = self.name
        _check_readable(self.path)
        try:
            decoder = TrackDecoder(_open_container(self.path), name, self.add_notice, max_side_px=self.max_side_px)
        except (FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"{name} cannot be decoded: {error_reason(error)}; try to convert it first", code="undecodable"
            ) from error
        self._start(decoder)
        tags = {**decoder.container.metadata, **decoder.stream.metadata}
        return StreamInfo(
            name,
            decoder.width,
            decoder.height,
            fps=decoder.fps,
            frame_count=decoder.frame_count,
            time_base=decoder.time_base,
            origin=self.path if self.path.is_file() else None,  # a pipe can be read only once
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
        # `file:` keeps libav from taking a colon in the name for a protocol.
        return av.open(f"file:{path}", metadata_errors="replace")
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
