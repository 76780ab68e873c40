"""Decoded video pictures as people should see them: RGB, upright, square pixels, one size for the whole stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from streamdepth.core.arrays import GrayImage, Image
from streamdepth.core.types import LazyImage, YuvPlanes
from streamdepth.sources import hdr

Matrix = npt.NDArray[np.int32]
"""(2, 2) [[a, b], [c, d]]: x' = ax + cy, y' = bx + dy, as `AV_FRAME_DATA_DISPLAYMATRIX` in libavutil/frame.h."""

_SCALING = (
    Interpolation.BICUBIC
)  # ACCURATE_RND and FULL_CHR_H_INT gain at most 4 of 255 levels and cost ten times as much
_HD_LINES = 720
_PLAIN = {"yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p"}
"""What nearly all video is decoded to, and what can be painted without fail."""
_MATRIX = {  # libav's AVColorSpace -> swscale's matrices
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


class FrameConverter:
    """Turns the decoded frames of one stream into images of one size: that of its first frame."""

    def __init__(self, announce: Callable[[str], None], name: str, aspect: Fraction | None = None) -> None:
        self._announce, self._name = announce, name
        self._aspect = self._sane(aspect)
        self._reformatters: dict[tuple[int, int, str], VideoReformatter] = {}
        self._lock = threading.Lock()
        self._coded: tuple[int, int] | None = None
        self._size = (0, 0)
        self._tone_mapper: hdr.ToneMapper | None = None

    def _sane(self, aspect: Fraction | None) -> Fraction:
        if not aspect or aspect == 1:
            return Fraction(1)
        if Fraction(1, 8) <= aspect <= 8:
            return aspect
        self._announce(f"{self._name}: pixels of shape {aspect} cannot be meant; taken as square")
        return Fraction(1)

    def size_of(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(width, height) in px that `frame` has once its pixels are square and it is upright."""
        width, height = max(1, round(frame.width * self._aspect)), frame.height
        return (height, width) if _is_sideways(display_matrix(frame)) else (width, height)

    def convert(self, frame: av.VideoFrame) -> Image | LazyImage:
        """(H, W, 3) uint8 RGB, C-contiguous; plain pictures wait until somebody looks at them."""
        if self._coded is None:
            self._begin(frame)
        elif self._coded != (frame.width, frame.height):
            self._announce(
                f"{self._name}: the pictures' size changes in mid-stream, from {self._coded[0]}x{self._coded[1]} to "
                f"{frame.width}x{frame.height} px; all are scaled to {self._size[0]}x{self._size[1]} px"
            )
        matrix = display_matrix(frame)
        is_as_shown = matrix is None and (frame.width, frame.height) == self._size
        if is_as_shown and frame.format.name in _PLAIN and frame.color_trc not in hdr.CURVES:
            return DecodedImage(frame, self)
        width, height = reversed(self._size) if _is_sideways(matrix) else self._size
        return apply_display_matrix(self._rgb(frame, width, height), matrix)

    def _begin(self, frame: av.VideoFrame) -> None:
        self._coded, self._size = (frame.width, frame.height), self.size_of(frame)
        if frame.interlaced_frame:
            self._announce(
                f"{self._name} is interlaced: moving edges show combs; deinterlace it first for the best depth, "
                "for example with ffmpeg -vf bwdif"
            )
        matrix = display_matrix(frame)
        if matrix is not None and not _is_right_angled(matrix):
            self._announce(f"{self._name} is rotated by an odd angle; the nearest quarter turn is applied")

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> Image:
        curve = hdr.CURVES.get(frame.color_trc)
        if curve is None:
            return _pixels(self.reformat(frame, width, height, "rgb24"))
        self._announce(f"{self._name} is HDR ({curve}): tone-mapped to SDR, highlights are compressed")
        if self._tone_mapper is None or self._tone_mapper.suits != (curve, width, height):
            self._tone_mapper = hdr.ToneMapper(curve, width, height)
        return _pixels(self._tone_mapper.map(self.reformat(frame, width, height, hdr.FORMAT)))

    def reformat(
        self, frame: av.VideoFrame, width: int, height: int, pixel_format: str, how: Interpolation = _SCALING
    ) -> av.VideoFrame:
        """`frame` in full range, in another size and format. One at a time: its tags are changed meanwhile."""
        matrix, color_range = colors(frame)
        with self._lock:
            own = self._reformatters.setdefault((width, height, pixel_format), VideoReformatter())
            return own.reformat(
                frame,
                width,
                height,
                pixel_format,
                src_colorspace=matrix,
                src_color_range=color_range,
                dst_color_range=ColorRange.JPEG,
                interpolation=how,
                threads=1,
            )


class DecodedImage(LazyImage):
    """A frame of libav in the size, orientation and pixel shape in which it is shown."""

    def __init__(self, frame: av.VideoFrame, converter: FrameConverter) -> None:
        self.size = (frame.width, frame.height)
        self._frame, self._converter = frame, converter
        self._rgb: Image | None = None

    def rgb(self) -> Image:
        if self._rgb is None:
            image = _pixels(self._converter.reformat(self._frame, *self.size, "rgb24"))
            image.setflags(write=False)
            self._rgb = image
        return self._rgb

    def image_at_size(self, width: int, height: int) -> Image:
        import cv2

        # In planes, which swscale averages twice as fast as packed pixels.
        small = self._converter.reformat(self._frame, width, height, "gbrp", Interpolation.AREA)
        green, blue, red = (_plane(small, i) for i in range(3))
        return np.asarray(cv2.merge([red, green, blue]), np.uint8)

    def yuv_planes(self) -> YuvPlanes | None:
        if self._frame.format.name != "yuv420p" or colors(self._frame) != (Colorspace.ITU709, ColorRange.MPEG):
            return None
        return YuvPlanes(*(_plane(self._frame, i) for i in range(3)))


def _plane(frame: av.VideoFrame, index: int) -> GrayImage:
    """(h, w) of a planar frame of bytes, without a copy."""
    plane = frame.planes[index]
    rows = np.asarray(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    rows.setflags(write=False)
    return rows[:, : plane.width]


def _pixels(frame: av.VideoFrame) -> Image:
    return np.ascontiguousarray(frame.to_ndarray(), np.uint8)


def colors(frame: av.VideoFrame) -> tuple[Colorspace | None, ColorRange | None]:
    """The matrix and range of a frame's YUV: as tagged; without tags BT.709 from 720 lines on, else BT.601, limited.

    (None, None) for pictures that are RGB or grey already.
    """
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return None, None
    untagged = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return _MATRIX.get(frame.colorspace, untagged), ColorRange.JPEG if full else ColorRange.MPEG


def display_matrix(frame: av.VideoFrame) -> Matrix | None:
    """How decoded (x, y) map to shown (x, y), or None when as decoded."""
    # `frame.side_data` is kept by its frame and holds it: such a frame would live until the garbage collector runs.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # its stub leaves __init__ out
    return None if data is None else np.frombuffer(cast(bytes, data), np.int32).reshape(3, 3)[:2, :2]


def apply_display_matrix(image: Image, matrix: Matrix | None) -> Image:
    """The image turned and mirrored as `matrix` says; other angles count as the nearest quarter turn."""
    if matrix is None:
        return image
    import cv2

    sideways = _is_sideways(matrix)
    if sideways:
        image = np.asarray(cv2.transpose(image), np.uint8)
    x, y = (matrix[1, 0], matrix[0, 1]) if sideways else (matrix[0, 0], matrix[1, 1])
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
