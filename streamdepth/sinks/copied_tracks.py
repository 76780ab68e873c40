"""Tracks of an output that are copied from an input: whether its container takes them, and how they are added."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream

from streamdepth.utils.aac import audio_specific_config

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.container import OutputContainer
    from av.stream import Stream


def can_hold(stream: Stream, format_name: str, *, is_streamed: bool) -> bool:
    """True if a container of that format takes this track, which is tried on one in memory."""
    try:
        with av.open(_Discarding() if is_streamed else io.BytesIO(), "w", format=format_name) as trial:
            add_track(trial, stream, is_streamed=is_streamed)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


class _Discarding:
    """A file object that discards what is written, and cannot seek, like a pipe."""

    def write(self, data: bytes) -> int:
        return len(data)


def add_track(output: OutputContainer, stream: Stream, *, is_streamed: bool) -> Stream:
    """Adds a track like `stream`, and returns it.

    is_streamed: the container's header is sent before any packet. It then needs the format of AAC, which MPEG-TS keeps
    in the packets instead.
    """
    target = output.add_stream_from_template(stream)
    if is_streamed and isinstance(stream, AudioStream) and stream.codec_context.name == "aac":
        target.codec_context.extradata = stream.codec_context.extradata or _aac_format(stream.codec_context)
    return target


def _aac_format(sound: AudioCodecContext) -> bytes:
    """Returns the AudioSpecificConfig of AAC whose packets have ADTS headers: LC, SBR by implication."""
    profile = sound.profile or ""
    rate = sound.sample_rate // (2 if "HE" in profile else 1)
    return audio_specific_config(rate, 1 if "v2" in profile else sound.channels)
