"""Facts of a stream as `probe` prints them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.utils.containers import open_media_file

if TYPE_CHECKING:
    from av.container import InputContainer


def stream_facts(info: StreamInfo) -> list[tuple[str, str]]:
    """Returns (name, value) rows for people."""
    rows = [
        ("name", info.name),
        ("size", f"{info.width}x{info.height} px"),
        ("frame rate", f"{float(info.fps):.3f} fps ({info.fps})" if info.fps else "unknown or variable"),
        ("frames", str(info.frame_count) if info.frame_count else "unknown"),
        ("duration", _duration(info.frame_count / info.fps) if info.frame_count and info.fps else "unknown"),
        ("time base", f"{info.time_base} s"),
        ("live", "yes" if info.is_live else "no"),
        ("camera", _describe_camera(info.intrinsics)),
    ]
    if info.file_path is not None:
        rows += _track_facts(info.file_path)
    return rows


def _duration(seconds: Fraction) -> str:
    """Returns "H:MM:SS.sss"."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{milliseconds / 1000:06.3f}"


def _picture_facts(container: InputContainer) -> list[tuple[str, str]]:
    """Returns rows for facts that only a decoded picture has: rotation and HDR."""
    import av

    from streamdepth.sources.hdr import CURVES

    try:
        frame = next(container.decode(video=0), None)
    except av.FFmpegError:
        frame = None
    if frame is None:
        return []
    curve = CURVES.get(frame.color_trc)
    return [
        ("rotation", f"{frame.rotation % 360} degrees, which is undone" if frame.rotation else "none"),
        ("HDR", f"yes, {curve}: mapped to SDR" if curve else "no"),
    ]


def _describe_camera(camera: Intrinsics | None) -> str:
    if camera is None:
        return "unknown; --fov or --camera-info sets it"
    lens = f", {camera.distortion_model}" if camera.distortion else ""
    return f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px{lens}"


def _track_facts(path: Path) -> list[tuple[str, str]]:
    import av

    with open_media_file(path) as container:
        rows = [("container", container.format.long_name)]
        if container.duration:
            rows.append(("file's duration", _duration(Fraction(container.duration, av.time_base))))
        if container.streams.video:
            rows += _picture_facts(container)
        for track in container.streams:
            context = track.codec_context
            codec = context.name if context else "unknown"
            if isinstance(context, av.VideoCodecContext):
                codec += f", {context.pix_fmt}, {context.width}x{context.height}"
            rows.append((f"track {track.index}", f"{track.type}: {codec}"))
    return rows
