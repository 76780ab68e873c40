"""A video with its depth, read together frame by frame, as often as a score needs it."""

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
from streamdepth.evaluation.steadiness.frames import ClipFrame
from streamdepth.evaluation.steadiness.inputs import DepthSequence
from streamdepth.geometry.inverse_depth import inverse_depth
from streamdepth.stabilizers.cuts import CutDetector


@dataclass(frozen=True, slots=True)
class EvaluationClip:
    """A video with its depth, and with raw and true depth where there are any.

    Iterating yields ClipFrames in inverse depth. Raises SourceOpenError, code "length-mismatch", when the parts differ
    in their number of frames.
    """

    open_source: Callable[[], Source]
    """Makes a new source of the pictures, not yet open."""
    depth: DepthSequence
    raw: DepthSequence | None = None
    """The depth before smoothing."""
    truth: DepthSequence | None = None
    cuts: frozenset[int] | None = None
    """Indices of the first frames of shots; None: cuts are detected in the pictures."""
    max_frames: int | None = None

    @property
    def same_unit(self) -> bool:
        """True if depth and raw are known to have the same unit, so that no scale and shift is fitted between them."""
        raw = self.raw
        return raw is not None and raw.kind is self.depth.kind and raw.has_known_unit and self.depth.has_known_unit

    def frames(self) -> Generator[Frame, None, None]:
        """Yields the frames of the video."""
        with closing(self.open_source()) as source:
            source.open()
            yield from iter(source.read, None)

    def __iter__(self) -> Iterator[ClipFrame]:
        detector, ranges = CutDetector(), _range_of_each_frame(self.depth.ranges)
        with closing(self.frames()) as frames:
            parts: dict[str, Iterable[Any]] = {"the video": frames, "the depth": self.depth}
            parts |= {"the raw depth": self.raw} if self.raw else {}
            parts |= {"the ground truth": self.truth} if self.truth else {}
            limited = {name: islice(part, self.max_frames) for name, part in parts.items()}
            for number, (frame, depth, *more) in enumerate(zip_same_length(limited)):
                (item,) = detector.push(DepthFrame(frame, depth, self.depth.kind))
                yield ClipFrame(
                    frame.image,
                    inverse_depth(depth, self.depth.kind),
                    inverse_depth(more[0], self.raw.kind) if self.raw else None,
                    more[-1] if self.truth else None,
                    item.cut if self.cuts is None else number in self.cuts,
                    _inverse_range(next(ranges), self.depth.kind),
                )


def zip_same_length(parts: Mapping[str, Iterable[Any]]) -> Iterator[tuple[Any, ...]]:
    """Zips parts that must have equally many items; the error names those that ended early.

    Raises SourceOpenError, code "length-mismatch".
    """
    end = object()
    for number, row in enumerate(zip_longest(*parts.values(), fillvalue=end)):
        if ended := [name for name, item in zip(parts, row, strict=True) if item is end]:
            longer = " and ".join(name for name in parts if name not in ended)
            raise SourceOpenError(
                f"{' and '.join(ended)} ended after {number} frames, and {longer} went on; they must have the same "
                f"frames: make the depth anew, or end all of them with --max-frames {number}",
                code="length-mismatch",
            )
        yield row


def read_cuts(text: str) -> frozenset[int]:
    """Reads frame numbers from `12,57`, or from a file with numbers between spaces, commas or brackets.

    Raises ConfigError: "unreadable" for a file that cannot be read, "bad-cuts" for other words.
    """
    path = Path(text)
    try:
        content = path.read_text() if path.is_file() else text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the cuts in '{path}': {error}", code="unreadable") from error
    words = re.split(r"[\s,;\[\]]+", content.strip("[] \n"))
    if not all(word.isdecimal() for word in words if word):
        raise ConfigError(
            f"cuts are numbers of frames, such as 120,310, or a file with them; not '{text[:60]}'", code="bad-cuts"
        )
    return frozenset(int(word) for word in words if word)


def _range_of_each_frame(rows: Iterable[tuple[int, float, float]]) -> Iterator[tuple[float, float] | None]:
    """Yields (low, high) of frame after frame; each row (first frame, low, high) is valid until the next."""
    upcoming, current, number = list(rows)[::-1], None, 0
    while True:
        while upcoming and upcoming[-1][0] <= number:
            current = upcoming.pop()[1:]
        yield current
        number += 1


def _inverse_range(limits: tuple[float, float] | None, kind: DepthKind) -> tuple[float, float] | None:
    if limits is None or kind is DepthKind.RELATIVE:
        return limits
    low, high = limits
    return (1 / high, 1 / low) if low > 0 else None
