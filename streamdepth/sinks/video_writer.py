"""A writer for videos of one's own pictures, with the timestamps of a stream."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.types import DepthFrame, Frame, StreamInfo
from streamdepth.sinks.encoders import EncodingOptions
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.video_file import VideoFile, check_video_path
from streamdepth.sinks.video_frames import to_video_frame


class VideoWriter:
    """Writes pictures that a program has drawn itself into a video, each at the time of the frame it belongs to.

    >>> with sd.stream("samples/room.mp4", max_frames=3) as frames:
    ...     with sd.VideoWriter("own.mp4", frames.info) as writer:
    ...         for item in frames:
    ...             writer.write(255 - item.frame.image, like=item)
    >>> Path("own.mp4").exists()
    True

    The video appears under its name when the block ends, and never when it raises. The first picture sets the size of
    the video, and later ones of another size are scaled to it.

    Args:
        path: .mp4 .m4v .mov .mkv or .webm.
        info: the stream that the pictures belong to, such as `frames.info`.
        codec, crf, preset: see `streamdepth.sinks.encoders.EncodingOptions`.
        overwrite: an existing file may be replaced.
        copy_tracks: copies sound, subtitles, chapters and tags of the stream's file.
        keep_location: copies the tags that say where the file was recorded, too.

    Raises:
        SinkOpenError: the path cannot be written, or its extension is unknown ("unknown-format").
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        info: StreamInfo,
        *,
        codec: str = "h264",
        crf: int = 20,
        preset: str = "auto",
        overwrite: bool = False,
        copy_tracks: bool = True,
        keep_location: bool = False,
    ) -> None:
        self.path, self.info = Path(path), info
        self.notices: list[str] = []
        """Sentences that a user should read about the video, for example a track that could not be copied."""
        self._encoding = EncodingOptions(codec, crf, preset)
        self._overwrite, self._copy_tracks, self._keep_location = overwrite, copy_tracks, keep_location
        self._video: VideoFile | None = None
        self._is_open = True
        check_video_path(self.path)
        check_output(self.path, overwrite=overwrite, input_path=info.file_path)

    def write(self, picture: Image, *, like: DepthFrame | Frame) -> None:
        """Adds a picture at the time of the frame `like`.

        Args:
            picture: (H, W, 3) uint8 RGB, of any size; it may be changed afterwards.
            like: the frame whose timestamp the picture gets.

        Raises:
            ValueError: the picture has another shape or type.
            SinkWriteError: encoding failed, the disk is full, or the writer is closed ("not-open").
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(f"a picture is (H, W, 3) uint8 RGB, not {picture.shape} {picture.dtype}")
        if not self._is_open:
            raise SinkWriteError(f"the writer of '{self.path}' is closed; make a new one", code="not-open")
        frame = like.frame if isinstance(like, DepthFrame) else like
        try:
            if self._video is None:
                self._video = self._open((picture.shape[1], picture.shape[0]))
            encoded = to_video_frame(np.ascontiguousarray(picture), *self._video.frame_format)
            self._video.write(encoded, frame.pts * frame.time_base)
        except (SinkOpenError, SinkWriteError):
            self.discard()
            raise

    def _open(self, size: tuple[int, int]) -> VideoFile:
        return VideoFile(
            self.path,
            self.info,
            size,
            self._encoding,
            overwrite=self._overwrite,
            copy_tracks=self._copy_tracks,
            on_notice=self.notices.append,
            keep_location=self._keep_location,
        )

    def close(self) -> None:
        """Completes the video and puts it in place; without pictures nothing appears. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self._video is not None:
                self._video.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Removes the unfinished video and leaves an older one untouched. Idempotent, and harmless after `close`."""
        self._is_open = False
        if self._video is not None:
            self._video.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.discard()
