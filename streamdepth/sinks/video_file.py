"""A video file being written: encoder, container, exact times, and the source's other tracks beside the picture."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.render_options import Style
from streamdepth.core.track_feed import TrackFeed
from streamdepth.core.types import StreamInfo
from streamdepth.sinks.automatic_encoder import resolve_encoder
from streamdepth.sinks.encoders import AUTOMATIC, EncodingOptions, encoder_options, find_encoder
from streamdepth.sinks.frame_packing import frame_packing_options
from streamdepth.sinks.muxer import VIDEO_FORMATS, Muxer
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.sound_copier import SoundCopier
from streamdepth.sinks.standard_output import STANDARD_OUTPUT, StandardOutput, check_standard_output
from streamdepth.sinks.tracks import TrackCopier
from streamdepth.sinks.write_errors import map_write_errors, write_error_message


class VideoFile:
    """Encodes frames at their exact times into a file that appears under its name at `commit`.

    Args:
        size: (width, height) in px of the pictures; odd sides are encoded one px larger.
        copy_tracks: copies sound, subtitles, chapters and tags of `info.file_path` or `info.track_feed` without
            encoding them again.
        on_notice: called with sentences that a user should read.
        keep_location: copies the tags that say where the source's file was recorded, too.
        style: the style of the pictures; a stereo style is tagged, so that players show it in 3D.

    Raises:
        SinkOpenError: the path cannot be written, the format is unknown ("unknown-format"), or the encoder does not
            start.
    """

    def __init__(
        self,
        path: Path,
        info: StreamInfo,
        size: tuple[int, int],
        encoding: EncodingOptions,
        *,
        overwrite: bool,
        copy_tracks: bool,
        on_notice: Callable[[str], None],
        keep_location: bool = False,
        style: Style = "overlay",
    ) -> None:
        check_video_path(path)
        self.size, self.frame_count = size, 0
        self._path, self._info, self._on_notice = path, info, on_notice
        encoder = resolve_encoder(encoding, size, style, on_notice)
        self._file: PendingFile | StandardOutput = (
            StandardOutput()
            if path == STANDARD_OUTPUT
            else PendingFile(path, overwrite=overwrite, input_path=info.file_path)
        )
        self._muxer: Muxer | None = None
        try:
            self._muxer = self._open_muxer(encoder, encoding, style)
            if self._muxer.missing_tag:
                on_notice(self._muxer.missing_tag)
            origin = _track_origin(info, on_notice) if copy_tracks else None
            muxer, is_streamed = self._muxer, path == STANDARD_OUTPUT
            if origin is None and copy_tracks and info.live_sound is not None:
                muxer.tracks = SoundCopier(
                    info.live_sound, muxer.output, on_notice, clip_start=info.clip_start, is_streamed=is_streamed
                )
            elif origin is not None:
                muxer.tracks = TrackCopier(
                    origin,
                    muxer.output,
                    muxer.stream,
                    on_notice,
                    keep_location=keep_location,
                    clip=(info.clip_start, info.clip_end),
                    is_streamed=is_streamed,
                )
        except (av.FFmpegError, ValueError, OSError) as error:
            self.discard()
            message = f"{write_error_message(path, error)}; try another container or codec"
            raise SinkOpenError(message) from error
        except BaseException:
            self.discard()
            raise

    def _open_muxer(self, encoder: str, encoding: EncodingOptions, style: Style) -> Muxer:
        """Opens the container and the encoder; for `auto`, x264 if the hardware encodes no further video now."""
        options = encoder_options(encoder, encoding.crf, encoding.preset, encoding.bits, encoding.color)
        options |= frame_packing_options(encoder, style)
        try:
            return Muxer(self._file, self._info, encoder, options, self.size, encoding, style)
        except SinkOpenError as error:
            software = find_encoder(encoding.codec)
            if encoding.codec != AUTOMATIC or encoder == software:
                raise
            self._on_notice(f"the hardware takes no further video ({error}); {software} is used instead")
            return self._open_muxer(software, encoding, style)

    @cached_property
    def frame_format(self) -> tuple[str, tuple[int, int]]:
        """Pixel format, and even (width, height) in px, of the frames that `write` takes."""
        assert self._muxer is not None
        width, height = self.size
        pixel_format = self._muxer.stream.codec_context.pix_fmt or "yuv420p"
        return pixel_format, (width + width % 2, height + height % 2)

    def write(self, frame: av.VideoFrame, time_seconds: Fraction) -> None:
        """Adds a frame that is shown from `time_seconds` on. Raises SinkWriteError."""
        assert self._muxer is not None
        with map_write_errors(self._path):
            has_moved = self._muxer.add(frame, time_seconds)
        self.frame_count += 1
        if has_moved:
            self._on_notice("timestamps of the source go backwards or repeat; these frames are moved on")

    @property
    def bytes_written(self) -> int:
        """Bytes on disk so far."""
        return self._file.size if isinstance(self._file, PendingFile) else 0

    def commit(self) -> None:
        """Completes the file and puts it in place; without frames it is discarded. Raises SinkWriteError."""
        if self._muxer is None or not self.frame_count:
            self.discard()
            return
        self.finish()
        self._file.commit()

    def finish(self) -> Path:
        """Completes the file, which must have frames, and returns its temporary name. Raises SinkWriteError."""
        assert self._muxer is not None
        with map_write_errors(self._path):
            self._muxer.finish()
            shift_seconds = self._muxer.shift_seconds()
        if abs(shift_seconds) > 0.001:
            self._on_notice(
                f"{self._path.suffix} has no times below 0, where the sound begins: all tracks are shifted by "
                f"{shift_seconds:.3f} s; .mp4 keeps them"
            )
        self._muxer = None  # it holds the last frame
        return self._file.temporary if isinstance(self._file, PendingFile) else self._path

    def discard(self) -> None:
        """Removes the temporary file. Idempotent, and harmless after `commit`, even one that failed."""
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            muxer.abandon()
        self._file.discard()


def _track_origin(info: StreamInfo, on_notice: Callable[[str], None]) -> Path | TrackFeed | None:
    """Returns the origin of a stream's sound: its file, or the feed of a pipe, which only one output can claim."""
    feed = info.track_feed
    if feed is None or feed.claim():
        return feed or info.file_path
    if feed.has_tracks:
        on_notice(f"the sound of {info.name} is left out: a pipe is read only once, and another output has its sound")
    return None


def check_video_path(path: Path) -> None:
    """Raises SinkOpenError: for an extension that stands for no container ("unknown-format"), and for a terminal."""
    if path == STANDARD_OUTPUT:
        check_standard_output()
    elif path.suffix.lower() not in VIDEO_FORMATS:
        raise SinkOpenError(
            f"cannot write a video to '{path}'; use one of {' '.join(VIDEO_FORMATS)}", code="unknown-format"
        )
