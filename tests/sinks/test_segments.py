"""Recording without end: complete segments, a kill, going on, a change of size, a disk that fills up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import rtsp_server
from helpers.errors import raises_code
from helpers.media import write_video
from helpers.paths import PYTHONPATH
from helpers.sink_data import MODEL, RECORDERS, fill, frames_of_video, later, live, names, segmented, stream, write
from helpers.waiting import wait_until

from streamdepth.core.errors import DiskFullError, SinkOpenError, SinkWriteError
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.sinks.depth_video import DepthVideo, DepthVideoSink
from streamdepth.sinks.disk_space import DiskSpaceGuard
from streamdepth.sinks.segments import SegmentedSink
from streamdepth.sinks.temporary_files import lock, unlock
from streamdepth.sinks.video import VideoSink
from streamdepth.sources.network import NetworkSource
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, FailingSink, RecordingSink
from streamdepth.utils.containers import open_media_file

of_each_kind = pytest.mark.parametrize(("name", "kind", "count"), RECORDERS, ids=[k[0] for k in RECORDERS])


@of_each_kind
def test_every_segment_is_complete_and_no_frame_is_missing(name, kind, count, tmp_path) -> None:
    info, items = live(75)
    fill(segmented(tmp_path / name, kind), info, items)
    segments = sorted(tmp_path.glob(f"cam_*{Path(name).suffix}"))
    assert [path.stem for path in segments] == ["cam_000000", "cam_000001", "cam_000002"]
    assert [count(path) for path in segments] == [30, 30, 15]


def test_boundaries_are_counted_from_the_first_frame_so_they_do_not_drift(tmp_path) -> None:
    info, items = live(100)
    uneven = [i for i in items if i.frame.index % 7]  # the first frames of segments come late, again and again
    fill(segmented(tmp_path / "cam.mp4"), info, uneven)
    counts = [frames_of_video(path) for path in sorted(tmp_path.glob("*.mp4"))]
    begin = uneven[0].frame.time
    assert counts == [sum(n <= i.frame.time - begin < n + 1 for i in uneven) for n in range(4)]


def test_a_segment_is_in_place_while_the_next_is_written(tmp_path) -> None:
    info, items = live(75)
    sink = segmented(tmp_path / "cam.mp4")
    sink.open(info, MODEL)
    write(sink, items)
    deadline = time.monotonic() + 20
    while not (tmp_path / "cam_000001.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert frames_of_video(tmp_path / "cam_000001.mp4") == 30
    assert not (tmp_path / "cam_000002.mp4").exists()
    sink.discard()
    assert names(tmp_path) == ["cam_000000.mp4", "cam_000001.mp4"]


def test_a_slow_end_of_a_segment_does_not_stop_the_stream(tmp_path) -> None:
    released, made = threading.Event(), []

    def make_slow_sink(_: Path) -> RecordingSink:
        made.append(RecordingSink(before_close=lambda: released.wait(20) or pytest.fail("not released")))
        return made[-1]

    sink = segmented(tmp_path / "cam.mp4", make_slow_sink)
    info, items = live(45)
    sink.open(info, MODEL)
    write(sink, items)
    assert [len(inner.items) for inner in made] == [30, 15]
    assert not made[0].closed
    released.set()
    sink.close()
    assert all(inner.closed for inner in made)


def test_a_segment_that_cannot_be_completed_is_an_error(tmp_path) -> None:
    def fail() -> None:
        raise SinkWriteError("no room")

    sink = segmented(tmp_path / "cam.mp4", lambda _: RecordingSink(before_close=fail))
    info, items = live(100)
    sink.open(info, MODEL)
    with raises_code(SinkWriteError, "sink-write", naming="no room"):
        write(sink, items)
    sink.discard()


@of_each_kind
def test_another_size_begins_another_segment(name, kind, count, tmp_path) -> None:
    info, small = live(10)
    large_info, large = live(10, 96, 80)
    sink = segmented(tmp_path / name, kind, seconds=60)
    sink.open(info, MODEL)
    write(sink, small)
    sink.on_stream_changed(large_info)
    write(sink, later(large, 10))
    sink.close()
    first, second = sorted(tmp_path.glob(f"cam_*{Path(name).suffix}"))
    assert (count(first), count(second)) == (10, 10)
    if name != "cam.mcap":
        sizes = []
        for path in (first, second):
            with open_media_file(path) as container:
                sizes.append((container.streams.video[0].width, container.streams.video[0].height))
        assert sizes == [(48, 32), (96, 80)]


def test_a_change_before_the_first_frame_leaves_no_empty_segment(tmp_path) -> None:
    info, _ = live(1)
    large_info, large = live(3, 96, 80)
    sink = segmented(tmp_path / "cam.mp4")
    sink.open(info, MODEL)
    sink.on_stream_changed(large_info)
    write(sink, large)
    sink.close()
    assert names(tmp_path) == ["cam_000000.mp4"]


def test_a_file_in_segments_says_that_it_has_no_sound(tmp_path) -> None:
    info, items = stream(40)
    sound = write_video(tmp_path / "in.mov", audio_offset_seconds=0)
    sink = segmented(tmp_path / "cam.mp4")
    fill(sink, replace(info, file_path=sound), items)
    assert "no sound" in sink.notices[0]
    assert [frames_of_video(path) for path in sorted(tmp_path.glob("*.mp4"))] == [30, 10]
    depth, mute = segmented(tmp_path / "depth.mkv", DepthVideoSink), segmented(tmp_path / "mute.mp4")
    fill(depth, replace(info, file_path=sound), items)
    fill(mute, replace(info, file_path=write_video(tmp_path / "mute.mov")), items)
    assert not depth.notices, "depth never has sound"
    assert not mute.notices


ENDLESS = """
    import itertools, sys, time
    from dataclasses import replace
    from helpers.sink_data import MODEL, stream
    from helpers.sink_data import RECORDERS, later, live, segmented
    from pathlib import Path
    info, items = live(15)
    sinks = [segmented(Path(sys.argv[1]) / name, kind, seconds=0.5) for name, kind, _ in RECORDERS]
    for sink in sinks:
        sink.open(info, MODEL)
    for number in itertools.count():
        for item in later(items, 15 * number):
            for sink in sinks:
                sink.write(item)
