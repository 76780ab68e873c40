from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.compare import compare_streams
from helpers.media import write_video
from helpers.waiting import wait_until
from PIL import Image

import streamdepth
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.version import __version__
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sources.camera_discovery import CameraDevice
from streamdepth.testing import ConstantEstimator, RecordingSink

pytestmark = pytest.mark.usefixtures("quick_model")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mp4", count=20, size=(96, 64), audio_offset_seconds=0.1)


def _frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_version_and_help(cli) -> None:
    assert cli("--version").out.strip() == f"streamdepth {__version__}"
    assert "convert" in cli("--help").out


@pytest.mark.parametrize("verb", ["convert", "live", "run", "image", "probe", "models", "settings", "doctor"])
def test_every_verb_has_help_with_an_example(cli, verb: str) -> None:
    done = cli(verb, "--help")
    assert done.code == 0
    assert f"Example: streamdepth {verb}" in done.out


def test_convert_keeps_times_and_sound(cli, clip: Path, tmp_path: Path) -> None:
    target, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    done = cli("convert", clip, "-o", target, "--depth-out", tmp_path / "depth.mkv", "--stats", stats)
    assert done.code == 0, done.err
    assert "20 of 20 frames" in done.err
    result = compare_streams(clip, target)
    assert result.pts_equal
    assert [t.payloads for t in result.source.tracks] == [t.payloads for t in result.output.tracks]
    assert [t.times for t in result.source.tracks] == [t.times for t in result.output.tracks]
    report = json.loads(stats.read_text())
    assert report["read"] == report["written"] == 20
    assert set(report) >= {"read", "written", "dropped", "reconnects", "latency_ms", "fps", "model", "engine"}
    video = streamdepth.DepthVideo(tmp_path / "depth.mkv")
    assert len(video) == 20
    assert video.kind is streamdepth.DepthKind.RELATIVE


