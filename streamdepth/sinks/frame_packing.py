"""Tags that tell players that a video holds the pictures of two eyes, and in which layout.

- H.264 carries it in the stream itself, in any container and over any network: the frame packing arrangement SEI
  message (ITU-T H.264, D.2.26), which x264 writes.
- Matroska and WebM carry it as StereoMode (RFC 9559, 5.1.4.1.28.3), for any codec.
- In MP4 and MOV, other codecs than H.264 get no tag: FFmpeg writes `st3d` boxes from data that PyAV cannot set.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from streamdepth.core.render_options import Style

if TYPE_CHECKING:
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class FramePacking:
    """The layout of two eyes' pictures in the frames of a video."""

    sei_type: int | None
    """`frame_packing_arrangement_type` of H.264; None where it has none."""
    stereo_mode: str
    """StereoMode of Matroska by FFmpeg's name."""
    is_in_webm: bool = True
    """True if WebM has this StereoMode, too."""
    aspect: Fraction = Fraction(1)
    """Pixel aspect ratio: displayed width of a pixel divided by its height."""


_PACKINGS: dict[Style, FramePacking] = {
    "sbs": FramePacking(3, "left_right"),
    "half-sbs": FramePacking(3, "left_right", aspect=Fraction(2)),
    "top-bottom": FramePacking(4, "top_bottom"),
    "anaglyph": FramePacking(None, "anaglyph_cyan_red", is_in_webm=False),
}
_WITH_SEI = ("libx264",)
_MATROSKA = ("matroska", "webm")


def frame_packing_options(encoder: str, style: Style) -> dict[str, str]:
    """Returns the encoder's options that tag the stream itself; none for a style or an encoder without such a tag."""
    packing = _PACKINGS.get(style)
    if packing is None or packing.sei_type is None or encoder not in _WITH_SEI:
        return {}
    return {"x264-params": f"frame-packing={packing.sei_type}"}


def tag_stream(stream: VideoStream, container: str, style: Style) -> str | None:
    """Tags the stream of a container that has such tags, before its encoder is opened.

    Returns:
        A notice if the container and the encoder have no tag for this layout, else None.
    """
    packing = _PACKINGS.get(style)
    if packing is None:
        return None
    if container == "matroska" or (container == "webm" and packing.is_in_webm):
        stream.metadata["stereo_mode"] = packing.stereo_mode
        stream.codec_context.sample_aspect_ratio = packing.aspect
        return None
    if packing.sei_type is None or stream.codec_context.name in _WITH_SEI:
        return None
    return (
        f"players are not told that this is stereo ({style}): a tag for {stream.codec_context.name} needs .mkv; "
        "choose the layout in the player"
    )
