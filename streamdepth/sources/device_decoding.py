"""Decoding of video by an NVIDIA GPU into its own memory: what it can decode, and how a file is opened for that.

A codec is tried once before it is used: the GPU must decode a short generated video exactly as the CPU does.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import cast

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from streamdepth.core.arrays import GrayImage
from streamdepth.sources.device_image import is_on_device
from streamdepth.sources.libav_errors import error_reason
from streamdepth.utils.containers import main_video_stream
from streamdepth.utils.thread_priority import usual_priority

_log = logging.getLogger(__name__)

_ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "mpeg2video": "mpeg2video",
    "mpeg4": "mpeg4",
    "mjpeg": "mjpeg",
}
"""Codecs that NVIDIA's decoders know -> the encoder that makes the video to try them with."""
DEVICE_CODECS = tuple(_ENCODERS)
_SIZE = 256
"""Side in px of the video to try; some decoders take none below 144."""


def acceleration(device: str) -> HWAccel:
    """Returns PyAV's settings for decoding on a device such as cuda or cuda:1, whose frames stay there."""
    return HWAccel("cuda", device=device.partition(":")[2] or "0", is_hw_owned=True, allow_software_fallback=True)


def refusal(codec: str, device: str) -> str | None:
    """Returns the reason why `device` cannot decode a codec, as a clause; None if it can. Tried once per process.

    >>> refusal("prores", "cuda")
    'its decoder does not know prores'
    """
    return _refusal(codec, device)


@cache
def _refusal(codec: str, device: str) -> str | None:
    return find_refusal(codec, lambda video: decode_on_device(video, device))


def find_refusal(codec: str, decode: Callable[[bytes], list[GrayImage]]) -> str | None:
    """Returns the reason why `decode` cannot be used for a codec, as a clause; None if it can.

    Args:
        codec: libav's name, such as h264.
        decode: returns the luma of each frame of a video, or raises.
    """
    if codec not in _ENCODERS:
        return f"its decoder does not know {codec}"
    try:
        video = _make_video(_ENCODERS[codec])
        found, wanted = decode(video), [_luma(frame) for frame in _decode(video)]
    except (FFmpegError, LookupError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        return f"its decoder for {codec} does not start ({error_reason(error)})"
    if len(found) != len(wanted) or not all(map(np.array_equal, found, wanted)):
        return f"its decoder for {codec} gives other pictures than the CPU's"
    return None


def decode_on_device(video: bytes, device: str) -> list[GrayImage]:
    """Returns the luma of each frame of a video, decoded on `device`. Raises what PyAV raises, and LookupError."""
    frames = list(_decode(video, acceleration(device)))
    if not all(map(is_on_device, frames)):
        raise LookupError("the frames lie on the CPU")
    return [_luma(frame) for frame in frames]


def _luma(frame: av.VideoFrame) -> GrayImage:
    frame = frame.reformat(format="nv12") if is_on_device(frame) else frame
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()


def _decode(video: bytes, hwaccel: HWAccel | None = None) -> Iterator[av.VideoFrame]:
    with av.open(io.BytesIO(video), "r", hwaccel=hwaccel) as container:
        context = device_context(container.streams.video[0], hwaccel)
        for packet in container.demux(video=0):
            yield from context.decode(packet)


def choose_acceleration(
    container: InputContainer, device: str | None, on_refused: Callable[[str], object]
) -> HWAccel | None:
    """Returns PyAV's settings to decode the video of a container on `device`; None if the CPU must decode it.

    `on_refused` is called with the reason, as a clause, if a device was given and cannot decode it.
    """
    stream = main_video_stream(container)
    if device is None or stream is None or stream.codec_context is None:
        return None
    if (reason := refusal(stream.codec_context.codec.canonical_name, device)) is not None:
        on_refused(reason)
        return None
    return acceleration(device)


def device_context(stream: VideoStream, hwaccel: HWAccel | None) -> VideoCodecContext:
    """Returns the decoder of a track on a GPU, or that of the CPU, if the GPU's does not start.

    Where the container was opened for the GPU, it is the track's own. For AV1 it is not, because FFmpeg prefers a
    decoder that only the CPU runs.
    """
    context = stream.codec_context
    if hwaccel is None or context.is_hwaccel:
        return context
    try:
        own = cast(VideoCodecContext, av.CodecContext.create(context.codec.canonical_name, "r", hwaccel=hwaccel))
    except (FFmpegError, NotImplementedError, ValueError) as error:
        _log.warning("the GPU's decoder for %s does not start: %s", stream.name, error_reason(error))
        return context
    own.extradata = context.extradata
    own.color_range, own.colorspace = context.color_range, context.colorspace
    own.color_primaries, own.color_trc = context.color_primaries, context.color_trc
    return own


@cache
def _make_video(encoder: str) -> bytes:
    """Returns three frames of coarse noise that moves, as Matroska. Raises ValueError without the encoder."""
    noise = np.random.default_rng(0).integers(40, 200, (_SIZE // 16, _SIZE // 16, 3), np.uint8)
    picture = np.kron(noise, np.ones((16, 16, 1), np.uint8))
    file = io.BytesIO()
    with usual_priority(), av.open(file, "w", format="matroska") as container:
        options = {"deadline": "realtime", "cpu-used": "8"} if encoder.startswith("libvpx") else {}
        stream = cast(VideoStream, container.add_stream(encoder, rate=25, options=options))
        stream.width = stream.height = _SIZE
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for i in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(picture, 4 * i, 1), "rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()
