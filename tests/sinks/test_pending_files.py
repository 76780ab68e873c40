from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.paths import PYTHONPATH
from helpers.sink_data import MODEL, fill, stream

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.sink import Sink
from streamdepth.geometry.trajectories import Trajectory
from streamdepth.sinks.animation import AnimationSink
from streamdepth.sinks.depth_video import DepthVideoSink
from streamdepth.sinks.fusion import FusionSink
from streamdepth.sinks.geometry_files import GeometrySink
from streamdepth.sinks.images import ImagesSink
from streamdepth.sinks.lerobot_video import LeRobotVideoSink
from streamdepth.sinks.pending_files import PendingFile, atomic_write
from streamdepth.sinks.private_folders import make_files_private
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sinks.robots.rerun_file import RerunFileSink
from streamdepth.sinks.temporary_files import (
    lock,
    remove_abandoned_files,
    remove_abandoned_segments,
    sidecar_path,
    temporary_copy,
    temporary_path,
    unlock,
)
from streamdepth.sinks.video import VideoSink
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.numbering import insert_number


def test_the_temporary_name_keeps_folder_and_extension(tmp_path: Path) -> None:
    file = PendingFile(tmp_path / "a.b.mp4")
    assert file.temporary.parent == tmp_path
    assert file.temporary.suffix == ".mp4"
    assert file.temporary.name.startswith(".")
    file.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_result_has_ordinary_permissions(tmp_path: Path) -> None:
    file = PendingFile(tmp_path / "a.txt")
    file.commit()
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch(mode=0o600)
    file = PendingFile(tmp_path / "a.txt", overwrite=True)
    assert file.temporary.stat().st_mode & 0o777 == 0o600, "nobody else reads it meanwhile"
    file.commit()
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("refused", ["folders", "all"])
def test_a_share_without_fsync_is_no_failure(tmp_path: Path, monkeypatch, refused: str) -> None:
    def refuse(handle: int) -> None:
        if refused == "all" or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    with atomic_write(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_disk_that_fails_to_synchronize_is_a_failure(tmp_path: Path, monkeypatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SinkWriteError), atomic_write(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks files in another way")
@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP", "EINVAL", "EBADF", "EPERM"])
def test_a_share_without_locks_is_written_to(tmp_path: Path, monkeypatch, name: str) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, name), "refused")

    path, segments = tmp_path / "out.txt", tmp_path / "cam_%02d.mp4"
    foreign = temporary_path(path), temporary_path(tmp_path / "cam_00.mp4")
    for part in foreign:  # perhaps of a process that writes it now
        part.touch()
        part.with_name(f"{part.name}.lock").touch()
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(fcntl, "flock", refuse)
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    remove_abandoned_segments(segments)
    assert path.read_text() == "new"
    assert set(tmp_path.iterdir()) == {*before, path}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks files in another way")
def test_a_lock_that_fails_leaves_no_file(tmp_path: Path, monkeypatch) -> None:
    import fcntl

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with raises_code(SinkOpenError, "not-writable", naming="Input/output error"):
        PendingFile(tmp_path / "out.txt")
    assert list(tmp_path.iterdir()) == []


def test_parts_of_killed_runs_go_when_the_same_output_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    killed, alive, named = (temporary_path(path) for _ in range(3))
    for part in (killed, alive, named, temporary_copy(killed)):
        part.touch()
    killed.with_name(f"{killed.name}.lock").touch()
    alive_lock = lock(alive)
    PendingFile(path).discard()
    assert {p.name for p in tmp_path.iterdir()} == {alive.name, f"{alive.name}.lock", named.name}
    unlock(alive_lock)


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with raises_code(SinkOpenError, "not-a-file"):
        PendingFile(tmp_path / "out.mp4", overwrite=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)  # root may write everywhere, so permissions alone prove nothing
    with raises_code(SinkOpenError, "not-writable", naming="Permission denied"):
        PendingFile(tmp_path / "out.mp4")


