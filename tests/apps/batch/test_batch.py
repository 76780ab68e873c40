from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.errors import raises_code
from helpers.media import write_video
from helpers.waiting import wait_until

import streamdepth
from streamdepth import config, factory
from streamdepth.apps.batch.manifest import FILE_NAME, Manifest
from streamdepth.apps.batch.tasks import find_tasks, is_batch
from streamdepth.core.errors import ConfigError, SinkWriteError
from streamdepth.sinks.depth_video import DepthVideoSink
from streamdepth.testing import ConstantEstimator


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three videos in two folders, and a text file."""
    folder = tmp_path / "videos"
    for name in ("a.mp4", "b/c.mkv", "b/d e.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, count=6)
    (folder / "notes.txt").write_text("no video")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[ConstantEstimator]:
    """The models that were loaded; none has weights."""
    loaded: list[ConstantEstimator] = []
    monkeypatch.setattr(factory, "make_estimator", lambda _: loaded.append(ConstantEstimator()) or loaded[-1])
    return loaded


def _names(*sources: str, **more: object) -> list[str]:
    return [task.name for task in find_tasks(config.make(**{"source": sources, "output": "out"} | more))]


def _entries(folder: Path) -> dict[str, dict]:
    """Reads the manifest as any reader of JSON Lines: the last line of a name counts."""
    return {entry["name"]: entry for entry in map(json.loads, (folder / FILE_NAME).read_text().splitlines())}


@pytest.mark.usefixtures("videos")
def test_names_mirror_the_folders_below_the_common_one() -> None:
    assert _names("videos/**/*.mp4") == ["a", "b/d e"]
    assert _names("videos/**/*") == ["a", "b/c", "b/d e"]
    assert _names("videos/b/*") == ["c", "d e"]
    assert _names("videos/b/*.mkv", "videos/*.mp4") == ["b/c", "a"]
    assert _names("videos/a.mp4", "videos/b/c.mkv") == ["a", "b/c"]
    assert _names("videos/a.mp4", "videos/*.mp4") == ["a"]


def test_files_that_differ_only_in_their_suffix_keep_it(videos: Path) -> None:
    write_video(videos / "a.mkv", count=2)
    assert _names("videos/a.*") == ["a.mkv", "a.mp4"]


def test_no_two_names_are_the_same(videos: Path) -> None:
    for name in ("a.mov", "a.mp4.mkv"):
        (videos / name).write_bytes(b"")
    assert _names("videos/a*") == ["a.mov", "a.mp4", "a.mp4.mkv"]
    assert _names("videos/a.mp4", "./videos/a.mp4", "videos/../videos/*.mp4", "videos/b/c.mkv") == ["a", "b/c"]


@pytest.mark.usefixtures("videos")
def test_inputs_inside_an_output_folder_are_an_error(cli) -> None:
    with raises_code(ConfigError, "inside-output", naming=r"videos/\*\.mp4"):
        _names("videos/*.mp4", depth_out="videos")
    assert cli("convert", "videos/*.mp4", "--depth-out", "videos").code == 2


@pytest.mark.usefixtures("videos")
def test_outputs_are_not_converted_again(cli, models: list[ConstantEstimator]) -> None:
    for _ in range(2):
        assert cli("convert", "videos/**/*", "-o", "videos/out").code == 0
    assert not list(Path("videos/out").glob("out"))


@pytest.mark.usefixtures("videos")
@pytest.mark.parametrize("source", [["videos/a.mp4"], ["0", "1"], ["rtsp://x/1", "rtsp://x/2"], ["lavfi:testsrc", "0"]])
def test_one_file_and_live_streams_are_no_batch(source: list[str]) -> None:
    assert not is_batch(config.make(source=source))


def test_a_pattern_of_pictures_is_one_stream(videos: Path) -> None:
    (videos / "1.png").write_bytes(b"")
    assert not is_batch(config.make(source="videos/*.png"))


def test_several_files_need_a_folder(cli, videos: Path) -> None:
    with raises_code(ConfigError, "not-a-folder"):
        _names("videos/*.mp4", output="out.mp4")
    assert cli("convert", "videos/*.mp4", "-o", "out.mp4").code == 2
    assert cli("convert", "videos/*.wmv", "-o", "out").code == 3


def test_each_file_is_converted_once_by_one_model(cli, videos: Path, models: list[ConstantEstimator]) -> None:
    done = cli("convert", "videos/**/*", "-o", "out", "--depth-out", "depth", "--stats", "stats.json")
    assert done.code == 0, done.err
    assert "3 of 3 files are done, 0 failed" in done.err
    assert len(models) == 1
    assert models[0].closed
    assert sorted(str(p.relative_to("depth")) for p in Path("depth").rglob("*.mkv")) == [
        "a.mkv",
        "b/c.mkv",
        "b/d e.mkv",
    ]
    assert all(len(streamdepth.DepthVideo(p)) == 6 for p in Path("depth").rglob("*.mkv"))
    assert streamdepth.DepthVideo("depth/a.mkv").metadata["source"] == "videos/a.mp4"
    assert {entry["state"] for entry in _entries(Path("out")).values()} == {"done"}
    assert json.loads(Path("stats.json").read_text())["done"] == 3

    times = {p: p.stat().st_mtime_ns for p in Path("out").rglob("*.mp4")}
    again = cli("convert", "videos/**/*", "-o", "out", "--depth-out", "depth")
    assert again.code == 0
    assert "3 of 3 files are done, 3 of them before" in again.err
    assert len(models) == 1
    assert {p: p.stat().st_mtime_ns for p in Path("out").rglob("*.mp4")} == times


@pytest.mark.usefixtures("models")
def test_changed_files_and_settings_are_converted_again_with_the_reason(cli, videos: Path) -> None:
    command = ("convert", "videos/**/*.mp4", "-o", "out")
    assert cli(*command).code == 0
    write_video(videos / "a.mp4", count=3)
    Path("out/b/d e.mp4").unlink()
    done = cli(*command)
    assert done.code == 0, done.err
    assert "again: videos/a.mp4: the input changed" in done.err
    assert "again: videos/b/d e.mp4: its output is not there" in done.err
    assert _entries(Path("out"))["a"]["frames"] == 3

    done = cli(*command, "--smooth", "strong")
    assert "again: videos/a.mp4: the settings changed (smooth: usual -> strong)" in done.err
    assert "2 files to convert" in done.err
    assert "0 files to convert; 2 are done" in cli(*command, "--smooth", "strong").err


@pytest.mark.usefixtures("models")
def test_files_of_others_are_not_replaced(cli, videos: Path) -> None:
    Path("out").mkdir()
    Path("out/a.mp4").write_text("precious")
    done = cli("convert", "videos/**/*.mp4", "-o", "out")
    assert done.code == 5
    assert "failed: videos/a.mp4: 'out/a.mp4' exists already, and not from an earlier run" in done.err
    assert Path("out/a.mp4").read_text() == "precious"
    assert Path("out/b/d e.mp4").exists()
    assert cli("convert", "videos/**/*.mp4", "-o", "out").code == 5
    assert Path("out/a.mp4").read_text() == "precious"
    assert cli("convert", "videos/**/*.mp4", "-o", "out", "--overwrite").code == 0

    Path("out/a.mp4").write_text("edited by hand")
    assert cli("convert", "videos/**/*.mp4", "-o", "out", "--smooth", "off").code == 5
    assert Path("out/a.mp4").read_text() == "edited by hand"


@pytest.mark.usefixtures("models")
def test_a_missing_file_does_not_change_the_names_of_other_outputs(cli, videos: Path) -> None:
    done = cli("convert", "videos/a.mp4", "elsewhere/none.mp4", "-o", "out")
    assert done.code == 3
    assert [path.name for path in Path("out").rglob("*") if path.suffix == ".mp4"] == ["a.mp4"]
    assert Path("out/a.mp4").exists()
    assert not [path for path in Path("out").iterdir() if path.is_dir()], "and needs no folder"
    done = cli("convert", "videos/b/c.mkv", "vidoes/b/c.mkv", "-o", "other")
    assert "failed: vidoes/b/c.mkv" in done.err
    assert _entries(Path("other"))["c"]["state"] == "done"
    assert cli("convert", "videos/b/c.mkv", "vidoes/b/c.mkv", "-o", "other").code == 3
    done = cli("convert", "videos/*.mp4", "tpyo/*.mp4", "-o", "out")
    assert done.code == 3
    assert "no video matches tpyo/*.mp4" in done.err


@pytest.mark.usefixtures("models")
def test_a_folder_of_videos_is_a_batch_of_its_files(cli, videos: Path) -> None:
    assert cli("convert", "videos", "-o", "out").code == 0
    assert Path("out/a.mp4").exists()


@pytest.mark.usefixtures("models")
def test_failures_are_listed_and_stop_no_other_file(cli, videos: Path) -> None:
    whole = (videos / "a.mp4").read_bytes()
    (videos / "a.mp4").write_bytes(b"\0" * 100)
    done = cli("convert", "videos/**/*", "videos/none.mp4", "-o", "out", "--quiet")
    assert done.code == 3
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("failed: videos/a.mp4: ")
    assert "only zeros" in lines[0]
    assert "videos/none.mp4 does not exist" in lines[1]
    assert sorted(name for name, entry in _entries(Path("out")).items() if entry["state"] == "done") == ["b/c", "b/d e"]
    (videos / "a.mp4").write_bytes(whole)
    assert "1 files to convert; 2 are done" in cli("convert", "videos/**/*", "-o", "out").err


@pytest.mark.usefixtures("models")
def test_a_truncated_file_is_converted_as_far_as_possible_and_tried_again(cli, videos: Path) -> None:
    whole = write_video(videos / "a.mkv", count=60).read_bytes()
    (videos / "a.mkv").write_bytes(whole[: len(whole) // 2])
    command = ("convert", "videos/a.mkv", "videos/b/c.mkv", "-o", "out")
    assert cli(*command).code == 3
    entry = _entries(Path("out"))["a"]
    assert 0 < entry["frames"] < 60
    assert Path("out/a.mp4").stat().st_size == entry["outputs"]["output"][0]
    (videos / "a.mkv").write_bytes(whole)
    assert cli(*command).code == 0
    assert _entries(Path("out"))["a"]["frames"] == 60


@pytest.mark.usefixtures("models", "videos")
def test_outputs_of_a_failed_file_may_be_replaced(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("convert", "videos/*", "-o", "out", "--depth-out", "depth")
    with monkeypatch.context() as patch:
        patch.setattr(DepthVideoSink, "close", _fail)
        assert cli(*command).code == 5
    assert Path("out/a.mp4").exists()
    assert cli(*command).code == 0

    Path("depth/a.mkv").write_text("edited by hand")
    for _ in range(2):  # what is ours stays so, though the file is refused for what is not
        done = cli(*command, "--smooth", "off")
        assert done.code == 5
        assert "'depth/a.mkv' exists already" in done.err
    Path("depth/a.mkv").unlink()
    assert cli(*command, "--smooth", "off").code == 0


def _fail(sink: DepthVideoSink) -> None:
    sink.discard()
    raise SinkWriteError("no room")


def _clouds() -> list[str]:
    return sorted(path.name for path in Path("out").rglob("*.ply"))


@pytest.mark.usefixtures("models", "videos")
def test_numbered_outputs_of_other_settings_are_removed(cli) -> None:
    command = ("convert", "videos/**/a.mp4", "--points", "out", "--fov", "60")
    assert cli(*command, "--ply-every", "2").code == 0
    assert _clouds() == ["a_000000.ply", "a_000002.ply", "a_000004.ply"]
    assert "0 files to convert; 1 are done" in cli(*command, "--ply-every", "2").err
    assert cli(*command, "--ply-every", "5").code == 0
    assert _clouds() == ["a_000000.ply", "a_000005.ply"]

    Path("out/a_000077.ply").write_text("precious")
    done = cli(*command, "--ply-every", "3")
    assert done.code == 5
    assert "exists already, and not from an earlier run" in done.err
    assert Path("out/a_000077.ply").read_text() == "precious"
    assert _clouds() == ["a_000000.ply", "a_000005.ply", "a_000077.ply"]
    assert cli(*command, "--ply-every", "3", "--overwrite").code == 0
    assert _clouds() == ["a_000000.ply", "a_000003.ply"]


def test_two_runs_do_not_write_to_one_folder(cli, videos: Path, models: list[ConstantEstimator]) -> None:
    Path("out").mkdir()
    with Manifest(Path("out")):
        done = cli("convert", "videos/**/*.mp4", "-o", "out")
    assert done.code == 2
    assert "another run writes to 'out'" in done.err
    assert not models


@pytest.mark.usefixtures("videos", "models")
def test_a_full_disk_under_the_manifest_ends_the_run(cli, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("streamdepth.apps.batch.manifest.os.fsync", full)
    done = cli("convert", "videos/*.mp4", "videos/b/*", "-o", "out")
    assert (done.code, "make room" in done.err) == (6, True)


def test_an_internal_error_is_reported_and_does_not_end_the_run(cli, videos: Path, monkeypatch) -> None:
    class Broken(ConstantEstimator):
        def estimate(self, frames):
            if frames[0].stream.endswith("a.mp4"):
                raise ZeroDivisionError("secret")
            return super().estimate(frames)

    monkeypatch.setattr(factory, "make_estimator", lambda _: Broken())
    done = cli("convert", "videos/**/*.mp4", "-o", "out")
    assert done.code == 1
    assert "failed: videos/a.mp4: internal error, please report it: ZeroDivisionError" in done.err
    assert _entries(Path("out"))["b/d e"]["state"] == "done"


SLOW = """
from streamdepth import factory, cli, testing
factory.make_estimator = lambda _: testing.ConstantEstimator(delay_seconds=0.1)
cli.main()
"""


def test_ctrl_c_keeps_finished_files_and_no_partial_ones(cli, videos: Path, monkeypatch) -> None:
    class Interrupted(ConstantEstimator):
        def estimate(self, frames):
            if "/b/" in frames[0].stream:
                raise KeyboardInterrupt
            return super().estimate(frames)

    monkeypatch.setattr(factory, "make_estimator", lambda _: Interrupted())
    done = cli("convert", "videos/**/*.mp4", "-o", "out")
    assert done.code == 130
    assert "the same command goes on" in done.err
    assert [p.name for p in Path("out").rglob("*") if p.suffix == ".mp4"] == ["a.mp4"]


@pytest.mark.slow
def test_a_killed_run_is_resumed(cli, videos: Path, models) -> None:
    write_video(videos / "b/long.mp4", count=600)
    command = ["convert", "videos/**/*.mp4", "-o", "out"]
    process = subprocess.Popen([sys.executable, "-c", SLOW, *command], stderr=subprocess.DEVNULL)
    manifest = Path("out") / FILE_NAME
    wait_until(lambda: manifest.is_file() and '"b/long"' in manifest.read_text())
    wait_until(lambda: any(p.stat().st_size for p in Path("out/b").glob(".long*part*")))
    process.kill()
    process.wait(timeout=60)
    assert not Path("out/b/long.mp4").exists()
    assert list(Path("out/b").glob(".long*part*"))
    with manifest.open("a") as file:
        file.write('{"name": "a", "state": "fai')  # half a line

    write_video(videos / "b/long.mp4", count=8)
    done = cli(*command)
    assert done.code == 0, done.err
    assert "1 files to convert; 2 are done and unchanged" in done.err
    assert not list(Path("out/b").glob(".*part*"))
    assert len(manifest.read_text().splitlines()) == 4
