"""Paths that cannot be are one line with the right exit code in every verb, never an internal error."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.media import write_video
from PIL import Image

pytestmark = [pytest.mark.usefixtures("quick_model"), pytest.mark.slow]

LONG = "y" * 300
PATHS = ("LONG", "DIR/LONG", "file.txt/in", "loop/in", "loop", "socket", "")
SUFFIXES = ("", ".mp4", ".png", ".mcap", ".yaml", "/%06d.png", "/*.mp4")
READERS = {
    "probe": ("PATH",),
    "image": ("PATH", "-o", "out.png"),
    "convert": ("PATH", "-o", "out.mp4"),
    "convert several": ("PATH", "in.mp4", "-o", "out"),
    "convert with a camera": ("in.mp4", "-o", "out.mp4", "--camera-info", "PATH"),
    "convert with a configuration": ("in.mp4", "-o", "out.mp4", "--config", "PATH"),
    "run": ("PATH",),
    "calibrate": ("PATH", "-o", "camera.yaml"),
    "volume": ("PATH",),
    "fuse": ("PATH", "-o", "out.ply"),
    "lerobot": ("PATH", "-o", "out"),
    "eval accuracy": ("PATH",),
    "eval temporal": ("PATH",),
    "eval steadiness": ("PATH",),
    "train recipe": ("PATH", "--data", "none", "-o", "runs"),
    "bench": ("PATH", "--frames", "2", "--rounds", "1"),
    "live": ("PATH", "--max-frames", "2"),
    "serve": ("PATH", "--port", "0", "--max-frames", "2"),
    "models": ("PATH",),
    "quantize": ("nano", "--calibrate", "PATH", "-o", "out"),
}
WRITERS = {
    "convert": ("in.mp4", "-o", "PATH"),
    "convert depth": ("in.mp4", "--depth-out", "PATH"),
    "convert points": ("in.mp4", "-o", "out.mp4", "--ply", "PATH"),
    "convert stats": ("in.mp4", "-o", "out.mp4", "--stats", "PATH"),
    "image": ("in.png", "-o", "PATH"),
    "calibrate": ("in.mp4", "-o", "PATH"),
    "settings": ("-o", "PATH"),
    "export": ("nano", "-o", "PATH"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    write_video(Path("in.mp4"), count=2)
    Image.new("RGB", (32, 24)).save("in.png")
    Path("file.txt").write_text("x")
    Path("loop").symlink_to("loop")
    Path(LONG[:200]).mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        yield tmp_path


VERBS = (*READERS, *(f"{name} to" for name in WRITERS))


def combinations(verb: str) -> list[tuple[str, str]]:
    """Returns each path with two suffixes for one verb, others for the next: all verbs together see each pair."""
    turn = VERBS.index(verb)
    return [
        (path, SUFFIXES[(turn + place + step) % len(SUFFIXES)]) for place, path in enumerate(PATHS) for step in (0, 3)
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_a_path_that_cannot_be(cli, folder: Path, verb: str) -> None:
    arguments = READERS.get(verb) or WRITERS[verb.removesuffix(" to")]
    words = verb.split()[:2] if verb.startswith(("eval", "train")) else verb.split()[:1]
    for path, suffix in combinations(verb):
        bad = path.replace("LONG", LONG).replace("DIR", LONG[:200]) + suffix
        done = cli(*words, *(bad if argument == "PATH" else argument for argument in arguments))
        shown = done.err.replace(LONG, "LONG")
        assert "internal error" not in shown, f"{verb} {path}{suffix}: {shown[-300:]}"
        assert "Traceback" not in shown
        assert done.code in (0, 2, 3, 5), f"{verb} {path}{suffix}: {done.code} {shown[-300:]}"
