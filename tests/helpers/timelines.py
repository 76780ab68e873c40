"""Recordings with any clock, written by PyAV alone: parts with their own start, as joined recordings have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from helpers.media import moving

TICK = Fraction(1, 90000)
FRAME, SOUND = 3600, 2160
"""Ticks of one picture at 25 fps, and of one packet of MP2 sound at 48 kHz."""
_EXACT = {"movie_timescale": "720000"}
"""Options with which MP4 and MOV keep the beginnings of tracks to the tick."""
_Packets = tuple[tuple[bytes, int, int, bool], ...]
"""(payload, pts, dts, is a keyframe) of each packet; the first picture has pts 0."""


@dataclass(frozen=True)
class Part:
    """One recording with pictures and sound."""

    start: int
    """Clock at the first picture, in ticks of 1/90000 s; it may pass 2**33, where the clock of MPEG begins anew."""
    frames: int = 20
    sound_delay: int = 0
    """Ticks from the first picture to the first sound; negative if the sound begins first."""
    sound_packets: int = 30

    @property
    def video_times(self) -> list[int]:
        return [self.start + FRAME * i for i in range(self.frames)]

    @property
    def audio_times(self) -> list[int]:
        return [self.start + self.sound_delay + SOUND * i for i in range(self.sound_packets)]


@cache
def _pictures(count: int, b_frames: int) -> _Packets:
    codec = VideoCodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base, codec.framerate = 32, 32, "yuv420p", TICK, Fraction(25)
    codec.options = {"preset": "ultrafast", "bf": str(b_frames), "b-adapt": "0", "x264-params": "repeat-headers=1"}
    packets = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(moving(32, 32, index))
        frame.pts, frame.time_base = index * FRAME, TICK
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return tuple((bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in packets)


@cache
def _sounds(count: int) -> _Packets:
    codec = AudioCodecContext.create("mp2", "w")
    codec.sample_rate, codec.layout, codec.format, codec.time_base = 48000, "mono", "s16", Fraction(1, 48000)  # type: ignore[assignment]  # PyAV takes names
    packets = []
    for _ in range(count):
        frame = AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        packets += codec.encode(frame)
    return tuple((bytes(p), i * SOUND, i * SOUND, True) for i, p in enumerate(packets))


def write_part(path: Path, part: Part, b_frames: int) -> Path:
    """Writes one recording; its packets are in the order of decoding, as a camera writes them."""
    options = {".ts": {"mpegts_copyts": "1"}, ".mp4": _EXACT, ".mov": _EXACT}.get(path.suffix, {})
    with av.open(str(path), "w", container_options=options) as container:
        video = container.add_mux_stream("h264", rate=25, width=32, height=32, time_base=TICK)
        sound = container.add_mux_stream("mp2", rate=48000, time_base=TICK)
        video_packets = [(video, part.start, *p) for p in _pictures(part.frames, b_frames)]
        sound_packets = [(sound, part.start + part.sound_delay, *p) for p in _sounds(part.sound_packets)]
        for stream, start, data, pts, dts, is_keyframe in sorted(
            [*video_packets, *sound_packets], key=lambda p: p[1] + p[4]
        ):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, TICK, is_keyframe
            packet.pts, packet.dts = start + pts, start + dts
            packet.duration = FRAME if stream is video else SOUND
            container.mux(packet)
    return path


def write_recording(path: Path, parts: Sequence[Part], b_frames: int = 0) -> Path:
    """Writes the parts one behind the other into one file, as `cat` does."""
    part_path = path.with_name(f"part{path.suffix}")
    with path.open("wb") as whole:
        for part in parts:
            whole.write(write_part(part_path, part, b_frames).read_bytes())
    part_path.unlink()
    return path


def true_times(parts: Sequence[Part]) -> tuple[list[Fraction], list[Fraction]]:
    """Returns the seconds at which pictures and sounds should be presented, in one clock that begins at 0.

    A part that goes on where the last one ended, or within 10 s, keeps its distance. Any other begins as soon as
    neither its pictures nor its sound overlap the last part's.
    """
    shift = -min(parts[0].video_times[0], parts[0].audio_times[0])
    video, audio = [], []
    for part in parts:
        if video:
            gaps = [video[-1] + FRAME - part.video_times[0], audio[-1] + SOUND - part.audio_times[0]]
            is_continued = shift - max(gaps) in range(-FRAME, round(10 / TICK))
            shift = shift if is_continued else max(gaps)
        video += [t + shift for t in part.video_times]
        audio += [t + shift for t in part.audio_times]
    return [t * TICK for t in video], [t * TICK for t in audio]


def presented_times(path: Path) -> tuple[list[Fraction], list[Fraction]]:
    """Returns the seconds at which a player shows the pictures and plays the sounds of a file."""
    with av.open(str(path)) as container:
        tracks: dict[str, list[Fraction]] = {"video": [], "audio": []}
        for frame in container.decode():
            if frame.pts is not None and frame.time_base is not None:
                tracks["video" if isinstance(frame, av.VideoFrame) else "audio"].append(frame.pts * frame.time_base)
    return tracks["video"], tracks["audio"]
