"""Decoding of Foxglove's messages in MCAP files: pictures, video and the camera, as protobuf, JSON or CDR."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import av

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import LazyImage
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.limits import MAX_VIDEO_PIXELS
from streamdepth.sources.ros_decoding import decode_image, intrinsics_from_camera_info
from streamdepth.sources.sample_levels import SampleLevels

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from mcap.decoder import DecoderFactory
    from mcap.records import Schema

PICTURE_KINDS = ("CompressedVideo", "CompressedImage", "RawImage")
CALIBRATION_KIND = "CameraCalibration"
_PACKAGES = ("foxglove", "foxglove_msgs")
_VIDEO_CODECS = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "libdav1d"}
"""Format of a CompressedVideo -> FFmpeg's decoder."""
_NANOSECOND = Fraction(1, 10**9)


class FoxglovePicture(NamedTuple):
    """One decoded picture."""

    stamp_ns: int
    """Nanoseconds since 1970 by the camera, or by the recorder where the camera gave none."""
    image: Image
    frame_id: str
    logged_ns: int | None = None
    """Nanoseconds by the recorder's clock; None for a video, whose pictures come later than their messages."""


def foxglove_kind(schema_name: str) -> str | None:
    """Returns the name of a Foxglove schema without its package, such as "RawImage"; None for others."""
    package, _, kind = schema_name.replace("/msg/", "/").replace("/", ".").rpartition(".")
    return kind if package in _PACKAGES else None


class MessageDecoder:
    """Turns the bytes of messages into objects by the schemas in the file.

    Raises MissingDependencyError for an encoding whose package is missing.
    """

    def __init__(self) -> None:
        self._factories: dict[str, DecoderFactory] = {}

    def function(self, encoding: str, schema: Schema) -> Callable[[bytes], Any] | None:
        """Returns the function that decodes messages of a channel; None where the encoding is unknown."""
        if encoding == "json":
            return _decode_json
        if encoding not in self._factories and (factory := _make_factory(encoding)):
            self._factories[encoding] = factory
        return self._factories[encoding].decoder_for(encoding, schema) if encoding in self._factories else None


def _make_factory(encoding: str) -> DecoderFactory | None:
    try:
        if encoding == "protobuf":
            from mcap_protobuf.decoder import DecoderFactory as ProtobufFactory

            return ProtobufFactory()
        if encoding == "cdr":
            from mcap_ros2.decoder import DecoderFactory as Ros2Factory

            return Ros2Factory()
    except ImportError as error:
        package = "mcap-protobuf-support" if encoding == "protobuf" else "mcap-ros2-support"
        raise MissingDependencyError(package, "robot", "reading Foxglove's messages") from error
    return None


def _decode_json(data: bytes) -> Any:
    fields: dict[str, Any] = json.loads(data)
    if isinstance(fields.get("data"), str):
        fields["data"] = base64.b64decode(fields["data"], validate=True)
    fields["timestamp"] = SimpleNamespace(**fields.get("timestamp", {}))
    return SimpleNamespace(**fields)


def stamp_ns(message: Any) -> int:
    """Returns the time of a message in nanoseconds since 1970; 0 where it has none."""
    stamp = message.timestamp
    seconds = getattr(stamp, "seconds", getattr(stamp, "sec", 0))
    nanoseconds = next((getattr(stamp, name) for name in ("nanos", "nsec", "nanosec") if hasattr(stamp, name)), 0)
    return int(seconds) * 10**9 + int(nanoseconds)


class PictureDecoder:
    """Decodes the messages of one topic, in order. Raises ValueError or FFmpegError for a message without a picture.

    Args:
        kind: one of PICTURE_KINDS.
        name: the topic's name for notices.
        on_notice: called with sentences that a user should read.
    """

    def __init__(self, kind: str, name: str, on_notice: Callable[[str], None]) -> None:
        self._kind, self._name, self._on_notice = kind, name, on_notice
        self._levels = SampleLevels()
        self._codec: VideoCodecContext | None = None
        self._format = ""
        self._frame_id = ""
        self._converter = FrameConverter(on_notice, name, None)

    def decode(self, message: Any, logged_ns: int) -> list[FoxglovePicture]:
        """Returns the pictures that are complete now; for video perhaps none, or those of earlier messages.

        Args:
            message: the decoded message.
            logged_ns: the recorder's time for it, used where the message has none.
        """
        time_ns = stamp_ns(message) or logged_ns
        if self._kind == "CompressedVideo":
            return self._decode_video(message, time_ns)
        image = decode_image(_as_ros(message), self._levels)
        if text := self._levels.notice(self._name):
            self._on_notice(text)
        return [FoxglovePicture(time_ns, image, message.frame_id, logged_ns)]

    def flush(self) -> list[FoxglovePicture]:
        """Returns the pictures that the video decoder still holds at the end."""
        return self._pictures(None) if self._codec is not None else []

    def _decode_video(self, message: Any, time_ns: int) -> list[FoxglovePicture]:
        name = message.format.lower()
        if name not in _VIDEO_CODECS:
            raise ValueError(f"the video format '{message.format}' is unknown; known are {', '.join(_VIDEO_CODECS)}")
        if self._codec is None or name != self._format:
            self._codec, self._format = _make_decoder(_VIDEO_CODECS[name]), name
        packet = av.Packet(bytes(message.data))
        packet.pts, packet.time_base = time_ns, _NANOSECOND
        self._frame_id = message.frame_id
        return self._pictures(packet)

    def _pictures(self, packet: av.Packet[Any] | None) -> list[FoxglovePicture]:
        assert self._codec is not None
        found = []
        for frame in self._codec.decode(packet):
            stamp = frame.pts or 0
            pixels, _ = self._converter.convert(frame)
            image = pixels.rgb() if isinstance(pixels, LazyImage) else pixels
            found.append(FoxglovePicture(stamp, image, self._frame_id))
        return found


def _make_decoder(name: str) -> VideoCodecContext:
    codec = av.CodecContext.create(name, "r")
    assert isinstance(codec, av.VideoCodecContext)
    codec.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
    codec.thread_type = "SLICE"  # without the delay of whole pictures
    return codec


def _as_ros(message: Any) -> Any:
    """Returns a picture as the ROS message with the same meaning; multi-byte pixels are little-endian in Foxglove's."""
    names = ("format", "data") if hasattr(message, "format") else ("encoding", "width", "height", "step", "data")
    fields = {name: getattr(message, name) for name in names}
    return SimpleNamespace(**fields, **({} if "format" in fields else {"is_bigendian": 0}))


def intrinsics_from_calibration(message: Any, *, is_rectified: bool) -> Intrinsics | None:
    """Returns the intrinsics of a CameraCalibration; None without a focal length. Raises ValueError.

    Args:
        is_rectified: the pictures are undistorted, so that the projection matrix P applies instead of K and D.
    """
    names = ("D", "K", "P") if hasattr(message, "K") else ("d", "k", "p")  # JSON and protobuf, or ROS 2
    d, k, p = (list(getattr(message, name)) for name in names)
    if len(k) != 9:
        return None
    roi = SimpleNamespace(width=0, height=0)
    message = SimpleNamespace(
        d=d,
        k=k,
        p=p if len(p) == 12 else [0.0] * 12,
        width=message.width,
        height=message.height,
        distortion_model=message.distortion_model,
        roi=roi,
        binning_x=1,
        binning_y=1,
    )
    return intrinsics_from_camera_info(message, is_rectified=is_rectified)
