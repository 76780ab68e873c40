"""The facts of an open stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from streamdepth.core.deep_color import DeepColor
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.live_sound import LiveSound
from streamdepth.core.track_feed import TrackFeed


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The facts of an open stream.

    >>> info = sd.StreamInfo("room", 640, 360, fps=Fraction(24))
    >>> info.is_live, info.frame_count
    (False, None)
    """

    name: str
    """Identity of the stream, safe to log: credentials were removed before it was stored."""
    width: int
    """Width of the frames in px, after rotation is applied."""
    height: int
    """Height of the frames in px, after rotation is applied."""
    fps: Fraction | None = None
    """Frames per second as the source claims, None when unknown or absurd."""
    frame_count: int | None = None
    """Number of frames as the container claims, None when it makes no claim."""
    is_live: bool = False
    """True if the source cannot wait, such as a camera: frames that are not read in time are lost."""
    time_base: Fraction = Fraction(1, 90000)
    """Seconds per tick of the frames' `pts`."""
    clip_start: Fraction = Fraction(0)
    """Time 0 of the frames in seconds on the file's own clock; more than 0 if reading begins later in the file."""
    clip_end: Fraction | None = None
    """Seconds on the clock of the frames at which a clip ends before its file does; None: at the file's end."""
    is_constant_rate: bool = False
    """True if the frames were made exactly `1 / fps` apart, regardless of the file's timestamps."""
    file_path: Path | None = None
    """The local file that the stream is read from, whose audio and subtitles can be copied."""
    track_feed: TrackFeed | None = field(default=None, repr=False, compare=False)
    """Audio and subtitles of a stream that can be read only once, such as a pipe, for one output to copy."""
    deep_color: DeepColor | None = None
    """The colors of a source of 10 bits whose frames have `deep_planes`; None for 8 bits."""
    live_sound: LiveSound | None = field(default=None, repr=False, compare=False)
    """Sound of a stream from the network, for outputs to copy."""
    intrinsics: Intrinsics | None = None
    """The camera, where the source knows it."""
    epoch_ns: int | None = None
    """Nanoseconds since 1970 at time 0 of the frames' clock, where the source knows it, as a robot's recording does."""
    frame_id: str | None = None
    """The camera's coordinate frame by its ROS name, where the source has one."""
    device: str | None = None
    """The GPU in whose memory the frames lie, such as `cuda:0`; None: on the CPU."""
    is_realtime: bool = False
    """True if a recording is played at its own speed; unlike in a live stream, no frame is lost."""

    def __post_init__(self) -> None:
        # Bytes of a file's name that are no UTF-8 would make every container and message refuse it at the very end.
        object.__setattr__(self, "name", self.name.encode("utf-8", "backslashreplace").decode())
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture has at least 1x1 px, not {self.width}x{self.height}")
