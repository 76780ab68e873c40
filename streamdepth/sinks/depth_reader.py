"""Reading the depth videos that `DepthVideoSink` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np

from streamdepth.errors import SourceLostError, SourceOpenError
from streamdepth.sinks.depth_codes import Codes, decode_linear16, decode_log16, range_at
from streamdepth.types import DepthKind, DepthMap

if TYPE_CHECKING:
    from av.container import InputContainer

SCHEMA_VERSION = 1
TAG = "STREAMDEPTH"
"""The container's tag that holds the facts as JSON."""


class DepthVideo:
    """Reads what `DepthVideoSink` wrote.

        video = DepthVideo("room.mkv")
        for depth in video: ...          # (h, w) float32, NaN = unknown, +inf = nothing was hit (metric only)
        video[3], len(video), video.times, video.kind

    The container's own tag is used, and the sidecar where another program has removed it.

    Raises:
        SourceOpenError: not found, not a video, or not one of ours.
        SourceLostError: while reading, when the file is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._container() as container:
            text = container.metadata.get(TAG)
        sidecar = self.path.with_name(self.path.name + ".json")
        if text is None and sidecar.is_file():
            text = sidecar.read_text(encoding="utf-8")
        self.metadata: dict[str, Any] = self._facts(text)
        """The facts listed under `DepthVideoSink`."""
        self.kind = DepthKind(self.metadata["kind"])
        tick = float(Fraction(*self.metadata["time_base"]))
        self.times: list[float] = [pts * tick for pts in self.metadata["pts"]]
        """Seconds on the source's clock, one per frame."""
        self._offsets = np.asarray(self.times) - self.times[0] if self.times else np.zeros(0)

    def _container(self) -> InputContainer:
        try:
            return av.open(str(self.path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise SourceOpenError(f"cannot open '{self.path}' as a depth video: {error.strerror}") from error

    def _facts(self, text: str | None) -> dict[str, Any]:
        try:
            facts = json.loads(text or "null")
            version = facts["schema_version"]
            complete = facts.keys() >= {"kind", "code", "size", "time_base", "pts"}
        except (ValueError, TypeError, KeyError) as error:
            raise SourceOpenError(
                f"'{self.path}' is not a depth video of streamdepth: neither a tag {TAG} nor a sidecar "
                f"'{self.path.name}.json'; make one with --depth-out"
            ) from error
        if version != SCHEMA_VERSION or not complete:
            raise SourceOpenError(
                f"'{self.path}' has schema version {version}, this is for version {SCHEMA_VERSION}; update streamdepth"
            )
        return dict(facts)

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[DepthMap]:
        with self._container() as container:
            yield from self._decoded(container, 0)

    def __getitem__(self, index: int) -> DepthMap:
        """One frame; a negative index counts from the end."""
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        with self._container() as container:
            start = self._seek(container, number)
            for i, depth in enumerate(self._decoded(container, start), start):
                if i == number:
                    return depth
        raise SourceLostError(f"'{self.path}' has no frame {number}, though it says so")

    def _seek(self, container: InputContainer, number: int) -> int:
        """Goes to a frame at or before `number`, and returns its number."""
        stream = container.streams.video[0]
        stored = self._offsets / float(stream.time_base or Fraction(1, 1000)) + (stream.start_time or 0)
        target = round(stored[number])
        container.seek(target, stream=stream)
        first = next((p.pts for p in container.demux(stream) if p.pts is not None), target)
        container.seek(target, stream=stream)
        return int(np.abs(stored - first).argmin())

    def _decoded(self, container: InputContainer, start: int) -> Iterator[DepthMap]:
        (width, height), number = self.metadata["size"], start - 1
        try:
            for number, frame in enumerate(container.decode(video=0), start):
                codes = cast(Codes, frame.to_ndarray(format="gray16le"))
                yield self._depth(codes[:height, :width], number)
        except (av.FFmpegError, OSError) as error:
            raise SourceLostError(f"'{self.path}' is damaged: {error.strerror}") from error
        if number + 1 < len(self):
            raise SourceLostError(f"'{self.path}' is damaged: it ends after {number + 1} of {len(self)} frames")

    def _depth(self, codes: Codes, number: int) -> DepthMap:
        facts = self.metadata
        if facts["code"] == "log16":
            return decode_log16(codes, facts["near_m"], facts["far_m"])
        return decode_linear16(codes, *range_at(facts["ranges"], number))
