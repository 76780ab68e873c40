"""Conversion of libav's frames to RGB pictures: upright, with square pixels, and of one size for a whole stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from streamdepth.core.arrays import GrayImage, Image, Mask
from streamdepth.core.deep_color import DeepColor
from streamdepth.core.resize import shrink
from streamdepth.core.types import LazyImage, YuvPlanes
from streamdepth.sources import hdr
from streamdepth.sources.color_matrices import UNKNOWN_MATRICES, untagged_matrix, yuv_matrix_and_range
from streamdepth.sources.deep_picture import DeepImage, deep_color, is_deep
from streamdepth.sources.device_image import DeviceImage, is_on_device, make_device_picture
from streamdepth.sources.sample_levels import SampleLevels, to_eight_bits
from streamdepth.sources.side_data import read_side_data
from streamdepth.sources.transparency import composite, transparency_notice
from streamdepth.sources.ycgco import YCGCO, YcgcoConverter

Matrix = npt.NDArray[np.int32]
"""(2, 2) [[a, b], [c, d]] with x' = ax + cy, y' = bx + dy: libav's `AV_FRAME_DATA_DISPLAYMATRIX`."""

_UPRIGHT = np.eye(2, dtype=np.int32) << 16
"""The display matrix of a frame that is shown as decoded: 1 in libav's fixed-point numbers, with 16 binary places."""
# ACCURATE_RND and FULL_CHR_H_INT gain at most 4 of 255 levels and cost ten times as much.
_INTERPOLATION = Interpolation.BICUBIC
_LIMITED_BLACK = 16
"""Luma of black in limited range."""
_LAZY_FORMATS = {"yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p"}
"""Pixel formats of nearly all video, whose conversion cannot fail and can wait until the pixels are used."""


