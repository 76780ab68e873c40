"""Pictures as a stream: a folder, a glob, numbered files, one file, or one from the web."""

from __future__ import annotations

import mimetypes
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from streamdepth.core.arrays import Image, Mask
from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.masks import shrink_mask
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.missing_file import missing_file_error
from streamdepth.sources.picture_file import is_web_address, load_picture
from streamdepth.sources.sample_levels import SampleLevels
from streamdepth.sources.skip_counter import SkipCounter
from streamdepth.utils.file_patterns import match_files
from streamdepth.utils.media_kind import is_clutter, media_kind
from streamdepth.utils.numbering import find_number, has_number_field, number_glob, pattern_numbers, sequence_numbers
from streamdepth.utils.redact import redact
from streamdepth.utils.stamps import stamps_of_names

DEFAULT_FPS = 30
"""Pictures per second where no rate is given."""
PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".webp", ".gif", ".avif", ".heic", ".heif", ".hif", ".exr", ".ppm", ".pgm"),
)
"""Suffixes of files that count as pictures, in lower case."""
_SHOWN_NAMES = 5


class ImagesSource(Source):
    """Pictures as a stream of `fps` frames per second, in natural order (9 before 10).

    Files of a numbered name, and others whose names differ in their last number only, are a sequence: its frames have
    these numbers, for example from 1001 on, and a gap in the numbers is a gap in time. All other pictures are numbered
    from 0. Later pictures are scaled to the size of the first, unless sizes are kept. Those that cannot be read are
    counted in `undelivered["undecodable"]`, and after all others `read` raises SourceLostError.

    Args:
        pattern: a picture, a folder, a glob (`shots/*.jpg`), a numbered name (`%06d.png`) or an http(s) address.
        fps: frames per second.
        max_side_px: the largest side that is read.
        keep_sizes: gives each picture its own size; `take_changed_info` tells each change.
    """

    def __init__(
        self,
        pattern: str | Path,
        *,
        fps: float | Fraction = DEFAULT_FPS,
        max_side_px: int = MAX_SIDE_PX,
        keep_sizes: bool = False,
    ) -> None:
        super().__init__()
        self.pattern, self.fps, self.max_side_px = str(pattern), fps, max_side_px
        self.keep_sizes = keep_sizes
        self._name = redact(self.pattern)
        self._addresses: list[str] = []
        self._info: StreamInfo | None = None
        self._changed_info: StreamInfo | None = None
        self._pictures: Iterator[tuple[int, Image, Mask | None]] = iter(())
        """Position of a picture in the sorted list, its pixels, and where it is opaque."""
        self._first: tuple[int, Image, Mask | None] | None = None
        self._time_base = Fraction(1)
        self._index = self._total = 0
        self._numbers: list[int] | None = None
        self._stamps: list[int] | None = None
        """Number of each picture of a numbered sequence, in the order of reading."""
        self._levels = SampleLevels()
        self._skipped = SkipCounter(self, f"pictures of {self._name}")
        self._intrinsics: Intrinsics | None = None
        """Intrinsics of the picture that was read last."""

    def open(self) -> StreamInfo:
        self._release()
        addresses, self._levels = find_pictures(self.pattern), SampleLevels()
        self._addresses, self._changed_info = addresses, None
        self._announce_other_pictures()
        self._number_frames(addresses)
        self._index, self._total = 0, len(addresses)
        if len(addresses) == 1:
            self._pictures = iter([(0, *self._read_picture(addresses[0]))])
        else:
            self._pictures = self._read_pictures(addresses)
        self._first = next(self._pictures, None)
        if self._first is None:
            self._skipped.count = 0
            raise SourceOpenError(f"none of the {self._total} pictures of {self._name} can be read", code="undecodable")
        height, width = self._first[1].shape[:2]
        fps = Fraction(self.fps).limit_denominator(1001)
        self._time_base = 1 / fps
        self._info = StreamInfo(
            self._name,
            width,
            height,
            fps=fps,
            frame_count=len(addresses),
            time_base=self._time_base,
            intrinsics=self._intrinsics,
        )
        return self._info

    def take_changed_info(self) -> StreamInfo | None:
        info, self._changed_info = self._changed_info, None
        return info

    def _read_picture(self, address: str) -> tuple[Image, Mask | None]:
        # A name that a folder or a pattern gave is a file, even if it looks like an address.
        picture = address if is_web_address(self.pattern) else Path(address)
        loaded = load_picture(picture, max_side_px=self.max_side_px, levels=self._levels)
        self._intrinsics = loaded.intrinsics
        for text in loaded.notices(self._name):
            self.add_notice(text)
        return loaded.pixels, loaded.valid

    def _read_pictures(self, addresses: list[str]) -> Iterator[tuple[int, Image, Mask | None]]:
        size: tuple[int, int] | None = None
        for position, address in enumerate(addresses):
            try:
                image, valid = self._read_picture(address)
            except SourceError as error:
                self._skipped.add(str(error))
                continue
            size = size or (image.shape[1], image.shape[0])
            yield position, *self._resize(image, valid, size)

    def _resize(self, image: Image, valid: Mask | None, size: tuple[int, int]) -> tuple[Image, Mask | None]:
        if image.shape[1::-1] == size or self.keep_sizes:
            return image, valid
        self.add_notice(f"the pictures of {self._name} differ in size; all are scaled to {size[0]}x{size[1]} px")
        resized = np.array(Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC))
        return resized, None if valid is None else shrink_mask(valid, *size)

    def read(self) -> Frame | None:
        picture, self._first = self._first or next(self._pictures, None), None
        if picture is None:
            if self._release():
                raise SourceLostError(
                    f"{self._index} of {self._total} pictures of {self._name} could be read; the others are damaged",
                    code="damaged",
                )
            return None
        position, image, valid = picture
        index, self._index = self._index, self._index + 1
        pts = position
        if self._numbers is not None:
            index = self._numbers[position]
            pts = index - self._numbers[0]
        assert self._info is not None
        height, width = image.shape[:2]
        if (width, height) != (self._info.width, self._info.height):
            self._info = self._changed_info = replace(
                self._info, width=width, height=height, intrinsics=self._intrinsics
            )
        file_name = "" if is_web_address(self.pattern) else os.path.basename(self._addresses[position])
        now, stamp_ns = time.monotonic(), None if self._stamps is None else self._stamps[position]
        return Frame(
            image, index, pts, self._time_base, now, self._name, valid=valid, stamp_ns=stamp_ns, file_name=file_name
        )

    def _number_frames(self, addresses: list[str]) -> None:
        """Numbers the frames like their files if these are a numbered sequence, else from 0."""
        is_numbered = has_number_field(self.pattern)
        self._numbers = pattern_numbers(self.pattern, addresses) if is_numbered else sequence_numbers(addresses)
        self._stamps = stamps_of_names(addresses)
        if self._numbers is None:
            return
        first, missing = self._numbers[0], self._numbers[-1] - self._numbers[0] + 1 - len(self._numbers)
        if missing:
            self.add_notice(f"{missing} of the frames {first} to {self._numbers[-1]} of {self._name} are not there")

    def _announce_other_pictures(self) -> None:
        """Adds a notice of the pictures of a folder, such as raw photos, whose suffix is not that of a picture."""
        if not os.path.isdir(self.pattern):
            return
        others = [path for path in _files_in(Path(self.pattern)) if not _is_named_picture(path)]
        if names := sorted(path.name for path in others if media_kind(path) == "picture"):
            shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
            self.add_notice(
                f"left out of {self._name}, {len(names)}: {shown}; pictures of a folder have a suffix among "
                f"{' '.join(PICTURE_SUFFIXES)}, or are given one by one"
            )

    def _release(self) -> int:
        """Ends reading, and returns how many pictures were skipped."""
        self._pictures, self._first = iter(()), None
        return self._skipped.finish()

    def close(self) -> None:
        self._release()
        super().close()


