"""The sample's sound, made of noise and sines: a quiet room, the cameraman's steps, the ball."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from make_room_motion import FPS, FRAMES, SHOTS

RATE = 48000
Signal = npt.NDArray[np.float64]


def sound() -> npt.NDArray[np.float32]:
    """Returns stereo sound, (2, samples) from -1 to 1, as long as the picture."""
    random = np.random.default_rng(7)
    both = np.zeros(round(FRAMES / FPS * RATE))
    begin = 0.0
    for shot in SHOTS:
        for time in shot.steps():
            mix(both, begin, shot.seconds - time, time, step(random, random.uniform(0.8, 1.2)))
        for time, speed in shot.throw.impacts():
            mix(both, begin, shot.seconds - time, time, impact(speed))
        begin += shot.seconds
    return np.stack([both + 0.0016 * room_tone(random, both.size) for _ in range(2)]).astype(np.float32)


def mix(track: Signal, begin: float, left: float, time: float, tone: Signal) -> None:
    """Adds `tone` at `begin + time` seconds, `left` seconds of it at most: a cut in the picture cuts the sound too."""
    if left > 0:
        start = round((begin + time) * RATE)
        tone = tone[: min(round(left * RATE), track.size - start)]
        track[start : start + tone.size] += tone


def room_tone(random: np.random.Generator, size: int) -> Signal:
    """Returns pink noise without its deepest part, of about unit power."""
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    spectrum = np.fft.rfft(random.standard_normal(size)) / np.sqrt(np.maximum(frequencies, 40.0))
    tone = np.fft.irfft(spectrum * (frequencies < 6000), size)
    return np.asarray(tone / tone.std())


def step(random: np.random.Generator, loudness: float) -> Signal:
    """Returns the sound of a sock on a wooden floor: a dull knock with a little rub."""
    time = np.arange(round(0.16 * RATE)) / RATE
    knock = np.sin(2 * np.pi * 88 * time) * np.exp(-time * 42)
    rub = np.convolve(random.standard_normal(time.size), np.ones(24) / 24, "same") * np.exp(-time * 60)
    return np.asarray(0.022 * loudness * (knock + 0.6 * rub) * np.minimum(1, time / 0.004))


def impact(speed: float) -> Signal:
    """Returns the sound of a rubber ball that hits the floor at `speed` m/s: a falling tone."""
    time = np.arange(round(0.25 * RATE)) / RATE
    phase = 2 * np.pi * (120 * time + 1.6 * (1 - np.exp(-time * 30)))
    return np.asarray(0.018 * speed * np.sin(phase) * np.exp(-time * 26) * np.minimum(1, time / 0.002))
