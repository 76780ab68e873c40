"""Pictures that a program already holds in memory: arrays checked and converted, and a source that reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo

ColorOrder = Literal["rgb", "bgr"]
"""Order of the color channels of an array; OpenCV reads and writes BGR."""
_CLOCK = Fraction(1, 1_000_000)
"""Time base of live frames, in seconds."""


def to_rgb_image(array: Any, color: ColorOrder = "rgb") -> Image:
    """Returns an array as (H, W, 3) uint8 RGB, C-contiguous; a copy unless it is that already.

    Args:
        array: (H, W, 3) or gray (H, W), uint8; any strides.
        color: order of its channels.

    Raises:
        ConfigError: codes "bad-array" and "bad-color".
    """
    if color not in ("rgb", "bgr"):
        raise ConfigError(f"color is 'rgb' or 'bgr', not {color!r}", code="bad-color")
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or not _is_picture(array.shape):
        given = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise ConfigError(f"a picture in memory is (H, W, 3) or (H, W) uint8, not {given}", code="bad-array")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    return np.ascontiguousarray(array[..., ::-1] if color == "bgr" else array)


def _is_picture(shape: tuple[int, ...]) -> bool:
    return min(shape, default=0) > 0 and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))


class ArraySource(Source):
    """Reads pictures from an iterable of arrays, such as a generator.

    Frames are `1 / fps` seconds apart; live ones have the time of their arrival. A generator can be read once, a list
    again after `open`. `read` waits for the iterable as long as that takes. A picture of another size is announced by
    `take_changed_info`.

    Args:
        frames: arrays as `to_rgb_image` takes them.
        fps: frames per second.
        color: order of the channels of the arrays.
        name: name of the stream.
        is_live: True if frames may be dropped where the model is slower than the iterable.
    """

    def __init__(
        self,
        frames: Iterable[Any],
        *,
        fps: float | Fraction = 30,
        color: ColorOrder = "rgb",
        name: str = "frames",
        is_live: bool = False,
    ) -> None:
        super().__init__()
        self._fps = Fraction(fps).limit_denominator(1001)
        if self._fps <= 0:
            raise ConfigError(f"fps is a number above 0, not {fps}", code="bad-value")
        self._frames, self._color, self._name, self._is_live = frames, color, name, is_live
        self._iterator: Iterator[Any] | None = None
        self._first: Image | None = None
        self._info: StreamInfo | None = None
        self._has_changed = False

    def open(self) -> StreamInfo:
        self.close()
        self._iterator, self._count, self._opened_at = iter(self._frames), 0, time.monotonic()
        self._first = self._next()
        if self._first is None:
            raise SourceOpenError(f"'{self._name}' has no frames (a generator can be read only once)", code="no-frames")
        height, width = self._first.shape[:2]
        self._info = StreamInfo(
            self._name,
            width,
            height,
            fps=None if self._is_live else self._fps,
            frame_count=len(self._frames) if isinstance(self._frames, Sized) and not self._is_live else None,
            is_live=self._is_live,
            time_base=_CLOCK if self._is_live else 1 / self._fps,
        )
        return self._info

    @property
    def drops_unread_frames(self) -> bool:
        return False

    def read(self) -> Frame | None:
        if self._info is None or self.interrupted.is_set():
            return None
        image, self._first = self._first if self._first is not None else self._next(), None
        if image is None:
            return None
        now, index = time.monotonic(), self._count
        self._count += 1
        if image.shape[:2] != (self._info.height, self._info.width):
            self._info = replace(self._info, width=image.shape[1], height=image.shape[0])
            self._has_changed = True
        pts = round((now - self._opened_at) / _CLOCK) if self._is_live else index
        return Frame(image, index, pts, self._info.time_base, now, self._name)

    def take_changed_info(self) -> StreamInfo | None:
        has_changed, self._has_changed = self._has_changed, False
        return self._info if has_changed else None

    def _next(self) -> Image | None:
        assert self._iterator is not None
        try:
            array = next(self._iterator)
        except StopIteration:
            return None
        except Exception as error:
            raise SourceLostError(
                f"the iterable behind '{self._name}' raised {type(error).__name__}: {error}", code="iterable-failed"
            ) from error
        return to_rgb_image(array, self._color)

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
        self._iterator = self._first = self._info = None
        super().close()
