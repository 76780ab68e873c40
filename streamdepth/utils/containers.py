"""Choice of the video stream in a media container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.stream import Disposition

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def main_video_stream(container: InputContainer) -> VideoStream | None:
    """Returns the video stream that libav prefers, never a cover picture; None where there is no video."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return next((s for s in videos if s is best), videos[0] if videos else None)
