"""Animated PNG, WebP and AVIF as a stream; libav reads GIF, as it reads videos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image as Pillow

from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.picture_file import LoadedPicture, load_picture, read_picture_file
from streamdepth.sources.untrusted_picture import map_picture_errors

_TIME_BASE = Fraction(1, 1000)
_UNTIMED_MILLISECONDS = 100
"""Duration of a picture that states none, as browsers show it."""


class AnimationSource(Source):
    """The pictures of an animated PNG, WebP or AVIF, once, each at its own time. It has no sound.

    Raises SourceOpenError as `read_picture` does; a picture that cannot be decoded raises SourceLostError ("damaged").

    Args:
        path: the file.
        max_side_px: the largest side that is read.
    """

    def __init__(self, path: str | Path, *, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__()
        self.path, self.max_side_px = Path(path), max_side_px
        self._pictures: Iterator[tuple[int, int, LoadedPicture]] = iter(())
        """Index, milliseconds since the beginning, and pixels of each picture."""
        self._first: tuple[int, int, LoadedPicture] | None = None

    def open(self) -> StreamInfo:
        name = str(self.path)
        opened = read_picture_file(self.path)
        first = 1 if getattr(opened, "default_image", False) else 0  # shown by programs that do not know animations
        count = getattr(opened, "n_frames", 1) - first
        self._pictures = self._decode(opened, first, count)
        self._first = next(self._pictures)
        for text in self._first[2].notices(name):
            self.add_notice(text)
        height, width = self._first[2].pixels.shape[:2]
        fps = Fraction(1000, _milliseconds(opened))
        return StreamInfo(name, width, height, fps=fps, frame_count=count, time_base=_TIME_BASE)

    def _decode(self, opened: Pillow.Image, first: int, count: int) -> Iterator[tuple[int, int, LoadedPicture]]:
        now = 0
        for index in range(count):
            with map_picture_errors(str(self.path)):
                opened.seek(first + index)
                opened.load()
            loaded = load_picture(opened.copy(), max_side_px=self.max_side_px)
            yield index, now, loaded._replace(file_format=opened.format or "")
            now += _milliseconds(opened)

    def read(self) -> Frame | None:
        try:
            found, self._first = self._first or next(self._pictures, None), None
        except SourceOpenError as error:
            self._pictures = iter(())
            raise SourceLostError(str(error), code="damaged") from error
        if found is None:
            return None
        index, pts, picture = found
        return Frame(picture.pixels, index, pts, _TIME_BASE, time.monotonic(), str(self.path), valid=picture.valid)

    def close(self) -> None:
        self._pictures, self._first = iter(()), None
        super().close()


def _milliseconds(opened: Pillow.Image) -> int:
    """Returns how long the picture that was decoded last is shown."""
    return max(0, round(opened.info.get("duration") or 0)) or _UNTIMED_MILLISECONDS
