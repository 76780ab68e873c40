"""Decoding of the image and camera messages of ROS 1 and ROS 2, as the package rosbags reads them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.lens_names import with_lens
from streamdepth.sources.ros_depth import depth_encoding
from streamdepth.sources.sample_levels import SampleLevels, to_eight_bits
from streamdepth.sources.untrusted_picture import open_picture

_log = logging.getLogger(__name__)

IMAGE_MESSAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
"""ROS names of the messages that hold pictures."""


class _PixelLayout(NamedTuple):
    """Memory layout of the pixels of one encoding."""

    dtype: str
    channels: int
    to_rgb: int | None
    """Code of OpenCV's conversion; None where it is RGB already."""
    rows_per_line: float = 1.0
    """Rows in memory for one line of the picture: more than 1 where chroma planes follow."""


_PIXEL_LAYOUTS = {
    "rgb8": _PixelLayout("u1", 3, None),
    "bgr8": _PixelLayout("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC3": _PixelLayout("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": _PixelLayout("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": _PixelLayout("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC4": _PixelLayout("u1", 4, cv2.COLOR_BGRA2RGB),
    "rgb16": _PixelLayout("u2", 3, None),
    "bgr16": _PixelLayout("u2", 3, cv2.COLOR_BGR2RGB),
    "mono8": _PixelLayout("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": _PixelLayout("u1", 1, cv2.COLOR_GRAY2RGB),
    "mono16": _PixelLayout("u2", 1, cv2.COLOR_GRAY2RGB),
    "uyvy": _PixelLayout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": _PixelLayout("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": _PixelLayout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuv422_yuy2": _PixelLayout("u1", 2, cv2.COLOR_YUV2RGB_YUYV),
    "nv12": _PixelLayout("u1", 1, cv2.COLOR_YUV2RGB_NV12, 1.5),
    "nv21": _PixelLayout("u1", 1, cv2.COLOR_YUV2RGB_NV21, 1.5),
    **{
        f"bayer_{pattern}{bits}": _PixelLayout(f"u{bits // 8}", 1, getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB"))
        for pattern in ("rggb", "bggr", "gbrg", "grbg")
        for bits in (8, 16)
    },
}


def stamp_to_ns(stamp: Any) -> int:
    """Returns the nanoseconds of a time in a ROS message."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def decode_image(message: Any, levels: SampleLevels | None = None) -> Image:
    """Returns (H, W, 3) uint8 RGB of an Image or CompressedImage. Raises ValueError for others, such as depth.

    Args:
        message: as rosbags deserializes it.
        levels: shared by the pictures of a topic, as samples of 16 bits often have 10, 12 or 14; by default all 16.
    """
    if encoding := depth_encoding(message, ""):
        raise ValueError(f"it holds depth ({encoding}), not pictures; choose the camera's topic with colors")
    levels = levels or SampleLevels((0, 65535))
    return _decode_compressed(message, levels) if hasattr(message, "format") else _decode_raw(message, levels)


def _decode_compressed(message: Any, levels: SampleLevels) -> Image:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    data = bytes(message.data)
    try:
        open_picture(data, "its picture")  # checks the format and the size before anything is decoded
    except SourceOpenError as error:
        raise ValueError(str(error)) from error
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if bgr is None:
        raise ValueError(f"its data is no picture ('{message.format}')")
    if bgr.dtype != np.uint8:
        bgr = to_eight_bits(bgr, *levels.fit(bgr, is_color=_is_colored(bgr)))
    return cast(Image, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _is_colored(bgr: npt.NDArray[Any]) -> bool:
    """False for a gray picture that was decoded as colors."""
    return not (np.array_equal(bgr[..., 0], bgr[..., 1]) and np.array_equal(bgr[..., 1], bgr[..., 2]))


def fit_levels(message: Any, levels: SampleLevels) -> None:
    """Lets an Image of 16 bits set or widen `levels`; other messages do nothing.

    Raises ValueError for data that is cut off.
    """
    layout = _PIXEL_LAYOUTS.get(getattr(message, "encoding", ""))
    if layout is not None and layout.dtype == "u2":
        _fit(levels, _pixel_array(message, layout), layout)


def _fit(levels: SampleLevels, pixels: npt.NDArray[Any], layout: _PixelLayout) -> tuple[float, float]:
    without_alpha = pixels[..., :3] if layout.channels == 4 else pixels
    return levels.fit(without_alpha, is_color=layout.to_rgb != cv2.COLOR_GRAY2RGB)


def _decode_raw(message: Any, levels: SampleLevels) -> Image:
    layout = _PIXEL_LAYOUTS.get(message.encoding)
    if layout is None:
        raise ValueError(f"the encoding '{message.encoding}' is unknown; known are {', '.join(_PIXEL_LAYOUTS)}")
    pixels = _pixel_array(message, layout)
    if pixels.dtype.itemsize == 2:
        pixels = to_eight_bits(pixels, *_fit(levels, pixels, layout))
    image = pixels if layout.to_rgb is None else cv2.cvtColor(pixels, layout.to_rgb)
    return np.ascontiguousarray(image, np.uint8)


def _pixel_array(message: Any, layout: _PixelLayout) -> npt.NDArray[Any]:
    """Returns the pixels as (rows, width[, channels]), without the padding of rows."""
    dtype = np.dtype(layout.dtype).newbyteorder(">" if message.is_bigendian else "<")
    rows, used = round(message.height * layout.rows_per_line), message.width * layout.channels * dtype.itemsize
    if message.height < 1 or message.width < 1 or message.step < used or len(message.data) < rows * message.step:
        raise ValueError(f"its data is cut off: {len(message.data)} bytes for {message.width}x{message.height} px")
    lines = np.frombuffer(message.data, np.uint8, rows * message.step).reshape(rows, message.step)[:, :used]
    values = np.ascontiguousarray(lines).view(dtype).astype(layout.dtype)
    return values.reshape(rows, message.width, layout.channels) if layout.channels > 1 else values


def intrinsics_from_camera_info(
    message: Any, *, is_rectified: bool, on_notice: Callable[[str], None] = _log.warning
) -> Intrinsics | None:
    """Returns the intrinsics of a CameraInfo for pictures as published: cropped to its ROI, then binned.

    None when the camera is not calibrated. Raises ValueError for numbers that no camera has.

    Args:
        message: as rosbags deserializes it.
        is_rectified: the pictures are undistorted, so that the projection matrix P applies instead of K and D.
        on_notice: called with the reason where the distortion is unknown; the camera is a pinhole then.
    """
    names = "kdp" if hasattr(message, "k") else "KDP"
    k, d, p = (list(getattr(message, name)) for name in names)
    if is_rectified and p[0] > 0:
        k, d = [p[0], p[1], p[2], p[4], p[5], p[6], *p[8:11]], []
    if not k[0] > 0:
        return None
    camera = Intrinsics(k[0], k[4], k[2], k[5], message.width, message.height)
    try:
        camera = with_lens(camera, message.distortion_model, d)
    except ValueError as error:
        on_notice(f"the lens is left out, and the camera is taken for a pinhole: {error}")
    roi = message.roi
    if roi.width and roi.height:
        camera = camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
    x, y = max(1, message.binning_x), max(1, message.binning_y)
    return camera.resized(camera.width // x, camera.height // y)