"""


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    paths = PYTHONPATH
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(ENDLESS), str(tmp_path)], env=environment)
    yield process
    process.kill()
    process.wait()


def stop_within_a_segment(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Between two segments there is, for a moment, none that is being written."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        if any(map(is_locked, folder.glob(".cam_*.mp4"))):
            return
        process.send_signal(signal.SIGCONT)


def is_locked(path: Path) -> bool:
    try:
        unlock(lock(path))
    except BlockingIOError:
        return True
    return False


def test_after_a_kill_every_segment_plays_and_resume_goes_on(endless, tmp_path) -> None:
    for name, *_ in RECORDERS:
        wait_until((tmp_path / f"cam_000003{Path(name).suffix}").exists)
    stop_within_a_segment(endless, tmp_path)
    with raises_code(SinkOpenError, "in-use"):
        segmented(tmp_path / "cam.mp4", resume=True).open(live(1)[0], MODEL)
    endless.kill()
    endless.wait()
    assert any(name.startswith(".") for name in names(tmp_path))  # what it was writing

    before = {name: sorted(tmp_path.glob(f"cam_*{Path(name).suffix}")) for name, *_ in RECORDERS}
    for name, _, count in RECORDERS:
        assert [path.stem for path in before[name]] == [f"cam_{n:06d}" for n in range(len(before[name]))]
        assert [count(path) for path in before[name]] == [15] * len(before[name])
    sinks = [segmented(tmp_path / name, kind, seconds=0.5, resume=True) for name, kind, _ in RECORDERS]
    info, items = live(20)
    for sink in sinks:
        sink.open(info, MODEL)
    for sink in sinks:
        write(sink, items)
        sink.close()
    for name, _, count in RECORDERS:
        after = sorted(set(tmp_path.glob(f"cam_*{Path(name).suffix}")) - set(before[name]))
        assert [count(path) for path in after] == [15, 5]
        assert min(int(path.stem[4:]) for path in after) >= len(before[name])
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_resume_skips_a_number_whose_json_alone_is_there(tmp_path) -> None:
    info, items = live(5)
    fill(segmented(tmp_path / "cam.mkv", DepthVideoSink), info, items)
    (tmp_path / "cam_000001.mkv.json").write_text("{}")  # killed between the two
    fill(segmented(tmp_path / "cam.mkv", DepthVideoSink, resume=True), info, items)
    assert len(list(DepthVideo(tmp_path / "cam_000002.mkv"))) == 5


def test_resume_is_for_live_streams(tmp_path) -> None:
    with raises_code(SinkOpenError, "not-live"):
        segmented(tmp_path / "cam.mp4", resume=True).open(stream(1)[0], MODEL)


def test_existing_segments_are_told_with_the_way_out(tmp_path) -> None:
    info, items = live(40)
    fill(segmented(tmp_path / "cam.mp4"), info, items)
    with raises_code(SinkOpenError, "exists", naming=r"resume=True.*overwrite=True"):
        segmented(tmp_path / "cam.mp4").open(info, MODEL)
    again = segmented(tmp_path / "cam.mp4", lambda path: VideoSink(path, overwrite=True), overwrite=True)
    fill(again, info, items[:10])
    assert frames_of_video(tmp_path / "cam_000000.mp4") == 10
    assert "cam_000001.mp4" in again.notices[-1]


def test_a_json_that_is_left_over_is_told_before_the_recording(tmp_path) -> None:
    (tmp_path / "cam_000001.mkv.json").write_text("{}")
    with raises_code(SinkOpenError, "exists", naming=r"cam_000001.mkv.json'.*resume=True"):
        segmented(tmp_path / "cam.mkv", DepthVideoSink).open(live(1)[0], MODEL)
    assert names(tmp_path) == ["cam_000001.mkv.json"]


def test_a_failed_write_keeps_the_segments_before(tmp_path) -> None:
    made = [RecordingSink(), FailingSink()]
    sink = segmented(tmp_path / "cam.mp4", lambda _: made.pop(0))
    first = made[0]
    info, items = live(60)
    sink.open(info, MODEL)
    with raises_code(SinkWriteError, "sink-write"):
        write(sink, items)
    sink.discard()
    assert first.closed
    assert not first.discarded


class Disk:
    """How much room `shutil.disk_usage` tells of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: float) -> None:
        self.free = free
        usage = shutil.disk_usage(".")
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=int(self.free)))
        monkeypatch.setattr("streamdepth.sinks.disk_space._CHECK_INTERVAL_SECONDS", 0)


