"""Video encoders by name, and options with the same meaning for all of them."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from streamdepth.core.deep_color import DeepColor
from streamdepth.core.errors import SinkOpenError
from streamdepth.utils.thread_priority import usual_priority

_log = logging.getLogger(__name__)

AUTOMATIC = "auto"
"""As codec: H.264 by the best encoder that works here (`automatic_encoder`). As preset: see `EncodingOptions`."""
CODECS = {
    "h264": ("libx264", "libopenh264"),
    "hevc": ("libx265",),
    "av1": ("libsvtav1",),
    "vp9": ("libvpx-vp9",),
}
"""Codec -> the software encoders to try, best first."""

EDITING_CODECS = {"prores": ("prores_ks",), "dnxhr": ("dnxhd",), "mjpeg": ("mjpeg",)}
"""Codecs that editors like, for .mov and .mkv -> their encoders."""

_HARDWARE = [
    f"{codec}_{device}"
    for device in ("nvenc", "qsv", "amf", "videotoolbox", "vaapi", "mf", "v4l2m2m")
    for codec in ("h264", "hevc", "av1")
]
_LAMBDA_OF_QUALITY = 118
"""FFmpeg's FF_QP2LAMBDA: `global_quality` is a quality times this."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """Codec, quality and speed of a video encoder."""

    codec: str = "h264"
    """h264, hevc, av1, vp9, the name of one of FFmpeg's encoders, such as h264_nvenc, or auto: H.264 by the hardware
    where that works."""
    crf: int = 20
    """Constant quality, lower is better: 0 to 51 for h264 and hevc, 0 to 63 for av1 and vp9."""
    preset: str = AUTOMATIC
    """x264's words from ultrafast to veryslow, translated for other encoders, or the encoder's own word; or auto, which
    is superfast for x264 and veryfast for others."""
    bits: int = 8
    """Bits of each sample, 8 or 10; ProRes always has 10."""
    color: DeepColor | None = None
    """Colors of the frames in 10 bits, to tag them with; None for BT.709."""
    device: str | None = None
    """The GPU, such as cuda:1, in whose memory frames of 8 bits are given to NVENC; None: they lie on the CPU."""


def available_encoders() -> list[str]:
    """Returns the video encoders that work on this machine."""
    software = [name for names in (CODECS | EDITING_CODECS).values() for name in names]
    return [name for name in software if _is_encoder(name)] + hardware_encoders()


def hardware_encoders() -> list[str]:
    """Returns the encoders of this machine's hardware that pass a test encoding."""
    return [name for name in _HARDWARE if _works(name)]


@functools.cache
def _works(name: str) -> bool:
    """True if an encoder can encode two test pictures; one for missing hardware cannot."""
    return encodes(name, (640, 368), EncodingOptions())


def encodes(name: str, size: tuple[int, int], encoding: EncodingOptions) -> bool:
    """Returns True if an encoder gives a stream for two gray pictures of `size`, (width, height) in px, both even.

    Many of FFmpeg's hardware encoders are listed without the hardware, and some open, but fail at the first picture.
    """
    if not _is_encoder(name):
        return False
    context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    try:
        context.options = encoder_options(name, encoding.crf, encoding.preset, encoding.bits)
        _open(context, *size, Fraction(1, 25), encoding.bits)
        pictures = [_gray_picture(size, context.pix_fmt or "yuv420p", pts) for pts in range(2)]
        packets = [packet for picture in (*pictures, None) for packet in context.encode(picture)]
    except (av.FFmpegError, ValueError, OSError) as error:
        _log.debug("the encoder %s does not work here: %s", name, error)
        return False
    return len(packets) == len(pictures)


def _gray_picture(size: tuple[int, int], pixel_format: str, pts: int) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pixel_format)
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
    frame.pts, frame.time_base = pts, Fraction(1, 25)
    return frame


def check_encoder(codec: str) -> None:
    """Checks, before a model is loaded, that the encoder for the name of a codec or of an encoder works.

    Raises SinkOpenError ("unknown-encoder", "encoder-failed").
    """
    encoder = find_encoder(codec)
    if encoder in _HARDWARE and not _works(encoder):
        raise SinkOpenError(
            f"the encoder {encoder} does not work on this machine; try one of {', '.join(available_encoders())}",
            code="encoder-failed",
        )


