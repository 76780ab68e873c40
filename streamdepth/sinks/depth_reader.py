"""Reads the depth videos that `DepthVideoSink` writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.types import DepthKind
from streamdepth.sinks.depth_codes import Codes, decode_linear16, decode_log16, range_of_frame
from streamdepth.sinks.depth_facts import TAG, parse_facts
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.utils.containers import open_media_file

if TYPE_CHECKING:
    from av.container import InputContainer


class DepthVideo:
    """A depth video that `DepthVideoSink` or `RgbdVideoSink` wrote, opened for reading: a sequence of depth maps.

    >>> video = sd.DepthVideo("samples/room_truth.mkv")
    >>> video.kind.value, len(video), video[3].shape, round(float(video.times[1]), 4)
    ('metric', 150, (360, 640), 0.0417)

    Iterating over it yields (h, w) float32 maps: NaN is unknown, and +inf too far, in metric depth.

    The facts come from the container's tag, or from the sidecar where another program has removed the tag, or where the
    tag of a long video leaves something out. Without a sidecar the times of such a video come from the container, exact
    to a millisecond.

    Raises:
        SourceOpenError: not found, not a video, or not a depth video of streamdepth.
        SourceLostError: while reading, when the file is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.sidecar = sidecar_path(self.path)
        with self._container() as container:
            self.metadata: dict[str, Any] = self._facts(container)
            """The facts listed in the module `depth_facts`."""
            if "pts" not in self.metadata:
                self.metadata["pts"] = self._stored_pts(container)
        self.kind = DepthKind(self.metadata["kind"])
        tick = float(Fraction(*self.metadata["time_base"]))
        self.times: list[float] = [pts * tick for pts in self.metadata["pts"]]
        """Seconds on the source's clock, one per frame."""
        self._count: int = self.metadata.get("frames", len(self.times))
        self._offsets = np.asarray(self.times) - self.times[0] if self.times else np.zeros(0)

    def _container(self) -> InputContainer:
        try:
            return open_media_file(self.path)
        except (av.FFmpegError, OSError) as error:
            code = "not-found" if isinstance(error, FileNotFoundError) else "not-a-depth-video"
            raise SourceOpenError(f"cannot open '{self.path}' as a depth video: {error.strerror}", code=code) from error

    @contextmanager
    def _reading(self) -> Iterator[InputContainer]:
        with self._container() as container:
            try:
                yield container
            except (av.FFmpegError, OSError) as error:
                raise SourceLostError(f"'{self.path}' is damaged: {error.strerror}", code="damaged") from error

    def _facts(self, container: InputContainer) -> dict[str, Any]:
        """Reads the facts from the tag, or from the sidecar where that has more or the tag cannot be used."""
        problems: list[str] = []
        tag = _parsed(container.metadata.get(TAG), f"tag {TAG}", problems)
        sidecar = (
            None if tag and "pts" in tag else _parsed(self._sidecar_text(), f"sidecar '{self.sidecar.name}'", problems)
        )
        facts = tag or sidecar
        if facts is None:
            reason = "; ".join(problems) or f"neither a tag {TAG} nor a sidecar '{self.sidecar.name}'"
            raise SourceOpenError(
                f"'{self.path}' is not a depth video of streamdepth: {reason}; make one with --depth-out NAME.mkv",
                code="not-a-depth-video",
            )
        self._stream = self._find_stream(container, facts["size"])
        if tag and sidecar and all(sidecar.get(name) == value for name, value in tag.items()):
            return sidecar
        return facts

    def _sidecar_text(self) -> str | None:
        try:
            return self.sidecar.read_text(encoding="utf-8", errors="replace") if self.sidecar.is_file() else None
        except OSError:
            return None  # the tag alone is enough

    def _find_stream(self, container: InputContainer, size: list[int]) -> int:
        """Returns the number of the video track of depth. Raises SourceOpenError unless one can hold such codes."""
        for number, video in enumerate(container.streams.video):
            is_gray = video.codec_context.pix_fmt in ("gray16le", "gray16be", None)
            if is_gray and video.width >= size[0] and video.height >= size[1]:
                return number
        raise SourceOpenError(
            f"'{self.path}' has no 16-bit gray video of {size[0]}x{size[1]} px, though it says so; another program "
            "has changed it, make it anew",
            code="not-a-depth-video",
        )

    def _stored_pts(self, container: InputContainer) -> list[int]:
        """Reads the timestamps of the container, in ticks of the source's clock."""
        video, tick = container.streams.video[self._stream], Fraction(*self.metadata["time_base"])
        try:
            stored = sorted(p.pts for p in container.demux(video) if p.pts is not None)
        except (av.FFmpegError, OSError) as error:
            raise SourceOpenError(
                f"cannot read the times of '{self.path}': {error.strerror}", code="damaged"
            ) from error
        if not stored:
            raise SourceOpenError(f"'{self.path}' is damaged: it has no frames", code="damaged")
        ticks = (video.time_base or Fraction(1, 1000)) / tick
        return [self.metadata["first_pts"] + round((pts - stored[0]) * ticks) for pts in stored]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[DepthMap]:
        with self._reading() as container:
            yield from self._decoded(container, 0)

    def __getitem__(self, index: int) -> DepthMap:
        """Returns one frame, (h, w) float32; a negative index counts from the end."""
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        with self._reading() as container:
            start = self._seek(container, min(number, len(self.times) - 1))
            for i, depth in enumerate(self._decoded(container, start), start):
                if i == number:
                    return depth
        raise SourceLostError(f"'{self.path}' has no frame {number}, though it says so", code="damaged")

    def _seek(self, container: InputContainer, number: int) -> int:
        """Seeks to a frame at or before `number`, and returns its number."""
        stream = container.streams.video[self._stream]
        stored = self._offsets / float(stream.time_base or Fraction(1, 1000)) + (stream.start_time or 0)
        target = round(stored[number])
        container.seek(target, stream=stream)
        first = next((p.pts for p in container.demux(stream) if p.pts is not None), target)
        container.seek(target, stream=stream)
        return int(np.abs(stored - first).argmin())

    def _decoded(self, container: InputContainer, start: int) -> Iterator[DepthMap]:
        (width, height), number = self.metadata["size"], start - 1
        for number, frame in enumerate(container.decode(video=self._stream), start):
            codes = cast(Codes, frame.to_ndarray(format="gray16le"))
            yield self._depth(codes[:height, :width], number)
        if number + 1 < len(self):
            raise SourceLostError(
                f"'{self.path}' is damaged: it ends after {number + 1} of {len(self)} frames", code="damaged"
            )

    def _depth(self, codes: Codes, number: int) -> DepthMap:
        facts = self.metadata
        if facts["code"] == "log16":
            return decode_log16(codes, facts["near_m"], facts["far_m"])
        return decode_linear16(codes, *range_of_frame(facts["ranges"], number))


def _parsed(text: str | None, place: str, problems: list[str]) -> dict[str, Any] | None:
    """Parses the facts in `text`; None where there are none, or where they are wrong, which is added to `problems`."""
    try:
        return parse_facts(text) if text is not None else None
    except ValueError as error:
        problems.append(f"the facts in its {place} cannot be used: {error}")
        return None
