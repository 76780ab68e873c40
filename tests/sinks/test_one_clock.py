"""Videos begin at 0, show every picture, and keep sound in step, whatever the clock of the source does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from helpers.media import write_video
from helpers.sink_data import MODEL
from helpers.timelines import FRAME, SOUND, TICK, Part, presented_times, true_times, write_recording
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.sinks.video import VideoSink
from streamdepth.sources.file import FileSource

WRAP = 2**33
"""Ticks after which the clock of MPEG begins anew."""
_SAMPLE = 1 / 48000
"""Seconds; MP4 counts times of sound in samples."""
HOUR = 3600 * 90000


def convert(source: Path, output: Path, limit: int | None = None) -> list[float]:
    """Writes the frames of `source` with made-up depth, and returns their times."""
    times: list[float] = []
    with FileSource(source) as file, VideoSink(output, preset="ultrafast") as sink:
        sink.open(file.open(), MODEL)
        while len(times) != limit and (frame := file.read()) is not None:
            times.append(frame.time)
            sink.write(DepthFrame(frame, np.ones((4, 4), np.float32), DepthKind.METRIC, range=(0.5, 4.0)))
    return times


def check(parts: list[Part], b_frames: int, suffix: str, output_suffix: str = ".mp4") -> None:
    """Writes a recording, converts it, and compares what is presented with the truth."""
    with TemporaryDirectory() as folder:
        source = write_recording(Path(folder, f"in{suffix}"), parts, b_frames)
        output = Path(folder, f"out{output_suffix}")
        times = convert(source, output)
        video, audio = presented_times(output)
        with av.open(str(output)) as container:
            duration = Fraction(container.duration or 0, av.time_base)
    true_video, true_audio = true_times(parts)
    tolerance = 0.0011 if ".mkv" in (suffix, output_suffix) else _SAMPLE if suffix in (".mp4", ".mov") else 1e-9
    assert times == pytest.approx([float(t) for t in true_video], abs=tolerance)
    assert len(video) == len(true_video), "no picture is hidden"
    assert np.abs(np.subtract(video, true_video).astype(float)).max() <= tolerance
    assert len(audio) == len(true_audio)
    assert np.abs(np.subtract(audio, true_audio).astype(float)).max() <= max(tolerance, 1 / 48000), (
        "MP4 counts sound in samples"
    )
    end = max(true_video[-1] + FRAME * TICK, true_audio[-1] + SOUND * TICK)
    assert float(duration) == pytest.approx(float(end), abs=0.01)


@pytest.mark.parametrize("output_suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "starts",
    [
        pytest.param([20000 * 90000], id="far"),
        pytest.param([126000], id="usual"),
        pytest.param([WRAP - 10 * FRAME], id="wraps"),
        pytest.param([126000, 126000], id="reset"),
        pytest.param([WRAP - 5 * FRAME, HOUR], id="wraps-and-reset"),
        pytest.param([HOUR, 8 * HOUR], id="jump"),
        pytest.param([HOUR, HOUR + 20 * FRAME + 5 * 90000], id="pause"),
        pytest.param([9 * HOUR, 2 * HOUR, 4 * HOUR, 90000], id="several"),
    ],
)
def test_clocks(starts: list[int], output_suffix: str) -> None:
    check([Part(start) for start in starts], 2, ".ts", output_suffix)


jumps = st.one_of(
    st.integers(-5 * HOUR, -5 * 90000),
    st.integers(15 * 90000, 20 * HOUR),
    st.integers(0, 6 * 90000),
)
"""Ticks between the end of a recording and the beginning of the next one."""


@st.composite
def recordings(draw: st.DrawFn, max_parts: int) -> list[Part]:
    """Draws recordings whose clocks go back, jump ahead or make a pause."""
    parts: list[Part] = []
    for _ in range(draw(st.integers(1, max_parts))):
        frames, delay = draw(st.integers(12, 20)), draw(st.integers(-45000, 45000))
        sound = max(5, round((frames * FRAME - delay) / 2160))
        start = draw(st.integers(90000, WRAP))
        if parts:
            end, jump = parts[-1].start + parts[-1].frames * FRAME + 90000, draw(jumps)
            start = end + (jump if end + jump > 90000 else 15 * 90000 - jump)
        parts.append(Part(start, frames, delay, sound))
    return parts


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(recordings(3), st.integers(0, 2))
@example([Part(WRAP - 1, sound_delay=1)], 0)  # the clock begins anew between the first picture and the first sound
def test_joined_recordings(parts: list[Part], b_frames: int) -> None:
    note(f"{parts}, {b_frames} B pictures")
    check(parts, b_frames, ".ts")


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    recordings(1),
    st.integers(0, 2),
    st.sampled_from([".mkv", ".mp4", ".mov", ".ts"]),
    st.sampled_from([".mp4", ".mkv"]),
)
def test_single_recordings(parts: list[Part], b_frames: int, suffix: str, output_suffix: str) -> None:
    note(f"{parts}, {b_frames} B pictures")
    check(parts, b_frames, suffix, output_suffix)


def test_sound_ends_with_the_last_picture_of_a_joined_recording_that_is_not_read_to_its_end(tmp_path: Path) -> None:
    parts = [Part(9 * HOUR), Part(90000)]
    source = write_recording(tmp_path / "in.ts", parts, 2)
    convert(source, tmp_path / "out.mp4", limit=30)
    true_video, true_audio = true_times(parts)
    video, audio = presented_times(tmp_path / "out.mp4")
    assert video == true_video[:30]
    assert audio == [t for t in true_audio if t < true_video[30]]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_jump_of_hours_in_a_mute_file_is_closed(suffix: str, tmp_path: Path) -> None:
    times = [i * 40 + (7 * 3600 * 1000 if i >= 20 else 0) for i in range(40)]
    source = write_video(tmp_path / f"in{suffix}", times=times, size=(32, 32))
    assert convert(source, tmp_path / "out.mp4") == pytest.approx([i / 25 for i in range(40)], abs=0.001)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == pytest.approx(1.6 * av.time_base, rel=0.01)


def test_a_time_lapse_is_no_jump(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", times=[i * 7_200_000 for i in range(15)], size=(32, 32))
    assert convert(source, tmp_path / "out.mkv") == [i * 7200.0 for i in range(15)]


def test_a_video_without_copied_sound_begins_with_its_first_picture(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "in.ts", [Part(9 * HOUR, sound_delay=-9000)])
    with FileSource(source) as file, VideoSink(tmp_path / "out.mp4", copy_tracks=False) as sink:
        sink.open(file.open(), MODEL)
        frame = file.read()
        assert frame is not None
        assert frame.time == pytest.approx(0.1)
        sink.write(DepthFrame(frame, np.ones((4, 4), np.float32), DepthKind.METRIC, range=(0.5, 4.0)))
    assert presented_times(tmp_path / "out.mp4") == ([0], [])