class FrameConverter:
    """Converts the decoded frames of one stream to pictures of one size: that of its first frame.

    Args:
        announce: called with texts that the user should read, for example that HDR is tone-mapped.
        aspect: shape of a pixel, width / height; None when unknown.
    """

    def __init__(self, announce: Callable[[str], None], name: str, aspect: Fraction | None = None) -> None:
        self._announce, self._name = announce, name
        self._pixel_aspect = self._plausible_aspect(aspect)
        self._reformatters: dict[tuple[int, int, str], VideoReformatter] = {}
        self._lock = threading.Lock()
        self._coded_size: tuple[int, int] | None = None
        self._size = (0, 0)
        self._tone_mapper: hdr.ToneMapper | None = None
        self._levels: SampleLevels | None = None
        self._ycgco = YcgcoConverter()

    def _plausible_aspect(self, aspect: Fraction | None) -> Fraction:
        if not aspect or aspect == 1:
            return Fraction(1)
        if Fraction(1, 8) <= aspect <= 8:
            return aspect
        self._announce(f"{self._name}: the pixel aspect ratio {aspect} is implausible; pixels are taken as square")
        return Fraction(1)

    def size_of(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Returns (width, height) in px of `frame` once it is upright and its pixels are square."""
        width, height = max(1, round(frame.width * self._pixel_aspect)), frame.height
        return (height, width) if _is_sideways(display_matrix(frame)) else (width, height)

    def convert(self, frame: av.VideoFrame) -> tuple[Image | LazyImage, Mask | None]:
        """Returns (H, W, 3) uint8 RGB, C-contiguous, and the mask of its opaque pixels; None if all are opaque.

        Frames in usual formats are converted when they are first used.
        """
        if frame.interlaced_frame:
            self.announce_interlaced()
        if _has_captions(frame):
            self._announce(f"{self._name}: the captions within its pictures (EIA-608/708) are left out")
        if self._coded_size is None:
            self._start(frame)
        elif self._coded_size != (frame.width, frame.height):
            old = "x".join(map(str, self._coded_size))
            self._announce(
                f"{self._name}: the pictures' size changes in mid-stream, from {old} to "
                f"{frame.width}x{frame.height} px; all are scaled to {self._size[0]}x{self._size[1]} px"
            )
        matrix = display_matrix(frame)
        has_shown_size = matrix is None and (frame.width, frame.height) == self._size
        if is_on_device(frame):
            if has_shown_size and (there := _device_image(frame)):
                return there, None
            frame = self._fetch(frame)
        if frame.colorspace == YCGCO:
            frame = self._ycgco.to_bt709(frame)
        if has_shown_size and frame.format.name in _LAZY_FORMATS and frame.color_trc not in hdr.CURVES:
            return DecodedImage(frame, self), None
        if has_shown_size and is_deep(frame):
            self._announce_hdr(frame)
            return DeepImage(frame, lambda: self._rgb(frame, *self._size)), None
        width, height = reversed(self._size) if _is_sideways(matrix) else self._size
        if _has_alpha(frame.format.name):
            image, valid = composite(apply_display_matrix(self._rgba(frame, width, height), matrix))
            if valid is not None:
                self._announce(transparency_notice(self._name))
            return image, valid
        return apply_display_matrix(self._rgb(frame, width, height), matrix), None

    def announce_interlaced(self) -> None:
        self._announce(
            f"{self._name} is interlaced: moving edges show combs; for the best depth add --deinterlace auto"
        )

    def _fetch(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Copies a frame from the GPU to the CPU, to be converted there."""
        assert frame.sw_format is not None
        self._announce(
            f"{self._name} is decoded on the GPU and converted on the CPU: it is rotated, HDR, of more than 8 bits, or "
            "has pixels that are not square"
        )
        return frame.reformat(format=frame.sw_format.name)

    def _start(self, frame: av.VideoFrame) -> None:
        self._coded_size, self._size = (frame.width, frame.height), self.size_of(frame)
        matrix = display_matrix(frame)
        if matrix is not None and not _is_right_angled(matrix):
            self._announce(f"{self._name} is rotated by an odd angle; the nearest quarter turn is applied")
        if name := UNKNOWN_MATRICES.get(frame.colorspace):
            self._announce(
                f"the colors of {self._name} may be wrong: they are coded by {name}, which is unknown here; convert it "
                "to BT.709 first"
            )

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> Image:
        if _has_unknown_levels(frame.format.name):
            is_color, bits = frame.format.is_rgb, frame.format.components[0].bits
            samples = _samples(self.reformat(frame, width, height, "rgb48le" if is_color else f"gray{bits}le"))
            pixels = self._stretched(samples, is_color, bits)
            return pixels if is_color else np.repeat(pixels[..., None], 3, axis=2)
        curve = hdr.CURVES.get(frame.color_trc)
        if curve is None:
            return _rgb_array(self.reformat(frame, width, height, "rgb24"))
        self._announce_hdr(frame)
        deep = self.reformat(frame, width, height, hdr.FORMAT)
        with self._lock:  # the filter graph of the mapper takes one frame at a time
            if self._tone_mapper is None or self._tone_mapper.key != (curve, width, height):
                self._tone_mapper = hdr.ToneMapper(curve, width, height)
            return _rgb_array(self._tone_mapper.map(deep))

    def _rgba(self, frame: av.VideoFrame, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Returns (H, W, 4) RGBA with straight alpha, which is not stretched."""
        if not _has_unknown_levels(frame.format.name):
            return _rgb_array(self.reformat(frame, width, height, "rgba"))
        samples = _samples(self.reformat(frame, width, height, "rgba64le"))
        colors = self._stretched(samples[..., :3], frame.format.is_rgb, bits=16)
        return np.dstack([colors, (samples[..., 3] >> 8).astype(np.uint8)])

    def _stretched(self, samples: npt.NDArray[np.uint16], is_color: bool, bits: int) -> npt.NDArray[np.uint8]:
        """Returns samples in 8 bits, of the same shape; those of 16 bits often hold 10, 12 or 14, or counts."""
        if self._levels is None:
            self._levels = SampleLevels(bits=bits)
        pixels = to_eight_bits(samples, *self._levels.fit(samples, is_color=is_color))
        if text := self._levels.notice(self._name):
            self._announce(text)
        return pixels

    def _announce_hdr(self, frame: av.VideoFrame) -> None:
        if curve := hdr.CURVES.get(frame.color_trc):
            self._announce(
                f"{self._name} is HDR ({curve}): tone-mapped to SDR for the model and for outputs of 8 bits, with "
                "highlights compressed"
            )

    def deep_color(self, frame: av.VideoFrame) -> DeepColor | None:
        """Returns the colors of a video with 10 bits per channel, from its first frame; None for others."""
        has_shown_size = display_matrix(frame) is None and (frame.width, frame.height) == self.size_of(frame)
        return (
            deep_color(frame, untagged_matrix(frame.height)) if has_shown_size and frame.colorspace != YCGCO else None
        )

    def reformat(
        self,
        frame: av.VideoFrame,
        width: int,
        height: int,
        pixel_format: str,
        interpolation: Interpolation = _INTERPOLATION,
    ) -> av.VideoFrame:
        """Returns `frame` in full range, in another size in px and another pixel format. Thread-safe."""
        matrix, color_range = yuv_matrix_and_range(frame)
        with self._lock:  # the reformatter changes the frame's tags while it works
            reformatter = self._reformatters.setdefault((width, height, pixel_format), VideoReformatter())
            return reformatter.reformat(
                frame,
                width,
                height,
                pixel_format,
                src_colorspace=matrix,
                src_color_range=color_range,
                dst_color_range=ColorRange.JPEG,
                interpolation=interpolation,
                threads=1,
            )


def _device_image(frame: av.VideoFrame) -> DeviceImage | None:
    """Returns the picture of a frame on a GPU; None where it must be converted on the CPU."""
    if frame.color_trc in hdr.CURVES or frame.colorspace == YCGCO:
        return None
    picture = make_device_picture(frame, *yuv_matrix_and_range(frame))
    return None if picture is None else DeviceImage(picture)


class DecodedImage(LazyImage):
    """A decoded frame that is converted when its pixels are first used; its size is already the displayed one."""

    def __init__(self, frame: av.VideoFrame, converter: FrameConverter) -> None:
        self.size = (frame.width, frame.height)
        self._frame, self._converter = frame, converter
        self._rgb: Image | None = None
        self._small: Image | None = None
        """The largest small picture that was asked for."""

    def rgb(self) -> Image:
        if self._rgb is None:
            image = _rgb_array(self._converter.reformat(self._frame, *self.size, "rgb24"))
            image.setflags(write=False)
            self._rgb = image
        return self._rgb

    def image_at_size(self, width: int, height: int) -> Image:
        """Returns the picture resized; if at most half an earlier result's size, it is made from that result."""
        small = self._small
        if small is not None and small.shape[1] >= 2 * width and small.shape[0] >= 2 * height:
            return shrink(small, width, height)
        image = self._averaged(width, height)
        if small is None or image.size > small.size:
            image.setflags(write=False)
            self._small = image
        return image

    def _averaged(self, width: int, height: int) -> Image:
        import cv2

        # Planar, because swscale averages planes twice as fast as packed pixels.
        small = self._converter.reformat(self._frame, width, height, "gbrp", Interpolation.AREA)
        green, blue, red = _plane(small, 0), _plane(small, 1), _plane(small, 2)
        return np.asarray(cv2.merge([red, green, blue]), np.uint8)

    def yuv_planes(self) -> YuvPlanes | None:
        if self._frame.format.name != "yuv420p" or yuv_matrix_and_range(self._frame) != (
            Colorspace.ITU709,
            ColorRange.MPEG,
        ):
            return None
        return YuvPlanes(*(_plane(self._frame, i) for i in range(3)))

    def luma(self) -> tuple[GrayImage, int]:
        color_range = yuv_matrix_and_range(self._frame)[1]
        return _plane(self._frame, 0), 0 if color_range == ColorRange.JPEG else _LIMITED_BLACK


@cache
def _has_alpha(pixel_format: str) -> bool:
    """True for a pixel format with transparency, also if only its palette has it."""
    found = av.VideoFormat(pixel_format)
    return found.has_palette or any(component.is_alpha for component in found.components)


@cache
def _has_unknown_levels(pixel_format: str) -> bool:
    """True for RGB of 16 bits a sample and gray of more than 8; which of their levels are in use is not said."""
    found = av.VideoFormat(pixel_format)
    bits = found.components[0].bits
    is_gray = len(found.components) <= 2 and not found.has_palette
    is_float = pixel_format.removesuffix("le").removesuffix("be").endswith(("f16", "f32"))
    return ((found.is_rgb and bits == 16) or (is_gray and 8 < bits <= 16)) and not is_float


def _plane(frame: av.VideoFrame, index: int) -> GrayImage:
    """Returns a plane of a planar frame of bytes, (h, w), without a copy."""
    plane = frame.planes[index]
    rows = np.asarray(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    rows.setflags(write=False)
    return rows[:, : plane.width]


def _rgb_array(frame: av.VideoFrame) -> Image:
    return np.ascontiguousarray(frame.to_ndarray(), np.uint8)


def _samples(frame: av.VideoFrame) -> npt.NDArray[np.uint16]:
    """Returns the samples of a frame in gray, RGB or RGBA of more than 8 bits."""
    return np.asarray(frame.to_ndarray(), np.uint16)


def _has_captions(frame: av.VideoFrame) -> bool:
    return read_side_data(frame, "A53_CC") is not None


def display_matrix(frame: av.VideoFrame) -> Matrix | None:
    """Returns the matrix from decoded (x, y) to shown (x, y); None when the frame is shown as decoded."""
    data = read_side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return None
    matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2]
    return None if np.array_equal(matrix, _UPRIGHT) else matrix


def apply_display_matrix(image: Image, matrix: Matrix | None) -> Image:
    """Returns the image rotated and mirrored by `matrix`; any other angle counts as the nearest quarter turn."""
    if matrix is None:
        return image
    import cv2

    is_sideways = _is_sideways(matrix)
    if is_sideways:
        image = np.asarray(cv2.transpose(image), np.uint8)
    x, y = (matrix[1, 0], matrix[0, 1]) if is_sideways else (matrix[0, 0], matrix[1, 1])
    if x >= 0 and y >= 0:
        return image
    axes = {(True, False): 1, (False, True): 0, (True, True): -1}[bool(x < 0), bool(y < 0)]
    return np.asarray(cv2.flip(image, axes), np.uint8)


def _is_sideways(matrix: Matrix | None) -> bool:
    if matrix is None:
        return False
    size = np.abs(matrix.astype(np.int64))
    return bool(size[0, 1] + size[1, 0] > size[0, 0] + size[1, 1])


def _is_right_angled(matrix: Matrix) -> bool:
    size = np.sort(np.abs(matrix.astype(np.int64)).ravel())
    return bool(size[1] <= 0.01 * size[2])
