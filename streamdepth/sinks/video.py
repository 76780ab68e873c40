"""A video to look at: the source with its depth, on the source's clock, with the source's sound."""

from __future__ import annotations

from pathlib import Path

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, rendered_size
from streamdepth.sinks.encoders import check_encoder
from streamdepth.sinks.video_file import EncodingOptions, VideoFile, check_video_path
from streamdepth.sinks.video_frames import render_video_frame


class VideoSink(Sink):
    """Writes an overlay, the depth alone, or both side by side, with the timestamps of the source.

        sink = VideoSink("out.mp4", RenderOptions(style="side-by-side"), crf=18)

    - Times: each frame keeps its exact time, so a variable frame rate stays one. MP4 and MOV take over the source's
      clock; Matroska and WebM count in milliseconds and round to them, and begin at 0 or later: where sound begins
      before 0, all tracks are shifted together (`notices` says so). A stream without a file behind it, such as a
      camera, begins at 0.
    - Sound: with `copy_tracks`, all audio and subtitle tracks, chapters and tags of the source's file are copied
      without encoding them again; `notices` says what the container cannot hold. The position where the file was
      recorded is left out, unless `keep_location`. When the user ends early, so do they.
    - Picture: 4:2:0, BT.709, limited range, which plays everywhere. 4:2:0 needs even sizes: an odd one gets its last
      row or column twice. Frames are upright already, so no rotation is tagged. A frame of another size than the first
      is scaled to it.

    Args:
        path: .mp4 .m4v .mov .mkv or .webm; `-` is standard output, as Matroska.
        options: how depth is drawn.
        codec, crf, preset: see `EncodingOptions`.

    Raises:
        ConfigError: an option of drawing is wrong.
        SinkOpenError: from `open`, as `VideoFile` says.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        options: RenderOptions = RenderOptions(),
        *,
        codec: str = "h264",
        crf: int = 20,
        preset: str = "veryfast",
        overwrite: bool = False,
        copy_tracks: bool = True,
        keep_location: bool = False,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.path, self.options = Path(path), options
        self.encoding = EncodingOptions(codec, crf, preset)
        self.overwrite, self.copy_tracks, self.keep_location = overwrite, copy_tracks, keep_location
        self._video: VideoFile | None = None

    def check(self) -> None:
        check_video_path(self.path)
        check_encoder(self.encoding.codec)

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._video = VideoFile(
            self.path,
            info,
            rendered_size((info.width, info.height), self.options.style),
            self.encoding,
            overwrite=self.overwrite,
            copy_tracks=self.copy_tracks,
            on_notice=self.add_notice,
            keep_location=self.keep_location,
        )

    def on_write(self, item: DepthFrame) -> None:
        assert self._video is not None
        if rendered_size(item.frame.size, self.options.style) != self._video.size:
            self.add_notice("the size of the picture changed in mid-stream; it is scaled to the first size")
        frame = render_video_frame(item, *self._video.frame_format, self.options)
        self._video.write(frame, item.frame.pts * item.frame.time_base)

    def on_close(self) -> None:
        if self._video is not None:
            self._video.commit()

    def on_discard(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.discard()
