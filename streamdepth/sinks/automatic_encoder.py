"""The encoder that `video.codec=auto` means: the hardware's for H.264 where it really encodes, else x264."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from streamdepth.core.render_options import Style
from streamdepth.sinks.encoders import AUTOMATIC, EncodingOptions, encodes, find_encoder
from streamdepth.sinks.frame_packing import frame_packing_options

_log = logging.getLogger(__name__)

_HARDWARE = ("h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox")
"""Encoders of NVIDIA, Intel, AMD and Apple, in the order in which they are tried."""
_chosen: dict[tuple[int, int], str] = {}
"""The encoder for each class of sizes."""
_lock = threading.Lock()


def resolve_encoder(
    encoding: EncodingOptions, size: tuple[int, int], style: Style, on_notice: Callable[[str], None]
) -> str:
    """Returns the name of the encoder for pictures of `size`, which is (width, height) in px.

    For the codec `auto`, the hardware encoders are tried once in this process for each class of sizes (sides up to the
    same power of two) by encoding two pictures; `on_notice` gets a notice once if one is found. Stereo styles get x264,
    which alone tells players of them (`frame_packing`).

    Raises SinkOpenError ("unknown-encoder") for the name of a codec or an encoder that this machine lacks.
    """
    software = find_encoder(encoding.codec)
    if encoding.codec != AUTOMATIC or frame_packing_options(software, style):
        return software
    with _lock:
        size_class = (size[0] - 1).bit_length(), (size[1] - 1).bit_length()
        if size_class not in _chosen:
            _chosen[size_class] = _find_working(encoding, size) or software
            _announce(_chosen[size_class], software, size, on_notice)
        return _chosen[size_class]


def _find_working(encoding: EncodingOptions, size: tuple[int, int]) -> str | None:
    even = size[0] + size[0] % 2, size[1] + size[1] % 2
    return next((name for name in _HARDWARE if encodes(name, even, encoding)), None)


def _announce(encoder: str, software: str, size: tuple[int, int], on_notice: Callable[[str], None]) -> None:
    if encoder == software:
        _log.info("videos of about %dx%d px are encoded by %s: no hardware encoder works here", *size, encoder)
    else:
        on_notice(f"the video is encoded by the hardware ({encoder}); --set video.codec=h264 takes {software} instead")
