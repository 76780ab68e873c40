"""Each mistake gets one clear line, the right exit code, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.media import truncate, write_size_change, write_sound_only, write_video
from PIL import Image

pytestmark = pytest.mark.usefixtures("quick_model")


def _text(path: Path) -> Path:
    path.write_text("this is a letter, not a video\n" * 50)
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


MISTAKES = {
    "missing": (lambda p: p, "does not exist"),
    "folder that is empty": (lambda p: p.mkdir() or p, "no pictures"),
    "empty": (lambda p: _bytes(p, b""), "empty"),
    "zeros": (lambda p: _bytes(p, bytes(100_000)), "zero"),
    "text": (_text, "not a video"),
    "audio only": (lambda p: write_sound_only(p), "no video"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_unreadable_inputs(cli, tmp_path: Path, name: str) -> None:
    make, says = MISTAKES[name]
    source = make(tmp_path / "in.mp4")
    target = tmp_path / "out"
    target.mkdir()
    done = cli("convert", source, "-o", target / "out.mp4", "--depth-out", target / "depth.mkv")
    assert done.code == 3
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert says in done.err.lower(), done.err
    assert "in.mp4" in done.err
    assert list(target.iterdir()) == []


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mp4", count=40, size=(160, 120))


def _count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_truncated_file_gives_what_it_has_and_says_so(cli, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", count=60, size=(160, 120), container_options={"movflags": "faststart"})
    source, target = truncate(whole, 0.6), tmp_path / "out.mp4"
    done = cli("convert", source, "-o", target)
    assert done.code == 3, done.err
    assert "of 60" in done.err
    assert 5 < _count(target) < 60
    target.unlink()
    done = cli("convert", source, "-o", target, "--allow-partial")
    assert done.code == 0, done.err
    assert "of 60" in done.err
    assert 5 < _count(target) < 60


def test_metadata_that_cannot_be_decoded_is_no_obstacle(cli, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", metadata={"title": "TITLE-HERE"})
    _bytes(source, source.read_bytes().replace(b"TITLE-HERE", b"\xff\xfe\xe9\xe8TLEHER"))
    done = cli("convert", source, "-o", tmp_path / "out.mkv")
    assert done.code == 0, done.err


def test_a_size_change_in_mid_stream_is_announced(cli, tmp_path: Path) -> None:
    source = write_size_change(tmp_path / "in.ts")
    target = tmp_path / "out.mp4"
    done = cli("convert", source, "-o", target)
    assert done.code == 0, done.err
    assert "size" in done.err
    assert _count(target) == 20


def test_a_picture_of_one_pixel(cli, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (200, 10, 10)).save(tmp_path / "dot.png")
    done = cli("convert", tmp_path / "dot.png", "-o", tmp_path / "out.mp4")
    assert done.code == 0, done.err
    assert _count(tmp_path / "out.mp4") == 1


def test_a_picture_that_is_too_wide_names_the_flag(cli, tmp_path: Path) -> None:
    Image.new("RGB", (16385, 2)).save(tmp_path / "wide.png")
    done = cli("convert", tmp_path / "wide.png", "--depth-out", tmp_path / "%06d.npz")
    assert done.code == 3
    assert "--max-side" in done.err
    done = cli("convert", tmp_path / "wide.png", "--depth-out", tmp_path / "%06d.npz", "--max-side", 20000)
    assert done.code == 0, done.err


def test_an_existing_output_is_kept(cli, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    done = cli("convert", clip, "-o", target)
    assert done.code == 5
    assert "--overwrite" in done.err
    assert target.read_text() == "precious"
    assert cli("convert", clip, "-o", target, "--overwrite").code == 0
    assert _count(target) == 40


def test_the_output_is_never_the_input(cli, clip: Path) -> None:
    before = clip.read_bytes()
    done = cli("convert", clip, "-o", clip, "--overwrite")
    assert done.code == 5
    assert "the input itself" in done.err
    assert clip.read_bytes() == before


def test_an_empty_source_is_not_the_current_folder(
    cli, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    done = cli("convert", "", "-o", "out.mp4")
    assert done.code == 2
    assert "the source is empty" in done.err
    assert not Path("out.mp4").exists()


def test_a_folder_for_one_file_says_what_folders_are_for(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", f"{tmp_path / 'out'}/")
    assert done.code == 2
    assert "a folder is for several inputs" in done.err
    assert "a folder is for" not in cli("convert", clip, "-o", tmp_path / "out.xyz").err


def test_a_folder_that_is_not_there_is_made(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", tmp_path / "nowhere" / "out.mp4")
    assert done.code == 0, done.err
    assert (tmp_path / "nowhere" / "out.mp4").stat().st_size


def test_a_folder_that_cannot_be_made(cli, clip: Path, tmp_path: Path) -> None:
    done = cli("convert", clip, "-o", clip / "out.mp4")
    assert done.code == 5
    assert [path.name for path in tmp_path.iterdir()] == [clip.name]


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk: the operating system refuses writes at the same place."""
    source = write_video(
        tmp_path / "in.mp4", images=list(np.random.default_rng(0).integers(0, 255, (40, 240, 320, 3), np.uint8))
    )
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        f"sys.argv = ['streamdepth', 'convert', {str(source)!r}, '-o', 'out.mp4', '--engine', 'torch', '--size', '32'];"
        "from streamdepth.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 6, done.stderr
    assert "out.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["in.mp4"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "out.mp4", "--colormap", "infreno"], "inferno"),
        (["-o", "out.mp4", "--smooth", "much"], "off, light, default, strong"),
        (["-o", "out.mp4", "--style", "wipe"], "'overlay', 'depth', 'side-by-side', 'sbs', "),
        (["-o", "out.xyz"], "cannot tell what to write"),
        (["--depth-out", "out.avi"], "use .mkv"),
        ([], "needs an output"),
        (["-o", "out.mp4", "--set", "video.crg=3"], "did you mean 'video.crf'"),
        (["-o", "out.mp4", "--config", "none.yaml"], "none.yaml"),
        (["-o", "out.mp4", "--max-frames", "0"], "max_frames"),
    ],
)
def test_wrong_settings(cli, clip: Path, tmp_path: Path, monkeypatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("convert", clip, *arguments)
    assert done.code == 2, done.err
    assert says in done.err
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_a_wrong_flag_is_a_setting_error(cli) -> None:
    assert cli("convert", "--no-such-flag").code == 2


class TestModels:
    @pytest.fixture
    def quick_model(self) -> None:
        """Replaces the fixture that fakes models: these tests load real ones."""

    def test_a_wrong_model_name_names_the_nearest(self, cli, clip: Path, tmp_path: Path) -> None:
        done = cli("convert", clip, "-o", tmp_path / "out.mp4", "--model", "depth-anything-v2-smal")
        assert done.code == 4
        assert "depth-anything-v2-small" in done.err
        assert "nano" in done.err
        assert not (tmp_path / "out.mp4").exists()

    def test_a_non_commercial_model_needs_a_flag(self, cli, clip: Path, tmp_path: Path) -> None:
        done = cli("convert", clip, "-o", tmp_path / "out.mp4", "--model", "depth-anything-v2-large")
        assert done.code == 4
        assert "--accept-license" in done.err
        assert os.listdir(tmp_path) == ["in.mp4"]


def test_credentials_are_never_shown(cli, tmp_path: Path) -> None:
    address = "rtsp://admin:hunter2@127.0.0.1:9/live?token=s3cret"
    done = cli("convert", address, "-o", tmp_path / "out.mp4", "-v", "--set", "network.reconnect_seconds=0")
    assert done.code == 3
    for secret in ("admin", "hunter2", "s3cret"):
        assert secret not in done.err + done.out
    assert "127.0.0.1" in done.err


def test_a_camera_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Runs in a process of its own, because OpenCV writes its warnings past Python's streams."""
    command = [sys.executable, "-m", "streamdepth", "convert", "99", "-o", "out.mp4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "camera 99" in done.stderr
