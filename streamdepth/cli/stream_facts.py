"""Facts of a stream as `probe` prints them."""

from __future__ import annotations

from pathlib import Path

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.utils.containers import open_media_file


def stream_facts(info: StreamInfo) -> list[tuple[str, str]]:
    """Returns (name, value) rows for people."""
    rows = [
        ("name", info.name),
        ("size", f"{info.width}x{info.height} px"),
        ("frame rate", f"{float(info.fps):.3f} fps ({info.fps})" if info.fps else "unknown or variable"),
        ("frames", str(info.frame_count) if info.frame_count else "unknown"),
        ("time base", f"{info.time_base} s"),
        ("live", "yes" if info.is_live else "no"),
        ("camera", _describe_camera(info.intrinsics)),
    ]
    if info.file_path is not None:
        rows += _track_facts(info.file_path)
    return rows


def _describe_camera(camera: Intrinsics | None) -> str:
    if camera is None:
        return "unknown; --fov or --camera-info sets it"
    lens = f", {camera.distortion_model}" if camera.distortion else ""
    return f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px{lens}"


def _track_facts(path: Path) -> list[tuple[str, str]]:
    import av

    with open_media_file(path) as container:
        rows = [("container", container.format.long_name)]
        for track in container.streams:
            context = track.codec_context
            codec = context.name if context else "unknown"
            if isinstance(context, av.VideoCodecContext):
                codec += f", {context.pix_fmt}, {context.width}x{context.height}"
            rows.append((f"track {track.index}", f"{track.type}: {codec}"))
    return rows
