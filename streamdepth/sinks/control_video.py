"""Control videos: gray videos of depth with the rate, size and length that a video generator takes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt
from pathlib import Path
from typing import Literal, Unpack

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.gray_video import GrayOptions, GrayVideoSink

TargetName = Literal["wan", "h3", "seedance"]


@dataclass(frozen=True, slots=True)
class ControlTarget:
    """The videos that a generator takes as control."""

    title: str
    fps: int
    multiple_px: int
    """Width and height are multiples of it."""
    min_seconds: float = 0.0
    max_seconds: float | None = None
    frame_step: int = 1
    """The number of frames is 1 more than a multiple of it; 1 allows any number."""
    min_pixels: int = 0
    """Smallest width * height."""
    max_bytes: int | None = None

    @property
    def max_frames(self) -> int | None:
        """Largest number of frames; None for any."""
        return None if self.max_seconds is None else int(self.max_seconds * self.fps)


TARGETS: dict[TargetName, ControlTarget] = {
    "wan": ControlTarget("Wan", 16, 16, frame_step=4),
    "h3": ControlTarget("MiniMax H3", 24, 32, max_seconds=15),
    "seedance": ControlTarget(
        "Seedance", 24, 16, min_seconds=2, max_seconds=15, min_pixels=407_696, max_bytes=200_000_000
    ),
}
"""Limits as the generators' tools state them; Wan's number of frames is that of its temporal compression."""


class ControlVideoSink(GrayVideoSink):
    """Writes the gray video of a `ControlTarget`: cropped in the middle to its multiples, and never padded.

    The frames must come at the target's rate. If its number of frames must be a multiple of a step, the last frames
    that fill no step are left out; `notices` says so, and also where the clip is longer, shorter or larger than the
    target takes.

    Args:
        path: .mp4, .mov or .mkv.
        target: what the generator takes.
        options: see `GrayVideoSink`.

    Raises:
        ConfigError: from `open`, for a picture that is smaller than the target takes ("too-small"), for another rate
            than the target's ("bad-rate"), and for a live stream without `near` and `far`, whose range nobody knows
            before its end ("not-a-file").
    """

    def __init__(self, path: str | Path, target: ControlTarget, **options: Unpack[GrayOptions]) -> None:
        super().__init__(path, **options, multiple_px=target.multiple_px)
        self.target = target
        self._pending: list[DepthFrame] = []
        """Frames of a step that is not complete."""

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        target = self.target
        if info.is_live and (self.near is None or self.far is None):
            raise ConfigError(
                f"a control video has one range for all of its frames, and {info.name} is live: give its ends with "
                "near and far, or record it first",
                code="not-a-file",
            )
        if info.fps != target.fps:
            raise ConfigError(
                f"{target.title} takes {target.fps} fps, and {info.name} comes at another", code="bad-rate"
            )
        self._check_size(self.encoded_size((info.width, info.height)), info)
        if target.max_frames and (info.frame_count or 0) > target.max_frames:
            self._tell_length(f"only the first {target.max_seconds:g} s of {info.name} are written")
        self._pending = []
        super().on_open(info, model)

    def _check_size(self, size: tuple[int, int], info: StreamInfo) -> None:
        target, pixels = self.target, size[0] * size[1]
        if min(size) > 0 and pixels >= target.min_pixels:
            return
        step = target.multiple_px
        needed = max(step, ceil(sqrt(target.min_pixels * info.height / info.width) / step + 1) * step)
        least = f" and at least {target.min_pixels} pixels" if target.min_pixels else ""
        raise ConfigError(
            f"{target.title} takes multiples of {step} px{least}, and the control "
            f"video of {info.name} would have {size[0]}x{size[1]}; enlarge it with a height of {needed}",
            code="too-small",
        )

    def _tell_length(self, what: str) -> None:
        target = self.target
        shortest = f"{target.min_seconds:g} to " if target.min_seconds else "up to "
        limits = f"{shortest}{target.max_seconds:g} s" if target.max_seconds else f"{target.frame_step}n + 1 frames"
        self.add_notice(f"{what}: {target.title} takes {limits}; start and end choose a part")

    def on_write(self, item: DepthFrame) -> None:
        self._pending.append(item)
        if self.frame_count and len(self._pending) < self.target.frame_step:
            return
        for pending in self._pending:
            super().on_write(pending)
        self._pending = []

    def on_close(self) -> None:
        target, count = self.target, self.frame_count
        if self._pending:
            self._tell_length(f"frames at the end are left out ({len(self._pending)})")
        self._pending = []
        super().on_close()
        if count and Fraction(count, target.fps) < target.min_seconds:
            self._tell_length(f"'{self.path}' has only {count / target.fps:.2g} s")
        if count and target.max_bytes and (size := self.path.stat().st_size) > target.max_bytes:
            self.add_notice(
                f"'{self.path}' has {size / 1e6:.0f} MB, and {target.title} takes {target.max_bytes / 1e6:.0f} MB; "
                "raise video.crf"
            )
