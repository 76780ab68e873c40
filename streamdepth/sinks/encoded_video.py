"""The base class of sinks that write one video file."""

from __future__ import annotations

from pathlib import Path

from streamdepth.core.sink import Sink
from streamdepth.sinks.encoders import EncodingOptions, check_encoder
from streamdepth.sinks.video_file import VideoFile, check_video_path


class EncodedVideoSink(Sink):
    """The base of sinks that write one video file: a subclass makes it in `on_open`, and adds frames in `on_write`.

    Args:
        path: .mp4 .m4v .mov .mkv or .webm; `-` is standard output, as Matroska.
        encoding: codec, quality, speed and bits.
    """

    def __init__(self, path: str | Path, encoding: EncodingOptions) -> None:
        super().__init__()
        self.path, self.encoding = Path(path), encoding
        self._video: VideoFile | None = None

    def check(self) -> None:
        check_video_path(self.path)
        check_encoder(self.encoding.codec)

    @property
    def frame_count(self) -> int:
        """Number of frames that were written."""
        return self._video.frame_count if self._video else 0

    def on_close(self) -> None:
        if self._video is not None:
            self._video.commit()

    def on_discard(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.discard()
