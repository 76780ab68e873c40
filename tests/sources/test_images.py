"""ImagesSource and read_picture: any picture becomes upright 8-bit RGB, anything else one clear error."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import http_server
from helpers.errors import raises_code
from PIL import Image

from streamdepth.core.errors import SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.sources import web_picture
from streamdepth.sources.images import PICTURE_SUFFIXES, ImagesSource
from streamdepth.sources.picture_file import load_picture, read_picture

RED = (200, 10, 20)


def write(path: Path, color: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 6)) -> Path:
    Image.new("RGB", size, color).save(path)
    return path


def drain(source: ImagesSource) -> list[int]:
    """Reads all pictures, and returns the red level of each."""
    source.open()
    levels = []
    while (frame := source.read()) is not None:
        levels.append(int(frame.image[0, 0, 0]))
    return levels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (10, 9, 1, 100):
        write(tmp_path / f"shot{number}.png", (number, 0, 0))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.mark.parametrize("pattern", ["", "*.png", "shot%d.png", "shot%03d.png", "**/*.png"])
def test_folders_and_patterns_in_natural_order(folder: Path, pattern: str) -> None:
    source = ImagesSource(str(folder / pattern) if pattern else folder, fps=10)
    info = source.open()
    assert (info.width, info.height, info.fps, info.frame_count) == (8, 6, 10, 4)
    assert drain(source) == [1, 9, 10, 100]


def test_times(folder: Path) -> None:
    source = ImagesSource(folder, fps=4)
    source.open()
    times = [frame.time for frame in iter(source.read, None) if frame]
    assert times == [0, 0.25, 0.5, 0.75]


def test_a_single_picture(tmp_path: Path) -> None:
    source = ImagesSource(write(tmp_path / "one.png"))
    info = source.open()
    assert (info.frame_count, info.is_live) == (1, False)
    frame = source.read()
    assert frame is not None
    assert frame.image[3, 3].tolist() == list(RED)
    assert source.read() is None


def test_names_with_brackets(tmp_path: Path) -> None:
    assert len(drain(ImagesSource(write(tmp_path / "a[1].png")))) == 1


def test_other_sizes_are_scaled_to_the_first(tmp_path: Path) -> None:
    write(tmp_path / "1.png", size=(8, 6))
    write(tmp_path / "2.png", size=(16, 16))
    source = ImagesSource(tmp_path)
    source.open()
    shapes = [frame.image.shape for frame in iter(source.read, None) if frame]
    assert shapes == [(6, 8, 3)] * 2
    assert any("differ in size" in notice for notice in source.notices)


def test_unreadable_pictures_are_counted_and_announced(folder: Path) -> None:
    (folder / "shot5.png").write_bytes(b"nothing")
    source = ImagesSource(folder)
    source.open()
    seen: list[tuple[int, int]] = []
    with raises_code(SourceLostError, "damaged", naming="4 of 5 pictures"):
        seen.extend((frame.index, frame.pts) for frame in iter(source.read, None) if frame)
    assert seen == [(0, 0), (1, 2), (2, 3), (3, 4)]
    assert source.undelivered == {"undecodable": 1}
    assert source.read() is None


@pytest.mark.parametrize("count", [1, 3])
def test_many_unreadable_pictures_are_announced_briefly(tmp_path: Path, count: int) -> None:
    """The losses are counted also when reading stops before the end."""
    write(tmp_path / "0.png")
    for number in range(1, 10):
        (tmp_path / f"{number}.png").write_bytes(b"nothing")
    write(tmp_path / "10.png")
    write(tmp_path / "11.png")
    source = ImagesSource(tmp_path)
    source.open()
    for _ in range(count):
        assert source.read() is not None
    source.close()
    source.close()
    skipped = 0 if count == 1 else 9
    assert source.undelivered["undecodable"] == skipped
    assert len(source.notices) == (4 if skipped else 0)
    assert not skipped or "6 more pictures" in source.notices[-1]


def test_suffixes_are_for_endswith() -> None:
    assert "a.jpeg".endswith(PICTURE_SUFFIXES)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in PICTURE_SUFFIXES)


@pytest.mark.parametrize(("turn", "size"), [(1, (8, 6)), (3, (8, 6)), (6, (6, 8)), (8, (6, 8))])
def test_exif_orientation(tmp_path: Path, turn: int, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", (8, 6))
    picture.paste(RED, (0, 0, 4, 6))
    exif = Image.Exif()
    exif[0x0112] = turn
    picture.save(tmp_path / "e.png", exif=exif)
    pixels = read_picture(tmp_path / "e.png")
    assert pixels.shape == (size[1], size[0], 3)
    red_at = {1: (0, 0), 3: (0, -1), 6: (0, 0), 8: (-1, 0)}[turn]
    assert pixels[red_at].tolist() == list(RED)


def test_sixteen_bits(tmp_path: Path) -> None:
    levels = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "g.png")
    assert read_picture(tmp_path / "g.png")[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


@pytest.mark.parametrize("top", [1, 65535])
def test_unknown_values_are_black_and_the_others_as_without_them(tmp_path: Path, top: int) -> None:
    levels = np.array([[0, top / 2, top, np.nan, np.inf, -np.inf]], np.float32)
    Image.fromarray(levels).save(tmp_path / "f.tiff")
    assert read_picture(tmp_path / "f.tiff")[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode(mode: str) -> None:
    picture = Image.new("L", (5, 4), 255)
    if mode in ("I", "F"):
        levels = np.full((4, 5), 65535 if mode == "I" else 1)
        picture = Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32))
    elif mode == "PA":
        picture = picture.convert("P").convert("PA")
    else:
        picture = picture.convert("RGB").convert(mode)
    pixels = read_picture(picture)
    assert pixels.shape == (4, 5, 3)
    assert pixels.dtype == np.uint8
    assert pixels.min() >= 254


def test_palette_with_transparency(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 4), RED).quantize(4)
    picture.save(tmp_path / "p.png", transparency=b"\x80\x00\x10\x20")
    expected = [round(128 + (channel - 128) * 0x80 / 255) for channel in RED]
    assert read_picture(tmp_path / "p.png")[0, 0].tolist() == expected


def cut(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "not-found"),
        (Path.touch, "empty"),
        (lambda path: path.write_text("no picture"), "unknown-format"),
        (cut, "undecodable"),
    ],
)
def test_bad_pictures(tmp_path: Path, make, code: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.jpg"
    make(path)
    for attempt in (lambda: read_picture(path), ImagesSource(path).open):
        with raises_code(SourceOpenError, code):
            attempt()


def test_empty_folders_and_patterns(tmp_path: Path) -> None:
    with raises_code(SourceOpenError, "not-found"):
        ImagesSource(tmp_path).open()
    with raises_code(SourceOpenError, "not-found"):
        ImagesSource(tmp_path / "*.png").open()
    (tmp_path / "in.mp4").touch()
    with raises_code(SourceOpenError, "not-found", naming="streamdepth convert"):
        ImagesSource(tmp_path).open()
    (tmp_path / "a.png").write_text("x")
    (tmp_path / "b.png").write_text("y")
    with raises_code(SourceOpenError, "undecodable", naming=r"\b2\b"):
        ImagesSource(tmp_path).open()


def test_too_large_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "wide.png", size=(300, 2))
    with raises_code(SourceOpenError, "too-large", naming=r"300x2 px.*--max-side"):
        read_picture(path, max_side_px=299)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_picture(path).shape == (2, 300, 3), "Pillow's limit is not ours"


def test_pictures_from_the_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.png")
    with http_server.serve(tmp_path) as address:
        source = ImagesSource(f"{address}/a.png".replace("//", "//user:secret@"))
        assert "secret" not in source.open().name
        assert drain(source) == [200]
        with raises_code(SourceOpenError, "not-found"):
            read_picture(f"{address}/status/404")
        monkeypatch.setattr(web_picture, "_MAX_BYTES", 10)
        with raises_code(SourceOpenError, "too-large"):
            read_picture(f"{address}/a.png")
        monkeypatch.setattr(web_picture, "_TIMEOUT_SECONDS", 0.3)
        began = time.monotonic()
        with pytest.raises(SourceTimeoutError):
            read_picture(f"{address}/silent")
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "address", ["a b.png", "bild ü.png", "bild%20%C3%BC.png", "a b.png?q=ä b", "a b.png#teil ü", "50%.png"]
)
def test_an_address_is_fetched_as_browsers_show_it(address: str, tmp_path: Path) -> None:
    for name in ("a b.png", "bild ü.png", "50%.png"):
        write(tmp_path / name)
    with http_server.serve(tmp_path) as host:
        assert read_picture(f"{host}/{address}").shape == (6, 8, 3)


def test_a_picture_from_the_web_that_is_cut_off_or_empty_says_so(tmp_path: Path) -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 60\r\n\r\n"
    early = raises_code(SourceOpenError, "cut-off", naming="40 bytes too early")
    with http_server.dripping(head, b"x" * 10, 0.0, count=2) as host, early:
        read_picture(f"{host}/a.png")
    (tmp_path / "empty.png").touch()
    with http_server.serve(tmp_path) as host, raises_code(SourceOpenError, "empty", naming="0 bytes"):
        read_picture(f"{host}/empty.png")


@pytest.mark.parametrize("address", ["http://u:pass/word@127.0.0.1:1/a.png", "http://u:2024/word@127.0.0.1:1/a.png"])
def test_a_password_that_cuts_the_address_of_a_picture_is_refused(address: str) -> None:
    with raises_code(SourceOpenError, "bad-address", naming="%2F for /") as caught:
        read_picture(address)
    assert "word@" not in str(caught.value)


def test_a_password_goes_to_its_own_host_only(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    with http_server.serve(tmp_path) as here, http_server.serve(tmp_path) as there:
        own, login = here.replace("//", "//user:secret@"), "Basic dXNlcjpzZWNyZXQ="
        for host, sent in ((there, None), (here, login)):
            http_server.logins.clear()
            assert read_picture(f"{own}/moved/{host}/a.png").shape == (6, 8, 3)
            assert http_server.logins == [(here, login), (host, sent)]


@pytest.mark.parametrize("address", ["http://user:hunter2@127.0.0.1:1/a.png", "http://u:hunter2@127.0.0.1:x/a.png"])
def test_secrets_stay_secret(address: str) -> None:
    with raises_code(SourceOpenError, "source-open") as caught:
        read_picture(address)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_address_with_one_slash_keeps_its_secret() -> None:
    with raises_code(SourceOpenError, "not-found", naming=r"http:/host/a\.png"):
        ImagesSource("http:/me:hunter2@host/a.png").open()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_gray_of_any_depth_shows_what_8_bits_show(tmp_path: Path, bits: int) -> None:
    eight = np.linspace(0, 255, 64 * 48).astype(np.uint8).reshape(48, 64)
    Image.fromarray((eight.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)).save(tmp_path / "g.png")
    assert np.abs(read_picture(tmp_path / "g.png")[..., 0].astype(int) - eight).max() <= 1


def test_counts_of_a_thermal_camera_are_stretched_alike_in_a_sequence_and_announced(tmp_path: Path) -> None:
    for i, top in enumerate((8600, 8100)):
        counts = np.linspace(7600, top, 64 * 48).astype(np.uint16).reshape(48, 64)
        Image.fromarray(counts).save(tmp_path / f"{i:03d}.png")
    with ImagesSource(tmp_path) as source:
        source.open()
        first, second = (frame.image for frame in iter(source.read, None) if frame)
        assert any("7600 to 8600" in notice for notice in source.notices)
    assert (first.min(), first.max()) == (0, 255)
    assert 126 <= int(second.max()) <= 129


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_colors_of_any_depth_show_what_8_bits_show(tmp_path: Path, bits: int, suffix: str) -> None:
    eight = np.arange(24 * 32 * 3).reshape(24, 32, 3) % 256
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), (eight[..., ::-1] * (2**bits - 1) // 255).astype(np.uint16))
    picture = load_picture(tmp_path / f"deep{suffix}")
    assert np.abs(picture.pixels.astype(int) - eight).max() <= 1
    assert bool(picture.notices("it")) == (bits < 16)


def test_deep_colors_keep_their_rotation_and_what_is_transparent(tmp_path: Path) -> None:
    deep = np.zeros((24, 32, 4), np.uint16)
    deep[..., 3], deep[:8, :8, 2], deep[-4:, :, 3] = 65535, 4095, 0
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    data = (tmp_path / "deep.png").read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    header = data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "turned.png").write_bytes(header + data[33:])
    picture = load_picture(tmp_path / "turned.png")
    assert picture.pixels.shape == (32, 24, 3)
    assert picture.pixels[0, -1].tolist() == [255, 0, 0]
    np.testing.assert_array_equal(picture.valid, np.tile(np.arange(24) >= 4, (32, 1)))


def test_deep_colors_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (48, 64, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), noise)
    (tmp_path / "deep.png").write_bytes((tmp_path / "deep.png").read_bytes()[:9000])
    with raises_code(SourceOpenError, "undecodable"):
        read_picture(tmp_path / "deep.png")


def test_further_pages_of_a_tiff_are_announced(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (32, 24), (level, 0, 0)) for level in (40, 200))
    first.save(tmp_path / "pages.tiff", save_all=True, append_images=[second])
    picture = load_picture(tmp_path / "pages.tiff")
    assert picture.pixels[0, 0, 0] == 40
    assert any("several pages" in text for text in picture.notices("pages.tiff"))
    data = (tmp_path / "pages.tiff").read_bytes()
    (tmp_path / "cut.tiff").write_bytes(data[: len(data) * 2 // 3])
    assert load_picture(tmp_path / "cut.tiff").pixels[0, 0, 0] == 40
    first.save(tmp_path / "page.tiff")
    assert load_picture(tmp_path / "page.tiff").notices("page.tiff") == []


def test_pixels_of_an_unknown_kind_are_not_called_damaged(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "colors.tiff"), np.zeros((24, 32, 3), np.float32))
    with raises_code(SourceOpenError, "unknown-pixels"):
        read_picture(tmp_path / "colors.tiff")


def test_what_is_transparent_does_not_show(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 4), np.uint8)
    noise[..., 3] = np.where(np.arange(48) < 24, 0, 255)
    for suffix in (".png", ".webp", ".tiff"):
        options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
        Image.fromarray(noise).save(tmp_path / f"cut{suffix}", **options)
        picture = load_picture(tmp_path / f"cut{suffix}")
        assert (picture.pixels[:, :24] == 128).all()
        np.testing.assert_array_equal(picture.pixels[:, 24:], noise[:, 24:, :3])
        np.testing.assert_array_equal(picture.valid, noise[..., 3] == 255)
        with ImagesSource(tmp_path / f"cut{suffix}") as source:
            source.open()
            np.testing.assert_array_equal(source.read().valid, picture.valid)


def test_pictures_of_different_sizes_keep_them_where_wanted(tmp_path: Path) -> None:
    for name, size in (("a b.png", (40, 30)), ("c.png", (20, 50)), ("d.png", (20, 50))):
        Image.new("RGB", size).save(tmp_path / name)
    for keep_sizes, expected in ((True, [(40, 30), (20, 50), (20, 50)]), (False, [(40, 30)] * 3)):
        with ImagesSource(tmp_path, keep_sizes=keep_sizes) as source:
            source.open()
            changed, frames = [], []
            for frame in iter(source.read, None):
                frames.append(frame)
                changed.append(source.take_changed_info())
        assert [frame.size for frame in frames] == expected
        assert [frame.file_name for frame in frames] == ["a b.png", "c.png", "d.png"]
        sizes = [(info.width, info.height) if info else None for info in changed]
        assert sizes == [None, (20, 50) if keep_sizes else None, None]


def test_a_plate_keeps_its_numbers_and_its_gaps(tmp_path: Path) -> None:
    for number in (1001, 1002, 1004):
        Image.new("RGB", (32, 24), RED).save(tmp_path / f"sh010.{number}.png")
    with ImagesSource(tmp_path, fps=24) as source:
        source.open()
        frames = [frame for frame in iter(source.read, None) if frame]
        assert any("1 of the frames 1001 to 1004" in notice for notice in source.notices)
    assert [frame.index for frame in frames] == [1001, 1002, 1004]
    assert [frame.time for frame in frames] == [0, 1 / 24, 3 / 24]


def numbers(pattern: Path) -> list[tuple[int, str]]:
    """Returns the number and the file of each frame of numbered pictures."""
    with ImagesSource(pattern) as source:
        source.open()
        return [(frame.index, frame.file_name) for frame in iter(source.read, None) if frame]


@pytest.mark.parametrize("name", ["sh.%04d.png", "sh_%04d_v02.png", "%04d_cam0.png", "2k_%d_%d.png", "%04d/left.png"])
@pytest.mark.parametrize("written", [[1001, 1005, 1009], [1007], [9, 10]])
def test_a_numbered_name_gives_its_numbers_whatever_is_missing(tmp_path: Path, name: str, written: list[int]) -> None:
    files = [tmp_path / name.replace("%04d", f"{n:04d}").replace("%d", str(n), 1) for n in written]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        write(path)
    assert numbers(tmp_path / name) == [(n, path.name) for n, path in zip(written, files, strict=True)]


def test_a_numbered_name_takes_no_other_pictures(tmp_path: Path) -> None:
    for name in ("0000.png", "0000_mask.png", "0001.png", "0001_mask.png", "a.png", "v2_0003.png"):
        write(tmp_path / name)
    assert numbers(tmp_path / "%04d.png") == [(0, "0000.png"), (1, "0001.png")]


def test_a_numbered_name_may_have_a_wildcard(tmp_path: Path) -> None:
    for name in ("left_0003.png", "left_0004.png", "left_0004_mask.png"):
        write(tmp_path / name)
    assert numbers(tmp_path / "*_%04d.png") == [(3, "left_0003.png"), (4, "left_0004.png")]


@pytest.mark.parametrize("pattern", ["take [2]/%04d.png", "take [2]/*.png", "take [2]/sh[1]_%04d.png"])
def test_brackets_in_the_name_of_a_folder_that_exists_mean_themselves(tmp_path: Path, pattern: str) -> None:
    for folder in ("take [2]", "take 2"):
        write_to = tmp_path / folder / Path(pattern).name.replace("%04d", "0000").replace("*", "0000")
        write_to.parent.mkdir()
        write(write_to, (1 if folder == "take [2]" else 2, 0, 0))
    assert drain(ImagesSource(tmp_path / pattern)) == [1]


def test_pictures_of_a_folder_with_other_suffixes_are_announced(tmp_path: Path) -> None:
    for number, name in enumerate(("a.jpg", "b.jfif", "c.HIF", "d.jpg_large")):
        Image.new("RGB", (8, 8), (50 * number, 0, 0)).save(tmp_path / name, "JPEG")
    (tmp_path / "notes.txt").write_text("no picture")
    source = ImagesSource(tmp_path)
    assert np.allclose(drain(source), [0, 50, 100], atol=2)
    (notice,) = [notice for notice in source.notices if "left out" in notice]
    assert f"left out of {tmp_path}, 1: d.jpg_large;" in notice