def test_the_input_through_a_link_is_the_input(tmp_path: Path) -> None:
    origin, link = tmp_path / "in.mp4", tmp_path / "link.mp4"
    origin.touch()
    link.symlink_to(origin)
    with raises_code(SinkOpenError, "is-input"):
        PendingFile(link, overwrite=True, input_path=origin)


@pytest.mark.parametrize("target", ["disk/target.data", "missing/target.data"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_stays_and_its_target_is_written(tmp_path: Path, target: str, is_there: bool) -> None:
    (tmp_path / "disk").mkdir()
    link, written = tmp_path / "link.txt", tmp_path / target
    link.symlink_to(target)
    if is_there:
        written.parent.mkdir(exist_ok=True)
        written.write_text("old")
        with raises_code(SinkOpenError, "exists"):
            PendingFile(link)
    with atomic_write(link, overwrite=is_there) as temporary:
        assert (temporary.parent, temporary.suffix) == (written.parent, ".txt")
        temporary.write_text("new")
    assert os.readlink(link) == target
    assert written.read_text() == "new"
    assert list(written.parent.iterdir()) == [written]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_in_a_folder_of_pictures_stays(tmp_path: Path, is_there: bool) -> None:
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "d_000.npz", tmp_path / "disk" / "target.npz"
    link.symlink_to(target)
    if is_there:
        target.touch()
    fill(ImagesSink(tmp_path / "d_%03d.npz", overwrite=is_there), *stream(1))
    assert link.is_symlink()
    with np.load(target) as stored:
        assert stored["depth"].ndim == 2


def test_a_link_that_leads_in_a_circle_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    with raises_code(SinkOpenError, "bad-name"):
        PendingFile(tmp_path / "a.mp4", overwrite=True)


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_of_the_process_is_never_replaced(path: str) -> None:
    with raises_code(SinkOpenError, "not-a-file", naming="standard output"):
        PendingFile(Path(path), overwrite=True)


def test_an_origin_that_cannot_be_a_file_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").touch()
    PendingFile(tmp_path / "out.mp4", overwrite=True, input_path=tmp_path / ("x" * 300)).discard()


def test_a_name_that_is_too_long_is_said_in_words(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "bad-name"):
        PendingFile(tmp_path / ("x" * 300 + ".mp4"))
    with raises_code(SinkOpenError, "bad-name"):
        PendingFile(tmp_path / ("x" * 300) / "out.mp4")


def test_a_name_that_is_just_short_enough(tmp_path: Path) -> None:
    longest = tmp_path / ("ä" * 125 + ".mp4")
    PendingFile(longest).commit()
    assert list(tmp_path.iterdir()) == [longest]


def test_what_is_not_put_in_place_is_where_the_message_says(tmp_path: Path) -> None:
    path, written = tmp_path / "out.txt", atomic_write(tmp_path / "out.txt")
    temporary = written.__enter__()
    temporary.write_text("new")
    path.write_text("theirs")
    with raises_code(SinkWriteError, "exists") as caught:
        written.__exit__(None, None, None)
    assert path.read_text() == "theirs"
    assert str(temporary) in str(caught.value)
    assert temporary.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("out.rrd", RerunFileSink),
        ("out.ply", lambda path: FusionSink(path, Trajectory([np.eye(4)] * 2), farthest_m=20.0)),
    ],
    ids=["rrd", "fused"],
)
def test_what_a_sink_cannot_put_in_place_is_where_the_message_says(name: str, make: object, tmp_path: Path) -> None:
    info, items = stream(2, 64, 48)
    camera = Intrinsics.from_fov(60, 64, 48)
    sink: Sink = make(tmp_path / name)  # type: ignore[operator]  # one of the factories above
    sink.open(info, MODEL)
    for item in items:
        sink.write(replace(item, intrinsics=camera))
    (tmp_path / name).write_text("theirs")
    with raises_code(SinkWriteError, "exists") as caught:
        sink.close()
    sink.close()
    (kept,) = (path for path in tmp_path.iterdir() if path.name != name)
    assert str(kept) in str(caught.value)
    assert kept.stat().st_size > 100
    assert (tmp_path / name).read_text() == "theirs"


