"""Settings that follow from a control video for a video generator: frame rate, length and range."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.config.values import exact_frame_rate
from streamdepth.core.errors import ConfigError

_CLIP_RANGE = "lock:0.5%,99.5%"
"""One range for all of the clip, from the values of all its frames; the farthest and nearest 0.5 % are clipped."""
_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")


def with_target(settings: Settings) -> Settings:
    """Returns the settings with the frame rate, length and range that the target of a control video requires.

    Raises ConfigError ("conflict") for another rate, and where no control video is written.
    """
    from streamdepth.sinks.control_video import TARGETS

    if settings.outputs.target is None:
        return settings
    target, depth = TARGETS[settings.outputs.target], settings.outputs.depth
    if depth is None or (depth.suffix and depth.suffix.lower() not in _SUFFIXES):
        raise ConfigError(
            f"a control video for {target.title} is the output of depth; name it with depth_out (--depth-out "
            f"control.mp4), ending in one of {' '.join(_SUFFIXES)}",
            code="conflict",
        )
    if settings.fps and exact_frame_rate(settings.fps) != target.fps:
        raise ConfigError(
            f"{target.title} takes {target.fps} fps, not {settings.fps:g}; leave the frame rate out", code="conflict"
        )
    frames = [count for count in (settings.max_frames, target.max_frames) if count]
    has_ends = settings.outputs.near is not None and settings.outputs.far is not None
    is_free = settings.render.range == "auto" and not has_ends
    return settings.replace(
        fps=float(target.fps),
        max_frames=min(frames, default=None),
        range=_CLIP_RANGE if is_free else settings.render.range,
    )
