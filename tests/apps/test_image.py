"""`streamdepth image` with several pictures, folders and patterns: one file each, named after its picture."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.media import write_video
from PIL import Image

from streamdepth import factory
from streamdepth.config import make
from streamdepth.factory.pictures import forget_shared_estimators
from streamdepth.sources.file import FileSource
from streamdepth.sources.images import ImagesSource


@pytest.fixture(autouse=True)
def _model(quick_model: None) -> Iterator[None]:
    forget_shared_estimators()
    yield
    forget_shared_estimators()


SIZES = {"beach holiday.jpg": (60, 40), "Portrait of Ann.png": (40, 60), "zoo.webp": (50, 50)}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size, (200, 60, 30)).save(folder / name)
    (folder / "._zoo.webp").write_bytes(b"\0\5\26\7")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            found[path.name] = picture.size
    return found


EXPECTED = {f"{Path(name).stem}.png": size for name, size in SIZES.items()}


def test_a_folder_a_pattern_and_a_list_give_each_picture_its_name_and_size(cli, album: Path, tmp_path: Path) -> None:
    inputs = [[album], [album / "*.[jpw]*"], [album / name for name in SIZES]]
    for number, pictures in enumerate(inputs):
        out = tmp_path / f"out{number}"
        done = cli("image", *pictures, "-o", out)
        assert done.code == 0, done.err
        assert sizes(out) == EXPECTED
    assert "3 of 3" in done.err


def test_the_name_stands_where_it_is_wanted_and_two_of_one_name_differ(cli, album: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(album / "zoo.png")
    done = cli("image", album, "-o", tmp_path / "{name}/depth.jpg")
    assert done.code == 0, done.err
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/depth.jpg")}
    names = ("Portrait of Ann", "beach holiday", "zoo", "zoo_2")
    assert written == {f"{name}/depth.jpg" for name in names}


def test_a_picture_whose_own_name_is_free_keeps_it(cli, tmp_path: Path) -> None:
    for width, name in ((10, "IMG.jpg"), (20, "IMG.png"), (30, "IMG_2.jpg")):
        Image.new("RGB", (width, 16)).save(tmp_path / name)
    done = cli("image", tmp_path, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert sizes(tmp_path / "out") == {"IMG.png": (10, 16), "IMG_3.png": (20, 16), "IMG_2.png": (30, 16)}


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="this system has no /dev/stdin")
def test_a_picture_on_standard_input(cli, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 60, 30)).save(buffer, "JPEG")
    reader, writer = os.pipe()
    os.write(writer, buffer.getvalue())
    os.close(writer)
    stdin = os.dup(0)
    os.dup2(reader, 0)
    try:
        done = cli("image", "-", "-o", tmp_path / "depth.png")
    finally:
        os.dup2(stdin, 0)
        os.close(reader)
        os.close(stdin)
    assert done.code == 0, done.err
    assert sizes(tmp_path) == {"depth.png": (40, 30)}


def test_a_terminal_is_no_picture(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    done = cli("image", "-", "-o", tmp_path / "depth.png")
    assert (done.code, done.error_code) == (2, "no-source")


def test_one_that_fails_ends_no_other_and_decides_the_exit_code(cli, album: Path, tmp_path: Path) -> None:
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    done = cli("image", album, "-o", tmp_path / "out")
    assert done.code == 3
    assert "broken.jpg" in done.err
    assert sizes(tmp_path / "out") == EXPECTED


def test_several_pictures_need_a_folder(cli, album: Path, tmp_path: Path) -> None:
    done = cli("image", album, "-o", tmp_path / "one.png")
    assert (done.code, done.error_code) == (2, "not-a-folder")
    done = cli("image", tmp_path / "*.jpg", "-o", tmp_path / "out")
    assert (done.code, done.error_code) == (3, "not-found")
    assert not (tmp_path / "out").exists()


def test_changed_gray_levels_are_announced(cli, tmp_path: Path) -> None:
    ramp = np.linspace(0, 4095, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "gray12.png")
    done = cli("image", tmp_path / "gray12.png", "-o", tmp_path / "a.npz")
    assert done.code == 0, done.err
    assert "0 to 4095" in done.err


def test_linear_light_is_announced(cli, tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    light = np.full((24, 32), 0.2, np.float32)
    exr.File({"type": exr.scanlineimage}, dict.fromkeys("RGB", light)).write(str(tmp_path / "plate.exr"))
    done = cli("image", tmp_path / "plate.exr", "-o", tmp_path / "a.npz")
    assert done.code == 0, done.err
    assert "linear" in done.err


def test_a_misnamed_picture_is_read_by_its_content_and_told(cli, tmp_path: Path) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "a.jpg")
    for name in ("really.png", "really.mp4"):
        (tmp_path / name).write_bytes((tmp_path / "a.jpg").read_bytes())
        done = cli("image", tmp_path / name, "-o", tmp_path / f"{name}.npz")
        assert done.code == 0, done.err
        assert "JPEG" in done.err
        source = factory.make_source(str(tmp_path / name), make())
        assert isinstance(source, ImagesSource)
        source.open()
        assert any("JPEG" in text for text in source.notices)


def test_a_video_with_the_name_of_a_picture_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", count=3).rename(tmp_path / "a.jpg")
    with factory.make_source(str(path), make()) as source:
        assert isinstance(source, FileSource)
        source.open()
        assert len(list(iter(source.read, None))) == 3
        assert any("a.jpg" in text for text in source.notices)


def test_numbered_outputs_keep_each_photos_size_and_say_which_it_was(cli, album: Path, tmp_path: Path) -> None:
    done = cli("convert", album, "--depth-out", tmp_path / "d" / "%02d.png")
    assert done.code == 0, done.err
    frames = json.loads((tmp_path / "d" / "frames.json").read_text())["frames"]
    written = {}
    for name, facts in frames.items():
        with Image.open(tmp_path / "d" / name) as picture:
            written[facts["picture"]] = picture.size
    assert written == SIZES


def test_a_stereo_style_needs_an_output_that_is_a_picture(cli, album: Path, tmp_path: Path) -> None:
    for verb, name in (("image", "eyes.png"), ("image", "eyes.exr"), ("convert", "%06d.png")):
        done = cli(verb, album / "zoo.webp", "-o", tmp_path / name, "--style", "half-sbs")
        assert done.error_code == "conflict"
    assert cli("image", album / "zoo.webp", "-o", tmp_path / "eyes.jpg", "--style", "half-sbs").code == 0
    with Image.open(tmp_path / "eyes.jpg") as picture:
        assert picture.size == SIZES["zoo.webp"]