def test_leftovers_are_removed_and_those_of_names_that_begin_alike_are_not(tmp_path: Path) -> None:
    for begin in ("clip", "2026-11-25_camera_at_the_left_of_the_entrance_hall_part_", "x" * 200):
        mine, other = (tmp_path / f"{begin}{n}.mkv" for n in (1, 2))
        left = [temporary_path(path) for path in (mine, sidecar_path(mine))]
        for path in (*left, temporary_copy(left[0])):
            path.touch()
        kept = PendingFile(other)
        remove_abandoned_files(mine)
        assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == [kept.temporary]
        kept.discard()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cam_%06d.mkv", "cam_%3d.mkv"])
def test_left_segments_are_removed_unless_one_is_being_written(tmp_path: Path, name: str) -> None:
    pattern = tmp_path / name
    segments = [pattern.with_name(insert_number(name, number)) for number in (1, 2)]
    files = [PendingFile(path) for path in (*segments, sidecar_path(segments[1]))]
    copy = temporary_copy(files[0].temporary)
    copy.touch()
    for file in files:
        file.release()
    for alive in files:
        alive_lock = lock(alive.temporary)
        with raises_code(SinkOpenError, "in-use"):
            remove_abandoned_segments(pattern)
        assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == 4
        unlock(alive_lock)
    remove_abandoned_segments(pattern)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch) -> None:
    left = temporary_path(tmp_path / "cam_000001.mp4")
    left.touch()

    def refuse(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with raises_code(SinkOpenError, "sink-open", naming=str(left)):
        remove_abandoned_segments(tmp_path / "cam_%06d.mp4")


def test_a_segment_that_is_put_in_place_while_one_looks_is_no_error(tmp_path: Path, monkeypatch) -> None:
    file, iterdir = PendingFile(tmp_path / "cam_000001.mp4"), Path.iterdir

    def look_and_complete(folder: Path) -> list[Path]:
        found = list(iterdir(folder))
        file.commit()
        return found

    monkeypatch.setattr(Path, "iterdir", look_and_complete)
    remove_abandoned_segments(tmp_path / "cam_%06d.mp4")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["cam_000001.mp4"]


def test_a_block_that_raises_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "out.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


WITH_JSON = pytest.mark.parametrize(("kind", "name"), [(DepthVideoSink, "d.mkv"), (LeRobotVideoSink, "d.mp4")])


@WITH_JSON
@pytest.mark.parametrize("taken", ["", ".json"])
def test_a_video_and_its_json_appear_together_or_not_at_all(kind, name: str, taken: str, tmp_path: Path) -> None:
    info, items = stream(2, 64, 48)
    sink = kind(tmp_path / name)
    sink.open(info, MODEL)
    for item in items:
        sink.write(item)
    in_the_way = tmp_path / f"{name}{taken}"
    in_the_way.write_text("theirs")
    with raises_code(SinkWriteError, "exists") as caught:
        sink.close()
    assert in_the_way.read_text() == "theirs"
    kept = [path for path in tmp_path.iterdir() if path != in_the_way]
    assert len(kept) == 2
    assert all(path.name.startswith(".") and str(path) in str(caught.value) for path in kept)


@WITH_JSON
def test_a_video_that_cannot_be_put_in_place_keeps_the_older_pair(kind, name: str, tmp_path, monkeypatch) -> None:
    info, items = stream(2, 64, 48)
    fill(kind(tmp_path / name), info, items)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    put_in_place = os.replace

    def refuse(source: str, target: str) -> None:
        if Path(target).name == name:
            raise OSError(errno.EIO, "Input/output error")
        put_in_place(source, target)

    sink = kind(tmp_path / name, overwrite=True)
    sink.open(info, MODEL)
    sink.write(items[0])
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(SinkWriteError, match=r"Input/output error; the result is in .*; the result is in"):
        sink.close()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError('Failed to write pixel data to image file "a.exr". No space left on device.'),
    ],
)
def test_disk_full_is_said_in_words(tmp_path: Path, error: OSError) -> None:
    with raises_code(SinkWriteError, "disk-full", naming="MB free"), map_write_errors(tmp_path / "out.mp4"):
        raise error


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writing more fails as on a full disk, for root too."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: VideoSink(folder / "out.mp4", overwrite=True, crf=0, preset="ultrafast"),
        lambda folder: VideoSink(folder / "out.mkv", overwrite=True, crf=0, preset="ultrafast"),
        lambda folder: DepthVideoSink(folder / "out.mkv", overwrite=True),
        lambda folder: ImagesSink(folder / "%03d.npz", overwrite=True),
        lambda folder: ImagesSink(folder / "%03d.exr", overwrite=True),
        lambda folder: McapSink(folder / "out.mcap", overwrite=True),
        lambda folder: RerunFileSink(folder / "out.rrd", overwrite=True),
        lambda folder: LeRobotVideoSink(folder / "out.mp4", overwrite=True),
        lambda folder: AnimationSink(folder / "out.gif"),
        lambda folder: AnimationSink(folder / "out.webp"),
        lambda folder: GeometrySink(folder / "%03d.pcd", "points"),
        lambda folder: GeometrySink(folder / "%03d.ply", "points"),
        lambda folder: GeometrySink(folder / "%03d.obj", "mesh"),
    ],
    ids=["mp4", "mkv", "depth", "npz", "exr", "mcap", "rrd", "lerobot", "gif", "webp", "pcd", "ply", "obj"],
)
@pytest.mark.parametrize("room", [0, 2_000])
def test_a_full_disk_leaves_the_older_file_and_nothing_else(make: object, room: int, tmp_path: Path) -> None:
    for name in ("out.mp4", "out.mkv", "000.npz"):
        (tmp_path / name).write_bytes(b"older")
    before = sorted(tmp_path.iterdir())
    info, items = stream(40, 320, 240)
    rng = np.random.default_rng(0)
    for item in items:
        item.depth[:] = rng.uniform(5, 5.05, item.depth.shape)  # a surface, but hard to compress
    sink: Sink = make(tmp_path)  # type: ignore[operator]  # one of the factories above
    with (
        no_file_larger_than(room),
        pytest.raises((SinkOpenError, SinkWriteError), match=r"no room|File too large|File-writer"),
    ):
        fill(sink, info, items)
    sink.close()
    assert sorted(tmp_path.iterdir()) == before
    assert all(path.read_bytes() == b"older" for path in before)


def test_a_killed_process_leaves_the_older_file(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"older")
    program = f"""
        import os, sys
        from helpers.sink_data import MODEL, stream
        from streamdepth.sinks.video import VideoSink
        info, items = stream(6)
        sink = VideoSink({str(output)!r}, overwrite=True)
        sink.open(info, MODEL)
        for item in items:
            sink.write(item)
        os.kill(os.getpid(), 9)
    """
    paths = PYTHONPATH
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == -9
    assert output.read_bytes() == b"older"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_of_a_private_folder_are_private_even_while_they_are_written(tmp_path: Path) -> None:
    """A page's recordings may go into a folder that everybody can read."""
    for name in ("public", "private"):
        (tmp_path / name).mkdir(mode=0o755)
    make_files_private(tmp_path / "private")
    modes = {}
    for name in ("public", "private"):
        path = tmp_path / name / "a.json"
        with atomic_write(path) as temporary:
            modes[f"{name} part"] = stat.S_IMODE(temporary.stat().st_mode)
            temporary.write_text("{}")
        modes[name] = stat.S_IMODE(path.stat().st_mode)
    (tmp_path / "usual").touch()
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert modes == {"public part": usual, "public": usual, "private part": 0o600, "private": 0o600}
