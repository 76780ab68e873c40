"""The picture that a model gets of a frame: reflections replace black bars, which would distort its depth."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from streamdepth.core.arrays import Image
from streamdepth.core.masks import Box, rectangle_of
from streamdepth.core.types import Frame, LazyImage, YuvPlanes


def model_view(frame: Frame) -> Frame:
    """Returns the frame as the model gets it: the surroundings of a rectangle of valid pixels become its reflection.

    A frame without such a rectangle is returned as it is. A network takes black bars for the frame of a window or for
    a wall: on two pictures with the bars of a 2.39:1 film, nano's depth correlated to 0.93 with that of the picture
    alone, and to 0.97 with reflections in place of the bars.
    """
    box = None if frame.valid is None else rectangle_of(frame.valid)
    return frame if box is None else replace(frame, pixels=ReflectedImage(frame, box))


class ReflectedImage(LazyImage):
    """A frame's picture with everything outside of a box replaced by the reflection of what is inside."""

    def __init__(self, frame: Frame, box: Box) -> None:
        self.size = frame.size
        self._frame, self._box = frame, box

    def rgb(self) -> Image:
        return _reflect(self._frame.image, self._box)

    def image_at_size(self, width: int, height: int) -> Image:
        box = self._box.scaled(height / self.size[1], width / self.size[0])
        return _reflect(self._frame.image_at_size(width, height), box)

    def yuv_planes(self) -> YuvPlanes | None:
        return None


def _reflect(image: Image, box: Box) -> Image:
    import cv2

    if box.bottom <= box.top or box.right <= box.left:
        return image
    inside = image[box.top : box.bottom, box.left : box.right]
    margins = box.top, image.shape[0] - box.bottom, box.left, image.shape[1] - box.right
    return cast(Image, cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REFLECT))
