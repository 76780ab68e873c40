"""A video of the source with its depth, on the source's clock, with the source's sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av

from streamdepth.core.deep_color import DeepColor
from streamdepth.core.errors import ConfigError
from streamdepth.core.masks import shrink_mask
from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.deep import DEEP_STYLES
from streamdepth.render.overlay import check_render_options, rendered_size
from streamdepth.sinks.encoded_video import EncodedVideoSink
from streamdepth.sinks.encoders import EncodingOptions, keeps_deep_color
from streamdepth.sinks.video_file import VideoFile
from streamdepth.sinks.video_frames import deep_video_frame, render_video_frame


@dataclass(frozen=True, slots=True)
class OutputSize:
    """The size of a video: a width, a height, both, or a factor; none of them keeps that of the picture.

    Raises ConfigError ("conflict") for a factor beside a width or height.
    """

    width: int | None = None
    """px."""
    height: int | None = None
    """px."""
    scale: float | None = None
    """Factor of width and height."""

    def __post_init__(self) -> None:
        if self.scale is not None and (self.width or self.height):
            raise ConfigError("give the video's size by scale, or by width and height, not by both", code="conflict")

    def of_frame(self, size: tuple[int, int], style: Style) -> tuple[int, int]:
        """Returns the (width, height) at which frames of `size` are drawn so that the video has this size."""
        width, height = rendered_size(size, style)
        if self.scale is not None:
            x = y = self.scale
        else:
            x = self.width / width if self.width else self.height / height if self.height else 1.0
            y = self.height / height if self.height else x
        if (x, y) == (1, 1):
            return size
        return max(1, round(size[0] * x)), max(1, round(size[1] * y))


def resize_item(item: DepthFrame, width: int, height: int) -> DepthFrame:
    """Returns a frame with its picture at another size; drawing it is faster than scaling the drawn picture."""
    frame = item.frame
    if frame.size == (width, height):
        return item
    valid = None if frame.valid is None else shrink_mask(frame.valid, width, height)
    small = replace(frame, pixels=frame.image_at_size(width, height), valid=valid)
    return replace(item, frame=small)


def resize_zones(options: RenderOptions, old: tuple[int, int], new: tuple[int, int]) -> RenderOptions:
    """Returns the options with the zones of a picture that was resized from `old` to `new`, (width, height) in px."""
    across, down = new[0] / old[0], new[1] / old[1]
    return replace(options, zones=tuple(zone.resized(across, down) for zone in options.zones))


class VideoSink(EncodedVideoSink):
    """Writes an overlay, the depth alone, both side by side, or stereo pictures, with the timestamps of the source.

        sink = VideoSink("out.mp4", RenderOptions(style="side-by-side"), crf=18)

    - Times: each frame keeps its exact time, so a variable frame rate stays one. MP4 and MOV take over the source's
      clock; Matroska and WebM count in milliseconds and round to them, and begin at 0 or later: where sound begins
      before 0, all tracks are shifted together (`notices` says so). A stream without a file behind it, such as a
      camera, begins at 0.
    - Sound: with `copy_tracks`, all audio and subtitle tracks, chapters and tags of the source's file are copied
      without encoding them again; `notices` says what the container cannot hold. The position where the file was
      recorded is left out, unless `keep_location`. When the user ends early, the tracks end there, too.
    - Picture: 4:2:0, BT.709, limited range, which plays everywhere. HEVC, AV1 and VP9 keep the 10 bits and the colors
      of a source that has them, also HDR, at the picture's own size (`render.deep` says how depth is drawn there).
      4:2:0 needs even sizes: an odd one gets its last row or column twice. Frames are upright already, so no rotation
      is tagged. A frame of another size than the first is scaled to it.
    - Stereo styles are tagged as `frame_packing` says; where that is not possible, `notices` says so.

    Args:
        path: .mp4 .m4v .mov .mkv or .webm; `-` is standard output, as Matroska.
        options: how depth is drawn.
        size: see `OutputSize`.
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
        preset: str = "auto",
        overwrite: bool = False,
        copy_tracks: bool = True,
        keep_location: bool = False,
        size: OutputSize = OutputSize(),
    ) -> None:
        super().__init__(path, EncodingOptions(codec, crf, preset))
        check_render_options(options)
        self.options = options
        self.overwrite, self.copy_tracks, self.keep_location = overwrite, copy_tracks, keep_location
        self.size = size
        self._frame_size = (0, 0)
        """(width, height) in px at which frames are drawn."""
        self._color: DeepColor | None = None
        """The colors of a video of 10 bits; None for 8."""

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._frame_size = self.size.of_frame((info.width, info.height), self.options.style)
        self._color = self._deep_color(info)
        deep = replace(self.encoding, bits=10, color=self._color)
        encoding = deep if self._color else replace(self.encoding, device=info.device)
        self._video = VideoFile(
            self.path,
            info,
            rendered_size(self._frame_size, self.options.style),
            encoding,
            overwrite=self.overwrite,
            copy_tracks=self.copy_tracks,
            on_notice=self.add_notice,
            keep_location=self.keep_location,
            style=self.options.style,
        )

    def _deep_color(self, info: StreamInfo) -> DeepColor | None:
        """Returns the colors to keep in 10 bits; None where the video has 8."""
        if info.deep_color is None or not keeps_deep_color(self.encoding.codec):
            return None
        if self.options.style not in DEEP_STYLES:
            self.add_notice(f"10 bits are kept in the styles {', '.join(DEEP_STYLES)}; this video has 8")
            return None
        if self.size != OutputSize() or self.options.drawn_zones:
            self.add_notice("10 bits are kept at the picture's own size and without zones; this video has 8")
            return None
        return info.deep_color

    def on_write(self, item: DepthFrame) -> None:
        assert self._video is not None
        options = self.options
        if self.size != OutputSize():
            options = resize_zones(options, item.frame.size, self._frame_size)
            item = resize_item(item, *self._frame_size)
        elif rendered_size(item.frame.size, self.options.style) != self._video.size:
            self.add_notice("the size of the picture changed in mid-stream; it is scaled to the first size")
        if self._color is None:
            frame = render_video_frame(item, *self._video.frame_format, options)
        else:
            frame = self._render_deep(item, self._color)
        self._video.write(frame, item.frame.pts * item.frame.time_base)

    def _render_deep(self, item: DepthFrame, color: DeepColor) -> av.VideoFrame:
        assert self._video is not None
        if item.frame.deep_planes is None:
            self.add_notice("pictures came without their 10 bits, and are drawn from 8")
        if rendered_size(item.frame.size, self.options.style) != self._video.size:
            item = resize_item(item, *self._frame_size)
        return deep_video_frame(item, self.options, color)