def find_pictures(pattern: str) -> list[str]:
    """Returns the addresses of all pictures, in natural order. Raises SourceOpenError where there are none."""
    if is_web_address(pattern) or os.path.isfile(pattern):  # of a path that cannot be, Path would raise
        return [pattern]
    found = _pictures_in(Path(pattern)) if os.path.isdir(pattern) else _matching_files(pattern)
    return sorted(found, key=_natural_order)


def _files_in(folder: Path) -> list[Path]:
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise SourceOpenError(
            f"the folder {folder} may not be read: {error.strerror}; check its permissions", code="no-permission"
        ) from error
    return [path for path in paths if not is_clutter(path.name) and os.path.isfile(path)]


def _is_named_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _pictures_in(folder: Path) -> list[str]:
    found = [str(path) for path in _files_in(folder) if _is_named_picture(path)]
    if not found:
        hint = "; give one of its videos, or all of them to `streamdepth convert`" if _has_videos(folder) else ""
        raise SourceOpenError(
            f"the folder {folder} holds no pictures ({', '.join(PICTURE_SUFFIXES)}){hint}", code="not-found"
        )
    return found


def _matching_files(pattern: str) -> list[str]:
    is_numbered = has_number_field(pattern)
    wildcard = number_glob(pattern) if is_numbered else pattern
    found = match_files(wildcard, is_each_once=False)  # a link may repeat a picture on purpose
    if is_numbered:
        found = [path for path in found if find_number(pattern, path) is not None]
    if not found:
        if not any(c in wildcard for c in "*?["):
            raise missing_file_error(redact(pattern), pattern)
        raise SourceOpenError(
            f"{redact(pattern)} gives no picture: no file matches it; check the spelling and the current folder",
            code="not-found",
        )
    return found


def _has_videos(folder: Path) -> bool:
    return any((mimetypes.guess_type(path.name)[0] or "").startswith("video/") for path in folder.iterdir())


def _natural_order(name: str) -> list[tuple[int, int | str]]:
    """Returns a sorting key by which 9 comes before 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name)]
