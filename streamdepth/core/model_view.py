"""The picture that a model gets of a frame: its own border goes on over black bars, which would distort depth."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from streamdepth.core.arrays import Image
from streamdepth.core.masks import Box, rectangle_of
from streamdepth.core.types import Frame, LazyImage, YuvPlanes


def model_view(frame: Frame) -> Frame:
    """Returns the frame as the model gets it: the border of a rectangle of valid pixels goes on to the frame's sides.

    A frame without such a rectangle is returned as it is. A network takes black bars for the frame of a window or for
    a wall. On 76 pictures of three rooms with measured depth, cut to 2.39:1 and with the bars of a 16:9 film, nano's
    mean delta1 was 0.813 with black bars, 0.815 to 0.816 with gray ones, 0.839 with reflections of the picture in
    their place, and 0.850 with its first and last rows repeated.
    """
    box = None if frame.valid is None else rectangle_of(frame.valid)
    return frame if box is None else replace(frame, pixels=ExtendedImage(frame, box))


class ExtendedImage(LazyImage):
    """A frame's picture with what is outside of a box replaced by the nearest pixel inside."""

    def __init__(self, frame: Frame, box: Box) -> None:
        self.size = frame.size
        self._frame, self._box = frame, box

    def rgb(self) -> Image:
        return _extend(self._frame.image, self._box)

    def image_at_size(self, width: int, height: int) -> Image:
        box = self._box.scaled(height / self.size[1], width / self.size[0])
        return _extend(self._frame.image_at_size(width, height), box)

    def yuv_planes(self) -> YuvPlanes | None:
        return None


def _extend(image: Image, box: Box) -> Image:
    import cv2

    if box.bottom <= box.top or box.right <= box.left:
        return image
    inside = image[box.top : box.bottom, box.left : box.right]
    margins = box.top, image.shape[0] - box.bottom, box.left, image.shape[1] - box.right
    return cast(Image, cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REPLICATE))
