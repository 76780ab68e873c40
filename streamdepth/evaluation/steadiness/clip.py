"""A video with its depth, joined frame by frame, so that it can be read as often as a score needs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.evaluation.steadiness.frames import Sample, inverse
from streamdepth.evaluation.steadiness.inputs import DepthClip
from streamdepth.stabilizers.cuts import CutDetector


@dataclass(frozen=True, slots=True)
class Clip:
    """Iterating gives samples in inverse depth. Raises SourceOpenError when the parts have not the same frames."""

    open_source: Callable[[], Source]
    """A fresh source of the pictures, not yet open."""
    depth: DepthClip
    raw: DepthClip | None = None
    truth: DepthClip | None = None
    cuts: frozenset[int] | None = None
    """Numbers of the frames that begin a shot; None: they are found in the pictures."""
    max_frames: int | None = None

    @property
    def same_unit(self) -> bool:
        """Whether depth and raw are known to need no scale and shift between them."""
        raw = self.raw
        return raw is not None and raw.kind is self.depth.kind and raw.has_known_unit and self.depth.has_known_unit

    def frames(self) -> Generator[Frame, None, None]:
        """The pictures."""
        with closing(self.open_source()) as source:
            source.open()
            yield from iter(source.read, None)

    def __iter__(self) -> Iterator[Sample]:
        detector, ranges = CutDetector(), _held(self.depth.ranges)
        with closing(self.frames()) as frames:
            parts: dict[str, Iterable[Any]] = {"the video": frames, "the depth": self.depth}
            parts |= {"the raw depth": self.raw} if self.raw else {}
            parts |= {"the truth": self.truth} if self.truth else {}
            limited = {name: islice(part, self.max_frames) for name, part in parts.items()}
            for number, (frame, depth, *more) in enumerate(together(limited)):
                (item,) = detector.push(DepthFrame(frame, depth, self.depth.kind))
                yield Sample(
                    frame.image,
                    inverse(depth, self.depth.kind),
                    inverse(more[0], self.raw.kind) if self.raw else None,
                    more[-1] if self.truth else None,
                    item.cut if self.cuts is None else number in self.cuts,
                    _inverse_range(next(ranges), self.depth.kind),
                )


def together(parts: Mapping[str, Iterable[Any]]) -> Iterator[tuple[Any, ...]]:
    """Like zip, but all parts must have equally many items. Raises SourceOpenError, which names those that have not."""
    end = object()
    for number, row in enumerate(zip_longest(*parts.values(), fillvalue=end)):
        if ended := [name for name, item in zip(parts, row, strict=True) if item is end]:
            longer = " and ".join(name for name in parts if name not in ended)
            raise SourceOpenError(
                f"{' and '.join(ended)} ended after {number} frames, and {longer} went on; they must have the same "
                f"frames: make the depth anew, or end all of them with --max-frames {number}"
            )
        yield row


def read_cuts(text: str) -> frozenset[int]:
    """Frame numbers from `12,57` or from a file with numbers between spaces, commas or brackets. Raises ConfigError."""
    path = Path(text)
    try:
        content = path.read_text() if path.is_file() else text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the cuts in '{path}': {error}") from error
    words = re.split(r"[\s,;\[\]]+", content.strip("[] \n"))
    if not all(word.isdecimal() for word in words if word):
        raise ConfigError(f"cuts are numbers of frames, such as 120,310, or a file with them; not '{text[:60]}'")
    return frozenset(int(word) for word in words if word)


def _held(rows: Iterable[tuple[int, float, float]]) -> Iterator[tuple[float, float] | None]:
    """The range of each frame: [first frame, low, high] hold from that frame on."""
    waiting, now, number = list(rows)[::-1], None, 0
    while True:
        while waiting and waiting[-1][0] <= number:
            now = waiting.pop()[1:]
        yield now
        number += 1


def _inverse_range(range: tuple[float, float] | None, kind: DepthKind) -> tuple[float, float] | None:
    if range is None or kind is DepthKind.RELATIVE:
        return range
    low, high = range
    return (1 / high, 1 / low) if low > 0 else None