def test_a_disk_that_fills_up_ends_a_recording_with_complete_files(tmp_path, monkeypatch) -> None:
    disk = Disk(monkeypatch, free=1e9)
    sink = DiskSpaceGuard(segmented(tmp_path / "cam.mp4"), tmp_path / "cam.mp4", min_free_bytes=500e6)
    info, items = live(40)
    sink.open(info, MODEL)
    write(sink, items[:35])
    assert not sink.wants_stop
    disk.free = 400e6
    sink.write(items[35])
    assert sink.wants_stop
    sink.write(items[36])  # one that was on its way
    with raises_code(DiskFullError, "disk-full", naming=r"400 MB free.*complete"):
        sink.close()
    sink.close()
    assert [frames_of_video(path) for path in sorted(tmp_path.glob("*.mp4"))] == [30, 7]


def test_too_little_room_is_said_at_once(tmp_path, monkeypatch) -> None:
    Disk(monkeypatch, free=100e6)
    with raises_code(DiskFullError, "disk-full", naming="nothing was recorded"):
        DiskSpaceGuard(VideoSink(tmp_path / "a.mp4"), tmp_path / "a.mp4", min_free_bytes=500e6).open(live(1)[0], MODEL)
    assert names(tmp_path) == []


def test_a_folder_that_vanishes_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.sinks.disk_space._CHECK_INTERVAL_SECONDS", 0)
    folder, inner = tmp_path / "gone", RecordingSink()
    folder.mkdir()
    sink = DiskSpaceGuard(inner, folder / "a.mp4", min_free_bytes=0)
    info, items = live(1)
    sink.open(info, MODEL)
    folder.rmdir()
    with pytest.raises(SinkWriteError, match=r"a\.mp4' failed: No such file"):
        sink.write(items[0])
    with pytest.raises(SinkWriteError, match="No such file"):
        sink.open(info, MODEL)
    assert inner.discarded


def test_a_file_may_use_the_last_of_the_disk(tmp_path, monkeypatch) -> None:
    Disk(monkeypatch, free=100e6)
    info, items = stream(3)
    fill(DiskSpaceGuard(VideoSink(tmp_path / "a.mp4"), tmp_path / "a.mp4", min_free_bytes=500e6), info, items)
    assert frames_of_video(tmp_path / "a.mp4") == 3