def _is_encoder(name: str) -> bool:
    try:
        return Codec(name, "w").type == "video"
    except ValueError:
        return False


def find_encoder(codec: str) -> str:
    """Returns the encoder for the name of a codec or of an encoder; for `auto` the software encoder of H.264.

    Raises SinkOpenError ("unknown-encoder") with the names that exist.
    """
    known = CODECS | EDITING_CODECS
    for name in known.get("h264" if codec == AUTOMATIC else codec.lower(), (codec,)):
        if _is_encoder(name):
            return name
    codecs = [name for name, encoders in known.items() if any(map(_is_encoder, encoders))]
    raise SinkOpenError(
        f"no video encoder {codec!r} here; use auto, {', '.join(codecs)} or one of {', '.join(available_encoders())}",
        code="unknown-encoder",
    )


def encoder_options(
    encoder: str, crf: int, preset: str, bits: int = 8, color: DeepColor | None = None
) -> dict[str, str]:
    """Returns the options of `encoder` for a constant quality `crf` (lower is better) and one of x264's presets.

    x265 takes the mastering display and the light level of `color`, too.
    """
    if encoder == "libx264":
        return {"crf": str(crf), **_x264_speed(preset)}
    preset = "veryfast" if preset == AUTOMATIC else preset
    slowness = _PRESETS.index(preset) if preset in _PRESETS else None
    if encoder == "libx265":
        return {"crf": str(crf), "preset": preset, "x265-params": ":".join(["log-level=error", *_hdr10_facts(color)])}
    if encoder == "libsvtav1":
        return {"crf": str(crf), "preset": preset if slowness is None else str(11 - slowness)}
    if encoder == "libvpx-vp9":
        speed = "4" if slowness is None else str(max(1, 8 - slowness))
        deadline = "realtime" if slowness is not None and slowness <= _PRESETS.index("veryfast") else "good"
        return {"crf": str(crf), "b": "0", "deadline": deadline, "cpu-used": speed, "row-mt": "1"}
    if encoder == "dnxhd":
        # These profiles take any size; the older ones take a few sizes and rates only.
        return {"profile": "dnxhr_hqx" if bits > 8 else "dnxhr_sq"}
    if encoder == "mjpeg":
        quality = str(max(2, min(31, round(crf / 4))))
        return {"qmin": quality, "qmax": quality}
    if encoder in _HARDWARE:
        return _hardware_options(encoder, crf, preset, slowness)
    return {}


def _x264_speed(preset: str) -> dict[str, str]:
    """Returns the options of a preset of x264; superfast, which is also `auto`, keeps the lookahead of veryfast.

    Without that, x264 does not know which blocks later pictures refer to (mb-tree): files become two to three times as
    large at the same `crf`, and take longer to write.
    """
    if preset in (AUTOMATIC, "superfast"):
        return {"preset": "superfast", "mbtree": "1", "rc-lookahead": "10"}
    return {"preset": preset}


