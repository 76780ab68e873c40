"""Sound of a microphone beside a camera: a fake device beeps when the pictures flash, and both stay together."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.flash_and_beep import beeps, flashes
from helpers.media import write_video

import streamdepth
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.sound_device import SoundDeviceSource
from streamdepth.testing import ConstantEstimator

EVERY, LONG = 0.6, 0.1
DEVICE = f"lavfi:aevalsrc='0.6*sin(6283*t)*lt(mod(t,{EVERY}),{LONG})*gt(t,{EVERY}/2)':s=48000,arealtime"
"""Beeps for 0.1 s each 0.6 s, in real time."""


class FlashingCamera(Source):
    """A camera of 50 fps that flashes for 0.1 s each 0.6 s after it was opened."""

    def open(self) -> StreamInfo:
        self.started_at, self.index = time.monotonic(), 0
        return StreamInfo("flashing", 64, 48, fps=Fraction(50), is_live=True, time_base=Fraction(1, 1000))

    def read(self) -> Frame:
        time.sleep(max(0.0, self.started_at + (self.index + 1) / 50 - time.monotonic()))
        now = time.monotonic()
        passed = now - self.started_at
        level = 230 if passed % EVERY < LONG and passed > EVERY / 2 else 30
        self.index += 1
        pixels = np.full((48, 64, 3), level, np.uint8)
        return Frame(pixels, self.index - 1, round(passed * 1000), Fraction(1, 1000), now, "flashing")

    def close(self) -> None:
        super().close()


def test_sound_of_a_device_is_recorded_in_step(tmp_path: Path) -> None:
    out = tmp_path / "cam.mp4"
    source = SoundDeviceSource(FlashingCamera(), DEVICE)
    options = {"style": "side-by-side", "legend": False, "smooth": "off", "find_bars": False}
    streamdepth.convert(source, out, model=ConstantEstimator(), max_seconds=2, **options)
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    heard, seen = beeps(out), flashes(out)
    assert seen
    assert max(min(abs(beep - flash) for beep in heard) for flash in seen) < 0.1


@pytest.mark.parametrize("device", ["alsa", "nothing:default", "lavfi:no_such_filter"])
def test_a_device_that_is_not_there_is_told(device: str) -> None:
    source = SoundDeviceSource(FlashingCamera(), device)
    with raises_code(SourceOpenError, "unknown-device"):
        source.open()
    source.close()


def test_a_recording_takes_no_microphone(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", count=2)
    with raises_code(ConfigError, "not-live"):
        streamdepth.convert(source, tmp_path / "out.mp4", model=ConstantEstimator(), audio=DEVICE)