def test_the_last_line_says_where_the_result_is_how_long_and_how_large(cli, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    *others, last = cli("convert", clip, "-o", target, "--max-frames", 10).err.splitlines()
    assert last.startswith(f"{target}, {target.stat().st_size / 1000:.3g} kB (")
    assert "10 of 10 frames" in last
    assert "partial" not in last
    assert "p95" not in "".join([*others, last])
    assert any("p95" in line for line in cli("convert", clip, "-o", target, "--overwrite", "-v").err.splitlines())


def test_progress_without_a_terminal_is_a_line_now_and_then(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.cli.progress._LINE_SECONDS", 0.0)
    done = cli("convert", clip, "-o", tmp_path / "out.mp4", "--max-seconds", 0.2)
    assert any(" of " in line and "%" in line for line in done.err.splitlines()), done.err


def test_what_was_left_out_stands_above_the_last_line(cli, tmp_path: Path) -> None:
    """With many other lines before it, nobody would see it where it was logged."""
    clips = [write_video(tmp_path / f"{name}.mkv", count=5, subtitles=[(0, 1, "x")]) for name in "ab"]
    *_, note, last = cli("convert", clips[0], "-o", tmp_path / "a.mov").err.splitlines()
    assert last.startswith(f"{tmp_path / 'a.mov'}, ")
    assert note.startswith("note: subtitle track 1")
    in_full = cli("convert", clips[0], "-o", tmp_path / "a.mov", "--overwrite", "-v").err
    assert in_full.replace("\n", " ").count("subtitle track 1") == 1
    lines = cli("convert", *clips, "-o", tmp_path / "out" / "{name}.mov").err.splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    assert len(notes) == 1
    assert "and 1 more" in notes[0]
    assert lines.index(notes[0]) == len(lines) - 2
    assert sum("subtitle track 1" in line for line in lines) == 1


def test_a_batch_without_a_terminal_says_how_far_it_is(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.cli.batch._LINE_SECONDS", 0.0)
    other = write_video(tmp_path / "other.mp4", count=7)
    done = cli("convert", clip, other, "-o", tmp_path / "out")
    assert any("%, 1 of 2 files; other" in line for line in done.err.splitlines()), done.err
    assert "%" not in cli("convert", clip, other, "-o", tmp_path / "out", "--overwrite", "-q").err


def test_a_clip_that_was_stopped_is_called_partial(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    estimate = ConstantEstimator.estimate

    def interrupt(self, frames):
        if len(self.batches) < 3:
            return estimate(self, frames)
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(ConstantEstimator, "estimate", estimate)
        wait_until(lambda: stopped)
        return estimate(self, frames)

    stopped: list[bool] = []
    stop = Pipeline.stop
    monkeypatch.setattr(Pipeline, "stop", lambda self: (stop(self), stopped.append(True)))
    monkeypatch.setattr(ConstantEstimator, "estimate", interrupt)
    done = cli("convert", clip, "-o", tmp_path / "out.mp4")
    assert done.code == 0
    assert "partial" in done.err.splitlines()[-1]


def test_quiet_is_silent(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", tmp_path / "out.mp4", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_generated_source_and_limits(cli, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    assert cli("convert", "lavfi:testsrc2=size=64x48:rate=10", "-o", target, "--max-seconds", 1).code == 0
    assert _frames(target) == 10
    assert cli("convert", "lavfi:testsrc2=size=64x48", "-o", target, "--max-frames", 3, "--overwrite").code == 0
    assert _frames(target) == 3


def test_several_inputs_share_a_model_and_a_folder(cli, clip: Path, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.mp4", count=7)
    done = cli("convert", clip, other, "-o", tmp_path / "out", "--depth-out", tmp_path / "depth")
    assert done.code == 0, done.err
    assert _frames(tmp_path / "out/in.mp4") == 20
    assert _frames(tmp_path / "out/other.mp4") == 7
    assert len(streamdepth.DepthVideo(tmp_path / "depth/other.mkv")) == 7


def test_run_takes_a_configuration(cli, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(f"source: {clip}\noutputs: {{video: {tmp_path / 'out.mp4'}}}\nmax_frames: 4\nquiet_typo: 1\n")
    done = cli("run", path)
    assert (done.code, done.error_code) == (2, "unknown-setting")
    assert "quiet_typo" in done.err
    path.write_text(f"source: {clip}\noutputs: {{video: {tmp_path / 'out.mp4'}}}\nmax_frames: 4\n")
    assert cli("run", path, "--set", "max_frames=6").code == 0
    assert _frames(tmp_path / "out.mp4") == 6


@pytest.mark.parametrize("suffix", [".png", ".npz", ".jpg"])
def test_image(cli, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / "in.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(picture)
    target = tmp_path / f"depth{suffix}"
    done = cli("image", picture, "-o", target)
    assert done.code == 0, done.err
    assert "60x40, relative (inverse depth without unit, near is large)" in done.err
    if suffix == ".npz":
        assert np.load(target)["depth"].shape == (40, 60)
    else:
        with Image.open(target) as written:
            assert written.size == (60, 40)
    assert cli("image", picture, "-o", target).code == 5


def test_probe_lists_cameras(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [CameraDevice(0, "HD Pro Webcam"), CameraDevice(2, "Lab Camera")]
    monkeypatch.setattr("streamdepth.sources.camera_discovery.list_cameras", lambda: found)
    done = cli("probe", "--cameras")
    assert done.code == 0
    assert [line.split() for line in done.out.splitlines()[1:]] == [
        ["0", "HD", "Pro", "Webcam"],
        ["2", "Lab", "Camera"],
    ]
    found.clear()
    done = cli("probe", "--cameras")
    assert (done.code, done.out) == (0, "")
    assert "no camera was found" in done.err
    done = cli("probe")
    assert (done.code, done.error_code) == (2, "no-source")
    assert "--cameras" in done.err


def test_probe(cli, clip: Path) -> None:
    done = cli("probe", clip)
    assert done.code == 0
    assert "96x64 px" in done.out
    assert "audio: aac" in done.out
    facts = dict(re.findall(r"^ *(\S.*?)  +(\S.*?) *$", done.out, re.MULTILINE))
    assert facts["duration"].startswith("0:00:0")
    assert (facts["rotation"], facts["HDR"]) == ("none", "no")


def test_a_name_that_is_no_utf_8_loses_no_result(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = clip.rename(tmp_path / os.fsdecode(b"clip_\xe9.mp4"))
    for output in (b"o\xe9.mp4", b"o\xe9.mkv", b"d\xe9_%02d.png"):
        name = os.fsdecode(output)
        done = cli("convert", source.name, "-o", name, "--depth-out", f"{name}.mkv", "--stats", f"{name}.json")
        assert done.code == 0, done.err
    assert "20 of 20" in done.err
    (tmp_path / "out").mkdir()
    assert cli("convert", os.fsdecode(b"*_\xe9.mp4"), "-o", "out", "--depth-out", "depth").code == 0


EVIL = "\x1b]0;owned\x07\x1b[31m\x9b31m"


def test_control_sequences_of_a_name_are_only_shown(cli, tmp_path: Path) -> None:
    clip = write_video(tmp_path / f"a{EVIL}.mp4", count=3)
    told = [cli("probe", clip), cli("probe", f"no{EVIL}.mp4"), cli("probe", f"no{EVIL}.mp4", "-v")]
    told += [
        cli("convert", clip, "-o", tmp_path / "out.mp4", "-v"),
        cli("convert", clip, "-o", tmp_path / f"{EVIL}.mp4"),
    ]
    for done in told:
        assert not any(c in done.out + done.err for c in "\x1b\x07\x9b"), done
    assert r"\x1b]0;owned" in told[0].out


def test_control_sequences_of_a_server_are_only_shown(cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(999)
                connection.sendall(f"HTTP/1.0 404 {EVIL}\r\n\r\n".encode("latin-1"))

        thread = threading.Thread(target=answer)
        thread.start()
        done = cli("probe", f"http://127.0.0.1:{server.getsockname()[1]}/x.png")
        thread.join()
    assert done.code == 3
    assert not any(c in done.out + done.err for c in "\x1b\x07\x9b"), done


def test_models_lists_licenses(cli) -> None:
    done = cli("models")
    assert done.code == 0
    for word in ("nano", "dpt-large", "metric", "--accept-license", "99 MB", "take this for better depth"):
        assert word in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert "Intel/dpt-large" in cli("models", "dpt-large").out
    assert "needs --accept-license" in cli("models", "depth-pro").out
    assert cli("models", "dpt-larg").error_code == "unknown-model"
    done = cli("models", "Metric", "--device", "cpu")
    assert ("da3-metric" in done.out, "--model depth-anything-v2-metric-indoor-small" in done.out) == (True, True)
    done = cli("models", "fixed.onnx")
    assert (done.error_code, "--inspect fixed.onnx" in done.err) == ("unknown-model", True)


def test_models_tells_the_speed_here_once_a_model_has_run(cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path / "cache"))
    nano = next(line for line in cli("models").out.splitlines() if line.startswith("nano"))
    assert nano.split()[3] == "-"
    clip = write_video(tmp_path / "in.mp4", count=12)
    assert cli("convert", clip, "-o", tmp_path / "out.mp4").code == 0
    nano = next(line for line in cli("models").out.splitlines() if line.startswith("nano"))
    assert float(nano.split()[3]) > 0


def test_shell_completion_can_be_shown(cli) -> None:
    assert "--install-completion" in cli("--help").out


@pytest.mark.slow
def test_doctor_says_what_works(cli) -> None:
    done = cli("doctor")
    assert done.code == 0
    assert "built-in model" in done.out
    assert "ms a frame" in done.out
    assert "Error" not in done.out


def test_a_traceback_only_with_verbose(cli, tmp_path: Path) -> None:
    short = cli("convert", tmp_path / "no.mp4", "-o", tmp_path / "out.mp4")
    long = cli("convert", tmp_path / "no.mp4", "-o", tmp_path / "out.mp4", "-v")
    assert short.code == long.code == 3
    assert "Traceback" not in short.err
    assert "Traceback" in long.err


def _start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "streamdepth", *map(str, arguments)], stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    "flags",
    [
        ("convert", "in.mp4", "-o", "out.mp4", "--stats", "./in.mp4"),
        ("convert", "in.mp4", "--depth-out", "d.mkv", "--stats", "link.mp4"),
        ("convert", "in.mp4", "-o", "x.mkv", "--depth-out", "./x.mkv"),
        ("convert", "in.mp4", "-o", "x.mp4", "--stats", "x.mp4"),
        ("convert", "in.mp4", "--depth-out", "d.mkv", "--stats", "d.mkv.json"),
        ("image", "photo.png", "-o", "x.ply", "--ply", "./x.ply"),
        ("image", "photo.png", "-o", "photo.png"),
        ("eval", "temporal", "in.mp4", "--json", "in.mp4"),
        ("eval", "temporal", "in.mp4", "--side-by-side", "in.mp4"),
        ("eval", "temporal", "in.mp4", "--plot", "x.png", "--json", "x.png"),
        ("eval", "steadiness", "in.mp4", "--json", "in.mp4"),
        ("bench", "in.mp4", "--quick", "--json", "in.mp4"),
    ],
    ids=" ".join,
)
def test_no_output_replaces_an_input_or_another_output(
    cli, clip: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    monkeypatch.chdir(clip.parent)
    Path("link.mp4").hardlink_to(clip)
    Image.new("RGB", (64, 48)).save("photo.png")
    before = {path.name: path.read_bytes() for path in clip.parent.iterdir()}
    done = cli(*flags, "--overwrite")
    assert (done.code, done.error_code) in ((2, "same-output"), (5, "is-input")), done.err
    assert {path.name: path.read_bytes() for path in clip.parent.iterdir()} == before


def _wait_for_part(folder: Path) -> None:
    wait_until(lambda: any(p.stat().st_size > 0 for p in folder.glob(".*part*")))


ENDLESS = "lavfi:testsrc2=size=320x240:rate=30"


@pytest.mark.slow
def test_ctrl_c_leaves_a_file_that_plays(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    process = _start("convert", ENDLESS, "-o", target, "--engine", "torch", "--size", 64)
    _wait_for_part(tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.communicate()
    assert _frames(target) > 0
    assert os.listdir(tmp_path) == ["out.mkv"]


@pytest.mark.slow
def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    target.write_text("old")
    process = _start("convert", ENDLESS, "-o", target, "--engine", "torch", "--size", 64, "--overwrite")
    _wait_for_part(tmp_path)
    process.kill()
    process.communicate()
    assert target.read_text() == "old"


NOTES_THE_STOP = """
import os, signal, sys, threading, time
from streamdepth import factory, testing
from streamdepth.pipeline.pipeline import Pipeline
stopped, stop = threading.Event(), Pipeline.stop
Pipeline.stop = lambda self: (stop(self), stopped.set())
"""


def test_ctrl_c_while_the_model_loads_says_so(tmp_path: Path) -> None:
    code = (
        f"{NOTES_THE_STOP}"
        "def load(_):\n"
        "    os.kill(os.getpid(), signal.SIGINT); stopped.wait(60); return testing.ConstantEstimator()\n"
        "factory.make_estimator = load\n"
        f"sys.argv = ['streamdepth', 'convert', {ENDLESS!r}, '-o', 'out.mkv']\n"
        "from streamdepth.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert "nothing was written" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", ["load", "estimate"])
@pytest.mark.parametrize("verb", ["convert", "serve", "image"])
def test_ctrl_c_is_answered_at_once_while_a_library_is_busy(verb: str, method: str, tmp_path: Path) -> None:
    """A network is converted or compiled inside of a library, which hears no signal for many seconds."""
    code = (
        "import ctypes\n"
        "from streamdepth import factory, testing\n"
        "def busy(*_):\n"
        "    print('busy', flush=True)\n"
        "    ctypes.CDLL(None).sleep(60)\n"
        "class Slow(testing.ConstantEstimator):\n"
        f"    def __init__(self): super().__init__(); {method!r} == 'load' and busy()\n"
        "    estimate = warm_up = busy\n"
        "factory.models._load_estimator = lambda _: Slow()\n"
        "from streamdepth.__main__ import main; main()"
    )
    arguments = {
        "convert": ["convert", ENDLESS, "-o", "out.mkv"],
        "serve": ["serve", ENDLESS, "--port", "0"],
        "image": ["image", "a.png", "-o", "out.png"],
    }[verb]
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "busy" not in process.stdout.readline():
        assert process.poll() is None, process.communicate()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert time.monotonic() - began < 15  # the library would take a minute
    assert [name for name in os.listdir(tmp_path) if name.startswith((".", "out"))] == []


def test_ctrl_c_while_the_command_loads_says_so() -> None:
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pydantic': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from streamdepth.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.slow
def test_ctrl_c_while_a_camera_does_not_answer_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        process = _start("convert", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", "-o", tmp_path / "out.mkv")
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"nothing was written" in told
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_at_once_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    code = (
        f"{NOTES_THE_STOP}"
        f"send = lambda: os.kill(os.getpid(), {int(number)})\n"
        "class Slow(testing.ConstantEstimator):\n"
        "    def estimate(self, frames):\n"
        "        if len(self.batches) == 5: send(); stopped.wait(60); send(); time.sleep(2)\n"
        "        return super().estimate(frames)\n"
        "factory.make_estimator = lambda _: Slow()\n"
        f"sys.argv = ['streamdepth', 'convert', {ENDLESS!r}, '-o', 'out.mkv']\n"
        "from streamdepth.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, done.stderr
    assert "not kept" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_missing_file_loads_no_model(cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.factory.make_estimator", lambda _: pytest.fail("loaded"))
    done = cli("convert", tmp_path / "no.mp4", "-o", tmp_path / "out.mp4", "--stats", tmp_path / "stats.json")
    assert done.code == 3
    assert json.loads((tmp_path / "stats.json").read_text())["read"] == 0
    again = cli("convert", tmp_path / "no.mp4", "-o", tmp_path / "out.mp4", "--stats", tmp_path / "stats.json")
    assert again.code == 3, "the report of a run that read nothing is in nobody's way"


def test_a_duration_is_asked_for_by_examples(cli) -> None:
    done = cli("convert", "in.mp4", "-o", "out.mp4", "--segment", "10x")
    assert (done.code, done.error_code) == (2, "bad-value")
    assert "outputs.segment: write 30s, 10m, 1h" in done.err
    assert "'10x'" in done.err


def test_missing_folders_of_outputs_are_made(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", tmp_path / "a" / "b" / "out.mp4", "--depth-out", tmp_path / "d" / "%06d.npz")
    assert done.code == 0, done.err
    assert (tmp_path / "a/b/out.mp4").is_file()
    assert len(list((tmp_path / "d").glob("*.npz"))) == 20


@pytest.mark.parametrize(
    ("flags", "error_code"),
    [
        (("-o", "taken.mp4"), "exists"),
        (("--depth-out", "taken_%02d.png"), "exists"),
        (("-o", "taken.mp4/out.mp4"), "no-folder"),
        (("-o", "out.mp4", "--set", "video.codec=h264_nvenc"), "encoder-failed"),
        (("-o", "out.mp4", "--set", "video.codec=nonsense"), "unknown-encoder"),
        (("-o", "out.xyz"), "unknown-format"),
    ],
    ids=str,
)
def test_cheap_mistakes_load_no_model(
    cli, clip: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], error_code: str
) -> None:
    monkeypatch.chdir(clip.parent)
    for name in ("taken.mp4", "taken_01.png"):
        Path(name).touch()
    works = "streamdepth.sinks.encoders._works"
    monkeypatch.setattr(works, lambda _: False)
    monkeypatch.setattr("streamdepth.sinks.encoders._is_encoder", lambda name: name != "nonsense")
    monkeypatch.setattr("streamdepth.factory.make_estimator", lambda _: pytest.fail("loaded"))
    done = cli("convert", clip, *flags)
    assert done.error_code == error_code, done.err


def test_without_a_screen_no_model_is_loaded(cli, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SinkOpenError("there is no screen here", code="no-display")

    monkeypatch.setattr("streamdepth.sinks.window.check_display", refuse)
    monkeypatch.setattr("streamdepth.factory.make_estimator", lambda _: pytest.fail("loaded"))
    assert cli("live", clip).error_code == "no-display"


def test_stats_that_cannot_be_written_are_known_before_the_work(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", tmp_path / "out.mp4", "--stats", clip / "no" / "stats.json")
    assert done.code == 5
    assert not (tmp_path / "out.mp4").exists()
    (tmp_path / "stats.json").write_text("precious")
    assert cli("convert", clip, "-o", tmp_path / "out.mp4", "--stats", tmp_path / "stats.json").code == 5
    assert (tmp_path / "stats.json").read_text() == "precious"


def test_live_takes_the_source_of_a_configuration(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.sinks.window.WindowSink", lambda *_, **__: RecordingSink(can_drop_frames=True))
    path = tmp_path / "my.yaml"
    path.write_text(f"source: {clip}\nmax_frames: 3\n")
    done = cli("live", "--config", path)
    assert done.code == 0, done.err
    assert "of 3 frames" in done.err


def test_names_with_brackets_are_files(cli, tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip[1080p].mp4", count=5)
    assert cli("convert", source, "-o", tmp_path / "out*.mp4").code == 0
    assert _frames(tmp_path / "out*.mp4") == 5


def test_equal_names_keep_their_folders(cli, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    clips = [write_video(tmp_path / n, count=i + 3) for i, n in enumerate(("b_2.mp4", "b.mp4", "d/b.mp4"))]
    assert cli("convert", *clips, "-o", tmp_path / "out").code == 0
    written = {str(p.relative_to(tmp_path / "out")): _frames(p) for p in (tmp_path / "out").rglob("*.mp4")}
    assert written == {"b_2.mp4": 3, "b.mp4": 4, "d/b.mp4": 5}


def test_an_address_no_file_can_have(cli, tmp_path: Path) -> None:
    assert cli("convert", "x" * 5000, "-o", tmp_path / "out.mp4").code == 3


def test_an_unforeseen_error_is_one_line(cli, clip: Path, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(ConstantEstimator, "estimate", fail)
    done = cli("convert", clip, "-o", tmp_path / "out.mp4")
    assert done.code == 1
    assert "internal error" in done.err
    assert "Traceback" not in done.err
    assert os.listdir(tmp_path) == ["in.mp4"]
