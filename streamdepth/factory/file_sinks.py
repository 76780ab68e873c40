"""Makes the sinks that write one file, by the extension of its name."""

from __future__ import annotations

from pathlib import Path

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.sink import Sink
from streamdepth.factory.render_options import make_render_options
from streamdepth.factory.robots import ROBOT_FILES, make_robot_recording
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES
from streamdepth.sinks.standard_output import STANDARD_OUTPUT


def make_video_sink(settings: Settings, path: Path) -> Sink:
    """Returns the sink for the output `video`. Raises ConfigError ("unknown-format") for other names."""
    from streamdepth.sinks.animation import ANIMATION_SUFFIXES, AnimationSink
    from streamdepth.sinks.muxer import VIDEO_FORMATS
    from streamdepth.sinks.picture import COLORED_SUFFIXES, PictureSink
    from streamdepth.sinks.video import OutputSize, VideoSink

    suffix = path.suffix.lower()
    if suffix in DEPTH_IMAGE_SUFFIXES:
        return make_depth_sink(settings, path)
    if suffix in ANIMATION_SUFFIXES:
        size = OutputSize(settings.video.width, settings.video.height, settings.video.scale)
        return AnimationSink(path, make_render_options(settings), size=size, overwrite=settings.outputs.overwrite)
    if suffix in COLORED_SUFFIXES:
        return PictureSink(path, make_render_options(settings), overwrite=settings.outputs.overwrite)
    if suffix in ROBOT_FILES:
        return make_robot_recording(path, settings, None)
    if suffix not in VIDEO_FORMATS and path != STANDARD_OUTPUT:
        hint = "" if suffix else "; a folder is for several inputs, a folder of videos or a pattern in quotes"
        raise ConfigError(
            f"cannot tell what to write from '{path}'; use a video ({' '.join(VIDEO_FORMATS)}), .gif, .webp "
            f"or numbered pictures (%06d with {' '.join(DEPTH_IMAGE_SUFFIXES)}){hint}",
            code="unknown-format",
        )
    video = settings.video
    default_codec = "vp9" if suffix == ".webm" else "auto"
    return VideoSink(
        path,
        make_render_options(settings),
        codec=default_codec if video.codec == "auto" else video.codec,
        crf=video.crf,
        preset=video.preset,
        overwrite=settings.outputs.overwrite,
        copy_tracks=video.copy_tracks,
        keep_location=video.keep_location,
        size=OutputSize(video.width, video.height, video.scale),
    )


def is_gray_video(settings: Settings, path: Path) -> bool:
    """True if an output of depth is a gray video, by the settings or because its format holds no other depth."""
    suffix = path.suffix.lower()
    is_asked = settings.outputs.depth_map is not None or settings.outputs.target is not None
    return suffix in (".mov", ".m4v", ".webm") or (is_asked and suffix in (".mp4", ".mkv"))


def _make_gray_sink(settings: Settings, path: Path) -> Sink:
    from streamdepth.sinks.control_video import TARGETS, ControlVideoSink
    from streamdepth.sinks.encoders import EncodingOptions
    from streamdepth.sinks.gray_video import GrayOptions, GrayVideoSink
    from streamdepth.sinks.video import OutputSize

    outputs, video, suffix = settings.outputs, settings.video, path.suffix.lower()
    deep, usual = {".mov": ("prores", "prores"), ".webm": ("vp9", "vp9")}.get(suffix, ("hevc", "h264"))
    automatic = deep if outputs.depth_bits > 8 else usual
    codec = automatic if video.codec == "auto" else video.codec
    bits = 10 if codec == "prores" else outputs.depth_bits
    options: GrayOptions = {
        "mapping": outputs.depth_map or "near-white",
        "near": outputs.near,
        "far": outputs.far,
        "encoding": EncodingOptions(codec, video.crf, video.preset, bits),
        "edges": settings.render.edges,
        "size": OutputSize(video.width, video.height, video.scale),
        "overwrite": outputs.overwrite,
    }
    if outputs.target is not None:
        return ControlVideoSink(path, TARGETS[outputs.target], **options)
    return GrayVideoSink(path, **options)


def _make_depth_video(settings: Settings, path: Path) -> Sink:
    from streamdepth.sinks.depth_video import DepthOptions, DepthVideoSink
    from streamdepth.sinks.encoders import EncodingOptions
    from streamdepth.sinks.rgbd_video import RgbdVideoSink

    outputs, video = settings.outputs, settings.video
    options: DepthOptions = {
        "overwrite": outputs.overwrite,
        "smoothing": settings.smooth,
        "size": outputs.depth_size or "network",
        "edges": settings.render.edges,
        "drop_flying": outputs.drop_flying,
    }
    if not outputs.with_rgb:
        return DepthVideoSink(path, **options)
    encoding = EncodingOptions("h264" if video.codec == "auto" else video.codec, video.crf, video.preset)
    return RgbdVideoSink(
        path, encoding=encoding, copy_tracks=video.copy_tracks, keep_location=video.keep_location, **options
    )


def make_depth_sink(settings: Settings, path: Path, name: str | None = None) -> Sink:
    """Returns the sink for the output `depth`; `name` is the stream's, if there are several.

    Raises ConfigError ("unknown-format") for other names.
    """
    suffix, size, edges = path.suffix.lower(), settings.outputs.depth_size, settings.render.edges
    overwrite, drop_flying = settings.outputs.overwrite, settings.outputs.drop_flying
    if is_gray_video(settings, path):
        return _make_gray_sink(settings, path)
    if suffix == ".mkv":
        return _make_depth_video(settings, path)
    if suffix == ".mp4":
        from streamdepth.sinks.lerobot_video import LeRobotVideoSink

        return LeRobotVideoSink(path, overwrite=overwrite, edges=edges, drop_flying=drop_flying)
    if suffix in ROBOT_FILES:
        return make_robot_recording(path, settings, name)
    if suffix in DEPTH_IMAGE_SUFFIXES:
        from streamdepth.sinks.images import ImagesSink

        return ImagesSink(
            path,
            overwrite=overwrite,
            size=size or "picture",
            edges=edges,
            drop_flying=drop_flying,
            first_number=settings.outputs.first_number,
        )
    raise ConfigError(
        f"depth cannot be written to '{path}'; use .mkv (lossless depth video), .mp4 (LeRobot's, or gray with "
        "--depth-map), .mov (gray), .mcap (ROS 2 messages), .rrd (Rerun) or %06d with "
        f"{' '.join(DEPTH_IMAGE_SUFFIXES)}",
        code="unknown-format",
    )
