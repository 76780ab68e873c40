"""Folders as people have them: telephones', media libraries', and those of external disks of Macs."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.media import write_video
from PIL import Image

from streamdepth.apps.batch.tasks import find_tasks, is_batch
from streamdepth.config import make
from streamdepth.utils.media_kind import folder_media

pytestmark = pytest.mark.usefixtures("quick_model")
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(64)


def photo(path: Path, size: tuple[int, int] = (64, 48), orientation: int = 1) -> Path:
    picture = Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 256, (*size[::-1], 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def is_output(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".jsonl", ".json", ".lock")


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if is_output(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_phones_folder_is_a_batch_of_videos_and_photos(cli, folder: Path, tmp_path: Path) -> None:
    write_video(folder / "clip.MOV", count=3)
    photo(folder / "IMG_1.JPG", (80, 60), orientation=6)
    photo(folder / "IMG_2.png", (40, 64))
    shutil.copy(folder / "IMG_2.png", folder / "misnamed.jpg")
    done = cli("convert", folder, "-o", tmp_path / "out", "--depth-out", tmp_path / "depth")
    assert done.code == 0, done.err
    assert files_in(tmp_path / "out") == ["IMG_1.jpg", "IMG_2.jpg", "clip.mp4", "misnamed.jpg"]
    assert files_in(tmp_path / "depth") == ["IMG_1.png", "IMG_2.png", "clip.mkv", "misnamed.png"]
    assert size_of(tmp_path / "depth/IMG_1.png") == size_of(tmp_path / "out/IMG_1.jpg") == (60, 80)
    assert size_of(tmp_path / "depth/IMG_2.png") == (40, 64)
    again = cli("convert", folder, "-o", tmp_path / "out", "--depth-out", tmp_path / "depth")
    assert "4 of them before" in again.err


def test_a_poster_is_no_film_and_what_is_left_out_is_listed(cli, folder: Path, tmp_path: Path) -> None:
    write_video(folder / "A film.mp4", count=3)
    write_video(folder / "Another.mkv", count=3)
    photo(folder / "Another.webp")
    photo(folder / "poster.jpg")
    (folder / "Another.en.srt").write_text("1")
    (folder / "Extras").mkdir()
    done = cli("convert", folder, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert files_in(tmp_path / "out") == ["A film.mp4", "Another.mp4"]
    for name in ("Another.webp", "poster.jpg", "Another.en.srt", "Extras"):
        assert name in done.err
    assert cli("convert", folder, "-o", tmp_path / "out.mp4").error_code == "not-a-folder"
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    "name", ["film-clearart", "discart", "film-disc1", "film-logo", "keyart", "characterart", "albumart", "Film-Poster"]
)
def test_artwork_of_libraries_is_no_photo(folder: Path, name: str) -> None:
    (folder / "film.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    for picture in (name, "holiday", "compact-discs", "weblogo"):
        photo(folder / f"{picture}.jpg")
    found = folder_media(str(folder))
    assert [Path(path).stem for path in found.pictures] == ["compact-discs", "holiday", "weblogo"]
    assert found.left_out == [f"{name}.jpg"]


def test_what_macs_and_windows_leave_behind_is_passed_over(cli, folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        photo(folder / f"IMG_{i:04d}.jpg")
        (folder / f"._IMG_{i:04d}.jpg").write_bytes(APPLE_DOUBLE)
    (folder / "Thumbs.db").write_bytes(b"x")
    done = cli("convert", folder, "--depth-out", tmp_path / "%04d.png")
    assert done.code == 0, done.err
    assert len(list(tmp_path.glob("*.png"))) == 3
    write_video(folder / "clip.mp4", count=3)
    (folder / "._clip.mp4").write_bytes(APPLE_DOUBLE)
    assert cli("convert", folder, "-o", tmp_path / "out").code == 0
    assert len(files_in(tmp_path / "out")) == 4


def test_photos_keep_their_names_and_sizes(cli, folder: Path, tmp_path: Path) -> None:
    sizes = {"Portrait of Ann.jpg": (48, 64), "beach.jpg": (64, 48), "zoo.png": (80, 40)}
    for name, size in sizes.items():
        photo(folder / name, size)
    for given in ([folder], [folder / "*"], sorted(folder.iterdir())):
        target = tmp_path / f"depth{len(list(tmp_path.iterdir()))}"
        done = cli("convert", *given, "--depth-out", target)
        assert done.code == 0, done.err
        assert {p.stem: size_of(p) for p in target.glob("*.png")} == {
            Path(name).stem: size for name, size in sizes.items()
        }


def test_a_pattern_finds_files_in_any_case(cli, folder: Path, tmp_path: Path) -> None:
    write_video(folder / "DJI_0001.mp4", count=3).rename(folder / "DJI_0001.MP4")
    write_video(folder / "b.mp4", count=3)
    assert cli("convert", folder / "*.mp4", "-o", tmp_path / "out").code == 0
    assert files_in(tmp_path / "out") == ["DJI_0001.mp4", "b.mp4"]


@pytest.mark.parametrize("suffix", [".png", ".exr"])
def test_a_batch_writes_sequences(cli, folder: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".exr":
        pytest.importorskip("OpenEXR")
    for name, count in (("a", 2), ("b", 3)):
        write_video(folder / f"{name}.mp4", count=count)
    pattern = tmp_path / "out" / "{name}" / f"%06d{suffix}"
    done = cli("convert", folder, "--depth-out", pattern)
    assert done.code == 0, done.err
    wanted = [f"{name}/{i:06d}{suffix}" for name, count in (("a", 2), ("b", 3)) for i in range(count)]
    assert files_in(tmp_path / "out") == wanted
    assert "2 of them before" in cli("convert", folder, "--depth-out", pattern).err


def test_one_source_may_have_its_name_in_its_output(cli, folder: Path, tmp_path: Path) -> None:
    clip = write_video(folder / "a.mp4", count=2)
    done = cli("convert", clip, "--depth-out", tmp_path / "{name}" / "%03d.png", "-o", tmp_path / "{name}.mp4")
    assert done.code == 0, done.err
    assert files_in(tmp_path / "a") == ["000.png", "001.png"]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].frames == 2


def test_numbered_frames_are_a_sequence_at_a_rate_that_can_be_given(cli, folder: Path, tmp_path: Path) -> None:
    for number in (1001, 1002, 1004):
        photo(folder / f"sh010.{number}.jpg")
    done = cli("convert", folder, "--input-fps", "24", "-o", tmp_path / "p.mp4", "--depth-out", tmp_path / "d.%04d.png")
    assert done.code == 0, done.err
    assert sorted(p.name for p in tmp_path.glob("d.*.png")) == ["d.1001.png", "d.1002.png", "d.1004.png"]
    with av.open(str(tmp_path / "p.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([0, 1 / 24, 3 / 24], abs=1e-3)


def test_a_pattern_through_loops_of_links_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two links to parent folders give 2^40 paths, of which one file is to be found once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "a" / "b").mkdir(parents=True)
    write_video(tmp_path / "in" / "a" / "x.mp4", count=2)
    (tmp_path / "in" / "a" / "up").symlink_to("..")
    (tmp_path / "in" / "a" / "b" / "up").symlink_to("../..")
    settings = make(source="in/**/*.mp4", output="out")
    assert is_batch(settings)
    assert [task.settings.source for task in find_tasks(settings)] == [("in/a/x.mp4",)]
