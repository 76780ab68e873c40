"""The codec's part of a conversion: decoding the clip and encoding the result, without anything in between."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from streamdepth.apps.bench.plan import BenchmarkPlan, Measurement
from streamdepth.sinks.encoders import EncodingOptions
from streamdepth.sinks.video_file import VideoFile
from streamdepth.sources.file import FileSource
from streamdepth.utils.containers import open_media_file

_MAX_ENCODED = 120
"""Frames that are decoded into memory to be encoded again: 165 MB at 720p."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Elapsed time and processor time of this process."""

    seconds: float
    cpu_seconds: float

    @classmethod
    def now(cls) -> _Cost:
        """Reads both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def per_frame(self, began: _Cost, count: int) -> _Cost:
        """Returns the cost of each of `count` frames since `began`."""
        return _Cost((self.seconds - began.seconds) / count, (self.cpu_seconds - began.cpu_seconds) / count)


class CodecRun:
    """Decodes the clip of a plan, and encodes the pictures of a result that was made from it.

    result: a video that streamdepth has written from the clip.
    """

    def __init__(self, plan: BenchmarkPlan, result: Path) -> None:
        self._plan, self._result = plan, result

    def measure(self) -> Measurement:
        """Returns the sum of a frame's decoding and encoding times, each measured alone."""
        decoded, encoded = self._decode(), self._encode()
        return Measurement(
            (decoded.seconds + encoded.seconds) * 1e3,
            self._plan.frames,
            cpu_ms=(decoded.cpu_seconds + encoded.cpu_seconds) * 1e3,
        )

    def _decode(self) -> _Cost:
        with closing(FileSource(self._plan.clip)) as source:
            source.open()
            began, count = _Cost.now(), 0
            while count < self._plan.frames and source.read() is not None:
                count += 1
            return _Cost.now().per_frame(began, count)

    def _encode(self) -> _Cost:
        with open_media_file(self._result) as container:
            frames = [f for _, f in zip(range(_MAX_ENCODED), container.decode(video=0), strict=False)]
        began = _Cost.now()
        _encode(frames, self._plan)
        return _Cost.now().per_frame(began, len(frames))


def _encode(frames: list[av.VideoFrame], plan: BenchmarkPlan) -> None:
    with closing(FileSource(plan.clip)) as source:
        info = source.open()
    settings = plan.settings.video
    video = VideoFile(
        plan.folder / "codec.mp4",
        info,
        (frames[0].width, frames[0].height),
        EncodingOptions(settings.codec, settings.crf, settings.preset),
        overwrite=True,
        copy_tracks=False,
        on_notice=lambda _: None,
    )
    try:
        for number, frame in enumerate(frames):
            video.write(frame, Fraction(number) / (info.fps or 30))
        video.commit()
    except BaseException:
        video.discard()
        raise