def test_what_finishing_takes_is_kept_free_too(tmp_path) -> None:
    info, items = live(40, 160, 120)
    for item in items:
        item.depth[:] = np.random.default_rng(0).uniform(1, 9, item.depth.shape)
    depth = DepthVideoSink(tmp_path / "a.mkv")
    sink = DiskSpaceGuard(
        SegmentedSink(tmp_path / "s.mkv", lambda _: depth, seconds=9), tmp_path / "s", min_free_bytes=0
    )
    sink.open(info, MODEL)
    write(sink, items)
    assert sink.bytes_to_finish > 10_000  # Matroska's tags come first: the video is copied behind them
    sink.discard()
    assert sink.bytes_to_finish == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_disk_that_really_fills_up(cli, quick_model, small_disk) -> None:
    done = cli(
        *("convert", "lavfi:testsrc2=size=320x240:rate=60,noise=alls=100:allf=t", "-o", small_disk / "cam.mp4"),
        *(
            "--set",
            "realtime=true",
            "--segment",
            "1s",
            "--min-free-mb",
            "5",
            "--set",
            "video.crf=0",
            "--max-seconds",
            "60",
        ),
    )
    assert done.code == 6, done.err
    assert "complete" in done.err
    segments = sorted(small_disk.glob("cam_*.mp4"))
    assert segments
    assert all(frames_of_video(path) for path in segments)
    assert names(small_disk) == [path.name for path in segments]
    assert 0 < shutil.disk_usage(small_disk).free < 5e6


def test_segments_from_the_command_line(cli, quick_model, tmp_path) -> None:
    generated, flags = "lavfi:testsrc2=size=64x48:rate=10:duration=5", ("--segment", "2s")
    done = cli("convert", generated, "-o", tmp_path / "a.mp4", "--depth-out", tmp_path / "d.mkv", *flags)
    assert done.code == 0, done.err
    assert [frames_of_video(path) for path in sorted(tmp_path.glob("a_*.mp4"))] == [20, 20, 10]
    assert [len(list(DepthVideo(path))) for path in sorted(tmp_path.glob("d_*.mkv"))] == [20, 20, 10]
    again = ("convert", generated, "-o", tmp_path / "a.mp4", *flags, "--resume", "--set", "realtime=true")
    done = cli(*again, "--max-seconds", "0.5")
    assert done.code == 0, done.err
    assert len(list(tmp_path.glob("a_*.mp4"))) == 4


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-o", "a.mp4", "--resume"), "--segment"),
        (("--depth-out", "%06d.png", "--segment", "10m"), "one picture for each frame"),
        (("-o", "a.mp4", "--segment", "10 minutes"), "segment"),
        (("-o", "a.mp4", "--segment", "0s"), "greater than 0"),
    ],
)
def test_flags_that_do_not_fit(cli, tmp_path, monkeypatch, flags, words) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("convert", "lavfi:testsrc2", *flags)
    assert done.code == 2
    assert words in done.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("0.5s", 0.5), ("90", 90)]
)
def test_how_long_a_segment_is(text, seconds) -> None:
    from streamdepth import config

    assert config.make(segment=text).outputs.segment == seconds


@pytest.mark.slow
def test_a_real_camera_that_comes_back_with_another_size(tmp_path) -> None:
    if missing := rtsp_server.unavailable_reason():
        pytest.skip(missing)
    with rtsp_server.running() as server:
        source = NetworkSource(f"{server.address}/h264", reconnect_seconds=60)
        sinks = [
            SegmentedSink(tmp_path / "cam.mp4", VideoSink, seconds=600),
            SegmentedSink(tmp_path / "cam.mkv", DepthVideoSink, seconds=600),
        ]
        widths: list[int] = []
        pipeline = Pipeline(
            [Stream(source, make_stabilizer("off"), sinks)],
            ConstantEstimator(from_brightness=True),
            on_written=lambda item: widths.append(item.frame.image.shape[1]),
        )
        runner = rtsp_server.start_thread(pipeline.run)
        wait_until(lambda: widths.count(160) >= 5)
        server.stop()
        server.size = (224, 128)
        server.start()
        wait_until(lambda: widths.count(224) >= 5)
        pipeline.stop()
        runner.join(60)
    sizes = []
    for name in ("cam_000000.mp4", "cam_000001.mp4"):
        with open_media_file(tmp_path / name) as container:
            sizes.append(container.streams.video[0].width)
    assert sizes == [160, 224]
    assert [frames_of_video(path) for path in sorted(tmp_path.glob("*.mp4"))] == [widths.count(w) for w in (160, 224)]
    assert sum(len(list(DepthVideo(path))) for path in tmp_path.glob("*.mkv")) == len(widths)
