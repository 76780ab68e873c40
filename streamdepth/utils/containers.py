"""Which track of a file or a stream is its video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.stream import Disposition

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def main_video_stream(container: InputContainer) -> VideoStream | None:
    """libav's choice, never a cover picture; None where there is no video."""
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return next((s for s in films if s is best), films[0] if films else None)
