"""A movie that flashes and beeps at the same moments, and the times of both in a recording of it."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

FPS, RATE = 25, 48000
INTERVAL_SECONDS = 0.8
"""From one flash to the next; the first is at half of it."""
_FLASH_FRAMES = 2


def write_movie(path: Path, seconds: float) -> Path:
    """Writes a .mov of H.264 and PCM, 64x48 px, that flashes and beeps for 80 ms each `INTERVAL_SECONDS`."""
    events = np.arange(INTERVAL_SECONDS / 2, seconds, INTERVAL_SECONDS)
    with av.open(str(path), "w") as container:
        options = {"g": "10", "bf": "0", "preset": "ultrafast"}
        video = container.add_stream("libx264", rate=FPS, width=64, height=48, pix_fmt="yuv420p", options=options)
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        lit = {round(event * FPS) + k for event in events for k in range(_FLASH_FRAMES)}
        for index in range(round(seconds * FPS)):
            picture = np.full((48, 64, 3), 230 if index in lit else 30, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(frame))
        time = np.arange(round(seconds * RATE)) / RATE
        is_loud = ((time - INTERVAL_SECONDS / 2) % INTERVAL_SECONDS < _FLASH_FRAMES / FPS) & (time >= events[0])
        samples = (np.sin(2 * np.pi * 1000 * time) * 20000 * is_loud).astype(np.int16)
        for start in range(0, samples.size, 960):
            frame = AudioFrame.from_ndarray(samples[None, start : start + 960], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(sound.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return path


def flashes(path: Path) -> list[float]:
    """Returns when the picture turns bright, in seconds.

    A flash whose first frame may be missing is left out: a recording may begin within a flash, and a live stream on a
    busy machine drops frames.
    """
    with av.open(str(path)) as container:
        frames = [(float(f.time), f.to_ndarray(format="gray").mean() > 128) for f in container.decode(video=0)]
    return [t for (then, before), (t, now) in pairwise(frames) if now and not before and t - then < 1.5 / FPS]


def beeps(path: Path) -> list[float]:
    """Returns when the sound begins after at least 0.2 s of silence, in seconds."""
    times, values = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(float).ravel() / (1 if frame.format.name.startswith("flt") else 32768)
            values.append(np.abs(samples) > 0.2)
            times.append(float(frame.time) + np.arange(samples.size) / frame.sample_rate)
    loud = np.concatenate(times)[np.concatenate(values)]
    return [float(b) for a, b in pairwise([-1.0, *loud]) if b - a > 0.2]
