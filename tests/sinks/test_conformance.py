"""What every sink that writes files promises. A new one is tested by adding one line to CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, fill, frames_of_depth_video, frames_of_video, messages_of_mcap, names, stream
from PIL import Image
from rerun.chunk import RrdReader

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthKind
from streamdepth.sinks.animation import AnimationSink
from streamdepth.sinks.depth_video import DepthVideoSink
from streamdepth.sinks.disk_space import DiskSpaceGuard
from streamdepth.sinks.geometry_files import GeometrySink
from streamdepth.sinks.images import ImagesSink
from streamdepth.sinks.lerobot_video import LeRobotVideoSink
from streamdepth.sinks.rgbd_video import RgbdVideoSink
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sinks.robots.rerun_file import RerunFileSink
from streamdepth.sinks.segments import SegmentedSink
from streamdepth.sinks.video import VideoSink


def frames_of_rrd(path: Path) -> int:
    chunks = RrdReader(path).stream().to_chunks()
    return sum(c.num_rows for c in chunks if "EncodedImage:blob" in c.to_record_batch().schema.names)


def frames_of_animation(path: Path) -> int:
    with Image.open(path) as animation:
        return int(getattr(animation, "n_frames", 1))


def numbered(path: Path) -> int:
    return len(list(path.parent.glob(f"{path.stem[:-6]}0*{path.suffix}")))


def in_segments(kind: Callable[..., Sink], path: Path | str, **options: bool) -> Sink:
    return SegmentedSink(path, lambda segment: kind(segment, **options), seconds=60, **options)


def guarded(path: Path | str, **options: bool) -> Sink:
    return DiskSpaceGuard(VideoSink(path, **options), path, min_free_bytes=0)


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[..., Sink]
    first_file: str
    """One file that exists when the sink is done."""
    count: Callable[[Path], int]
    metric_only: bool = False
    smallest_px: int = 1


CASES = [
    Case("out.mp4", VideoSink, "out.mp4", frames_of_video),
    Case("out.mov", VideoSink, "out.mov", frames_of_video),
    Case("out.mkv", VideoSink, "out.mkv", frames_of_video),
    Case("depth.mkv", DepthVideoSink, "depth.mkv", frames_of_depth_video),
    Case("both.mkv", RgbdVideoSink, "both.mkv", frames_of_depth_video),
    Case("depth.mcap", McapSink, "depth.mcap", messages_of_mcap, metric_only=True),
    Case("a.rrd", RerunFileSink, "a.rrd", frames_of_rrd),
    Case("fox.mcap", partial(McapSink, schemas="foxglove"), "fox.mcap", messages_of_mcap, metric_only=True),
    Case("lerobot.mp4", LeRobotVideoSink, "lerobot.mp4", frames_of_video, metric_only=True, smallest_px=16),
    Case("%06d.mp4", partial(in_segments, VideoSink), "000000.mp4", frames_of_video),
    Case("%06d.mkv", partial(in_segments, DepthVideoSink), "000000.mkv", frames_of_depth_video),
    Case("%06d.mcap", partial(in_segments, McapSink), "000000.mcap", messages_of_mcap, metric_only=True),
    Case("%06d.rrd", partial(in_segments, RerunFileSink), "000000.rrd", frames_of_rrd),
    Case("a.gif", AnimationSink, "a.gif", frames_of_animation),
    Case("guarded.mp4", guarded, "guarded.mp4", frames_of_video),
    Case("%06d.png", ImagesSink, "000000.png", numbered),
    Case("%06d.npz", ImagesSink, "000000.npz", numbered),
    Case("%06d.exr", ImagesSink, "000000.exr", numbered),
    Case("%06d.ply", GeometrySink, "000000.ply", numbered),
    Case("%06d.glb", partial(GeometrySink, kind="mesh"), "000000.glb", numbered),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    if found.name.endswith(".exr"):
        pytest.importorskip("OpenEXR")
    return found


def test_complete_and_readable_after_close(case: Case, tmp_path: Path) -> None:
    info, items = stream()
    fill(case.make(tmp_path / case.name), info, items)
    assert case.count(tmp_path / case.first_file) == 4
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_nothing_is_in_place_before_close(case: Case, tmp_path: Path) -> None:
    info, items = stream()
    sink = case.make(tmp_path / case.name)
    sink.open(info, MODEL)
    sink.write(items[0])
    assert not (tmp_path / case.first_file).exists()
    sink.close()
    assert (tmp_path / case.first_file).exists()


def test_close_is_idempotent_and_allowed_before_open(case: Case, tmp_path: Path) -> None:
    sink = case.make(tmp_path / case.name)
    sink.close()
    sink.discard()
    assert names(tmp_path) == []
    info, items = stream(2)
    fill(sink, info, items)
    before = names(tmp_path)
    sink.close()
    sink.discard()
    assert names(tmp_path) == before


def test_close_without_frames_leaves_nothing(case: Case, tmp_path: Path) -> None:
    fill(case.make(tmp_path / case.name), stream()[0], [])
    assert names(tmp_path) == []


@pytest.mark.parametrize("count", [0, 3])
def test_discard_leaves_an_older_output_untouched(case: Case, tmp_path: Path, count: int) -> None:
    (tmp_path / case.first_file).write_bytes(b"older")
    info, items = stream()
    sink = case.make(tmp_path / case.name, overwrite=True)
    sink.open(info, MODEL)
    for item in items[:count]:
        sink.write(item)
    sink.discard()
    sink.discard()
    sink.close()
    assert (tmp_path / case.first_file).read_bytes() == b"older"
    assert names(tmp_path) == [case.first_file]


def test_refuses_an_existing_output(case: Case, tmp_path: Path) -> None:
    (tmp_path / case.first_file).write_bytes(b"older")
    with raises_code(SinkOpenError, "exists", naming="overwrite=True"):
        case.make(tmp_path / case.name).open(stream()[0], MODEL)
    assert names(tmp_path) == [case.first_file]


def test_refuses_the_input_even_with_overwrite(case: Case, tmp_path: Path) -> None:
    origin = tmp_path / case.first_file
    origin.write_bytes(b"input")
    info = replace(stream()[0], file_path=tmp_path / "." / case.first_file)
    with raises_code(SinkOpenError, "is-input"):
        case.make(tmp_path / case.name, overwrite=True).open(info, MODEL)
    assert origin.read_bytes() == b"input"
    assert names(tmp_path) == [case.first_file]


def test_makes_a_missing_folder_and_takes_it_back(case: Case, tmp_path: Path) -> None:
    sink = case.make(tmp_path / "missing" / "too" / case.name)
    sink.open(stream()[0], MODEL)
    assert (tmp_path / "missing" / "too").is_dir()
    sink.discard()
    assert names(tmp_path) == []


def test_refuses_a_folder_that_cannot_be_made(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with raises_code(SinkOpenError, "no-folder"):
        case.make(tmp_path / "file" / "missing" / case.name).open(stream()[0], MODEL)


def test_refuses_an_unknown_extension(case: Case, tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-format", naming=r"\.(png|mp4|gif|mkv|mcap|rrd|ply|txt)"):
        case.make(tmp_path / "out.xyz").open(stream()[0], MODEL)
    assert names(tmp_path) == []


def test_an_output_that_appears_meanwhile_is_left_alone(case: Case, tmp_path: Path) -> None:
    info, items = stream(2)
    sink = case.make(tmp_path / case.name)
    sink.open(info, MODEL)
    for item in items:
        sink.write(item)
    (tmp_path / case.first_file).write_bytes(b"theirs")
    with raises_code(SinkWriteError, "exists"):
        sink.close()
    assert (tmp_path / case.first_file).read_bytes() == b"theirs"


def test_open_again_overwrites(case: Case, tmp_path: Path) -> None:
    info, items = stream(4)
    sink = case.make(tmp_path / case.name, overwrite=True)
    fill(sink, info, items[:2])
    fill(sink, info, items)
    assert case.count(tmp_path / case.first_file) == 4


def test_a_colon_in_the_name_is_no_protocol(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    info, items = stream(2)
    sink = case.make(f"x:30{case.name}")
    fill(sink, info, [replace(item, intrinsics=Intrinsics.from_fov(60, info.width, info.height)) for item in items])
    assert sink.notices == []
    assert case.count(Path(f"x:30{case.first_file}")) == 2


def test_write_before_open_is_an_error(case: Case, tmp_path: Path) -> None:
    with raises_code(SinkWriteError, "not-open"):
        case.make(tmp_path / case.name).write(stream(1)[1][0])


@pytest.mark.parametrize("kind", DepthKind)
def test_unknown_depth(case: Case, tmp_path: Path, kind: DepthKind) -> None:
    if case.metric_only and kind is DepthKind.RELATIVE:
        pytest.skip("refuses relative depth")
    info, items = stream(3)
    for item, unknown in zip(items, (slice(None), slice(0, 9), slice(0, 0)), strict=True):
        item.depth[unknown] = np.nan
    items = [replace(item, kind=kind, range=None) for item in items]
    fill(case.make(tmp_path / case.name), info, items, replace(MODEL, kind=kind))
    assert case.count(tmp_path / case.first_file) == 3


@pytest.mark.parametrize(("width", "height"), [(35, 61), (1, 1), (2, 301)])
def test_odd_and_portrait_sizes(case: Case, tmp_path: Path, width: int, height: int) -> None:
    info, items = stream(2, width, height)
    if min(width, height) < case.smallest_px:
        with raises_code(SinkOpenError, "bad-size"):
            fill(case.make(tmp_path / case.name), info, items)
        return
    fill(case.make(tmp_path / case.name), info, items)
    assert case.count(tmp_path / case.first_file) == 2


def test_a_size_change_in_mid_stream(case: Case, tmp_path: Path) -> None:
    info, items = stream(2)
    later = [
        replace(i, frame=replace(i.frame, index=i.frame.index + 2, pts=i.frame.pts + 2)) for i in stream(2, 80, 90)[1]
    ]
    fill(case.make(tmp_path / case.name), info, items + later)
    assert case.count(tmp_path / case.first_file) == 4