def _hardware_options(encoder: str, crf: int, preset: str, slowness: int | None) -> dict[str, str]:
    """Returns the options of a hardware encoder for the constant quality that is nearest to x264's `crf`.

    NVENC (target quality), QSV (intelligent constant quality) and AMF (constant quantizer) use the codec's own scale of
    quantizers, as x264 does, so that equal numbers give different qualities for different codecs. VideoToolbox counts
    from 0 to 100, more is better. `slowness` is the preset's number, 0 is ultrafast; None for the encoder's own word.
    """
    quality = str(max(1, min(crf, 63 if encoder.startswith("av1") else 51)))
    if encoder.endswith("_nvenc"):
        return {"rc": "vbr", "cq": quality, "preset": preset if slowness is None else f"p{min(7, 1 + slowness)}"}
    if encoder.endswith("_qsv"):
        return {"global_quality": quality, "preset": preset if preset in _PRESETS[2:] else "veryfast"}
    if encoder.endswith("_amf"):
        speed = preset if slowness is None else ("speed", "balanced", "quality")[slowness // 3]
        return {"rc": "cqp", "qp_i": quality, "qp_p": quality, "quality": speed}
    if encoder.endswith("_videotoolbox"):
        return {"flags": "+qscale", "global_quality": str(max(1, 100 - 2 * crf) * _LAMBDA_OF_QUALITY)}
    return {}


def _hdr10_facts(color: DeepColor | None) -> list[str]:
    """Returns x265's parameters for HDR10's mastering display and light level."""
    if color is None:
        return []
    facts = [("master-display", color.mastering_display), ("max-cll", color.light_level)]
    return [f"{name}={value}" for name, value in facts if value]


def keeps_deep_color(codec: str) -> bool:
    """True for a codec whose usual profile has 10 bits in 4:2:0; H.264's has not, and few players support it."""
    if codec == "h264" or codec not in CODECS:
        return False
    try:
        return choose_pixel_format(find_encoder(codec), 10) == _DEEP_FORMATS[0]
    except ValueError:
        return False


def low_latency_options(encoder: str) -> dict[str, str]:
    """Returns the options that make `encoder` output each picture without delay, for live streams."""
    if encoder == "libx264":
        return {"tune": "zerolatency", "mbtree": "0", "rc-lookahead": "0"}
    if encoder == "libx265":
        return {"tune": "zerolatency"}
    if encoder == "libvpx-vp9":
        return {"deadline": "realtime", "lag-in-frames": "0"}
    if encoder.endswith("_nvenc"):
        return {"tune": "ull", "zerolatency": "1", "delay": "0"}
    return {"async_depth": "1"} if encoder.endswith("_qsv") else {}


def open_encoder(
    context: VideoCodecContext,
    width: int,
    height: int,
    time_base: Fraction,
    bits: int = 8,
    color: DeepColor | None = None,
) -> None:
    """Opens an encoder for BT.709 or `color`, in 4:2:0 and limited range where it takes that.

    Raises SinkOpenError ("encoder-failed") where it does not start, for example without its hardware, or cannot encode
    so many bits.
    """
    try:
        _open(context, width, height, time_base, bits, color)
    except (av.FFmpegError, ValueError) as error:
        raise SinkOpenError(
            f"the encoder {context.name} does not start for {width}x{height} px ({getattr(error, 'strerror', error)}); "
            f"try another codec or size; encoders of this build: {', '.join(available_encoders())}",
            code="encoder-failed",
        ) from error


def _open(
    context: VideoCodecContext,
    width: int,
    height: int,
    time_base: Fraction,
    bits: int = 8,
    color: DeepColor | None = None,
) -> None:
    context.width, context.height, context.time_base = width, height, time_base
    # On a GPU frames are NV12; opening makes the format that of the GPU's memory.
    context.pix_fmt = "nv12" if context.is_hwaccel else choose_pixel_format(context.codec.name, bits)
    context.color_range = 2 if is_full_range(context.pix_fmt) else 1
    tags = (color.matrix, color.primaries, color.transfer) if color else (1, 1, 1)
    context.colorspace, context.color_primaries, context.color_trc = tags
    context.thread_count = 0
    if context.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it writes its banner to stderr by itself
    if context.name == "dnxhd":
        context.options = encoder_options("dnxhd", 0, "", bits) | dict(context.options)
    with usual_priority():
        context.open()


_PIXEL_FORMATS = ("yuv420p", "nv12", "yuv422p", "yuv422p10le")
"""The formats that pictures can be converted to, best first."""


_DEEP_FORMATS = ("yuv420p10le", "yuv422p10le")
"""The same for 10 bits."""


def choose_pixel_format(encoder: str, bits: int = 8) -> str:
    """Returns the pixel format for `encoder`: 4:2:0, planar (yuv420p) or nv12, where it takes that; else 4:2:2.

    Raises ValueError where it does not take 10 bits.

    Motion JPEG always has full range, because readers ignore the range that a file states.
    """
    if encoder == "mjpeg" and bits <= 8:
        return "yuvj420p"
    formats = [f.name for f in Codec(encoder, "w").video_formats or ()]
    if bits > 8:
        deep = next((name for name in _DEEP_FORMATS if name in formats), None)
        if deep is None:
            raise ValueError(f"it does not take {bits} bits")
        return deep
    return next((name for name in _PIXEL_FORMATS if name in formats), "yuv420p")


def is_full_range(pixel_format: str) -> bool:
    """True if gray levels of this format go from 0 to 255, as in JPEG; else black is 16 and white 235."""
    return pixel_format.startswith("yuvj")


def supports_pixel_format(encoder: str, format: str) -> bool:
    """True if this build of FFmpeg has the encoder and it takes that pixel format."""
    return _is_encoder(encoder) and format in [f.name for f in Codec(encoder, "w").video_formats or ()]
