"""FileSource: exact frames and times from any video, and one clear error for anything else."""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from helpers import media
from helpers.errors import raises_code
from PIL import ExifTags, ImageOps

from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.types import Frame
from streamdepth.sources.file import FileSource
from streamdepth.sources.track_decoder import TrackDecoder


def read_all(source: FileSource) -> list[Frame]:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def corner_of(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """Returns the mean color around a point given as shares of height and width."""
    height, width = image.shape[:2]
    row, column = int(y * height), int(x * width)
    return image[row - 3 : row + 4, column - 3 : column + 4].reshape(-1, 3).mean(0)


def corners(image: np.ndarray) -> list[str]:
    """Returns for each corner of the image, in reading order, the quarter of `media.quarters` that it shows."""
    names, colors = list(media.CORNERS), np.array(list(media.CORNERS.values()))
    points = [(0.15, 0.15), (0.15, 0.85), (0.85, 0.15), (0.85, 0.85)]
    return [names[int(np.abs(colors - corner_of(image, y, x)).sum(1).argmin())] for y, x in points]


def test_frames_have_the_times_of_the_file(tmp_path: Path) -> None:
    times = [0, 40, 100, 110, 300, 2000]
    source = FileSource(media.write_video(tmp_path / "vfr.mp4", times=times))
    frames = read_all(source)
    assert [round(f.time * 1000) for f in frames] == times
    assert [f.index for f in frames] == list(range(6))
    assert source.notices == []


def test_stream_info(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.mp4", count=12, rate=Fraction(30000, 1001))
    info = FileSource(path).open()
    assert (info.width, info.height, info.fps, info.frame_count) == (64, 48, Fraction(30000, 1001), 12)
    assert info.file_path == path
    assert not info.is_live


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, ["top left", "top right", "bottom left", "bottom right"]),
        (90, False, ["top right", "bottom right", "top left", "bottom left"]),
        (180, False, ["bottom right", "bottom left", "top right", "top left"]),
        (270, False, ["bottom left", "top left", "bottom right", "top right"]),
        (0, True, ["top right", "top left", "bottom right", "bottom left"]),
    ],
)
def test_rotation_and_reflection_are_applied(
    tmp_path: Path, rotation: int, mirrored: bool, expected: list[str]
) -> None:
    """`rotation` is counter-clockwise: at 90 degrees what was on the right is on top."""
    path = media.write_video(tmp_path / "r.mp4", size=(80, 48), count=2, rotation=rotation, mirrored=mirrored)
    source = FileSource(path)
    info = source.open()
    assert (info.width, info.height) == ((48, 80) if rotation in (90, 270) else (80, 48))
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (info.height, info.width, 3)
    assert corners(frame.image) == expected
    source.close()


def test_reflection_after_a_quarter_turn(tmp_path: Path) -> None:
    source = FileSource(media.write_video(tmp_path / "r.mp4", size=(80, 48), count=2, rotation=90, mirrored=True))
    assert corners(read_all(source)[0].image) == ["bottom right", "top right", "bottom left", "top left"]


def jpeg_with_exif(image: np.ndarray, orientation: int) -> bytes:
    exif, file = PIL.Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Camera", orientation
    PIL.Image.fromarray(image).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".mjpeg", ".mov", ".avi", ".mkv"])
def test_motion_jpeg_with_exif_is_shown_as_its_pictures_say(tmp_path: Path, suffix: str, orientation: int) -> None:
    jpeg = jpeg_with_exif(media.quarters(80, 48), orientation)
    path = media.write_packets(tmp_path / f"in{suffix}", [jpeg] * 3, "mjpeg", (80, 48))
    shown = np.asarray(ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(jpeg))))
    frames = read_all(FileSource(path))
    assert len(frames) == 3
    assert [frame.image.shape for frame in frames] == [shown.shape] * 3
    assert corners(frames[-1].image) == corners(shown)


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (48, 80), (17, 200)])
def test_odd_and_portrait_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = media.write_video(tmp_path / "odd.mkv", size=size, count=3, codec="ffv1", pixel_format="bgr0")
    frames = read_all(FileSource(path))
    assert [f.image.shape for f in frames] == [(size[1], size[0], 3)] * 3
    assert np.array_equal(frames[1].image, media.moving(*size, 1))


@pytest.mark.parametrize("lines", [48, 720])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("colorspace", [Colorspace.ITU601, Colorspace.ITU709])
def test_tagged_colors_come_back(tmp_path: Path, colorspace: Colorspace, full_range: bool, lines: int) -> None:
    """The tag decides, not the size. The tolerance of 6 levels is for chroma in 8 bits and swscale's fast path."""
    picture = media.stripes(128, lines)
    path = media.write_video(
        tmp_path / "c.mkv",
        images=[picture],
        codec="libx264",
        pixel_format="yuv444p",
        options={"qp": "0"},
        colorspace=colorspace,
        full_range=full_range,
    )
    image = read_all(FileSource(path))[0].image
    assert np.abs(image.astype(int) - picture).max() <= 6


@pytest.mark.parametrize(("lines", "colorspace"), [(48, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_untagged_colors_go_by_the_number_of_lines(tmp_path: Path, lines: int, colorspace: Colorspace) -> None:
    picture = media.stripes(128, lines)
    path = media.write_video(
        tmp_path / "c.mkv", images=[picture], codec="ffv1", pixel_format="yuv444p", colorspace=colorspace, tagged=False
    )
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).colorspace == 2  # unspecified
    assert np.abs(read_all(FileSource(path))[0].image.astype(int) - picture).max() <= 6


def write_with_matrix(path: Path, planes: np.ndarray, matrix: int, *, full_range: bool) -> Path:
    """Writes three (H, W) planes of 8 bits as one picture without loss, and tags it with H.273's number of a matrix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = planes.shape[2], planes.shape[1], "yuv444p"
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
        container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv444p")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("full_range", [False, True])
def test_ycgco(tmp_path: Path, full_range: bool) -> None:
    picture = media.stripes(128, 48)
    red, green, blue = np.moveaxis(picture.astype(float), 2, 0)
    y, cg, co = (red + 2 * green + blue) / 4, (2 * green - red - blue) / 4, (red - blue) / 2
    planes = [y, cg + 128, co + 128] if full_range else [16 + y * 219 / 255, 128 + cg * 224 / 255, 128 + co * 224 / 255]
    coded = np.stack(planes).round().clip(0, 255).astype(np.uint8)
    source = FileSource(write_with_matrix(tmp_path / "c.mkv", coded, 8, full_range=full_range))
    assert np.abs(read_all(source)[0].image.astype(int) - picture).max() <= 6
    assert not source.notices


def test_an_unknown_color_matrix_is_announced(tmp_path: Path) -> None:
    source = FileSource(
        write_with_matrix(tmp_path / "c.mkv", np.full((3, 48, 64), 128, np.uint8), 14, full_range=False)
    )
    read_all(source)
    assert ["ICtCp" in notice for notice in source.notices] == [True]


def test_ten_bits(tmp_path: Path) -> None:
    picture = media.stripes(128, 48)
    path = media.write_video(tmp_path / "t.mkv", images=[picture], codec="ffv1", pixel_format="yuv444p10le")
    assert np.abs(read_all(FileSource(path))[0].image.astype(int) - picture).max() <= 6


def test_gray_video(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "g.mkv", count=2, codec="ffv1", pixel_format="gray", full_range=True)
    image = read_all(FileSource(path))[0].image
    assert image.shape == (48, 64, 3)
    assert np.array_equal(image[..., 0], image[..., 2])
    assert np.ptp(image) > 50


def test_hdr_is_tone_mapped_and_announced(tmp_path: Path) -> None:
    path = media.write_video(
        tmp_path / "hdr.mp4",
        size=(64, 64),
        count=2,
        pixel_format="yuv420p10le",
        colorspace=Colorspace.BT2020,
        transfer=ColorTrc.SMPTE2084,
        primaries=ColorPrimaries.BT2020,
    )
    source = FileSource(path)
    frames = read_all(source)
    assert any("HDR (PQ)" in notice for notice in source.notices)
    # The white quarter's code of 220/255 in PQ is far above reference white.
    assert frames[0].image[50:60, 50:60].min() > 245


def test_anamorphic_pixels_become_square(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "s.mp4", size=(64, 48), count=2, aspect=Fraction(4, 3))
    source = FileSource(path)
    info = source.open()
    assert (info.width, info.height) == (85, 48)
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (48, 85, 3)
    assert corners(frame.image) == list(media.CORNERS)
    source.close()


def test_anamorphic_and_rotated(tmp_path: Path) -> None:
    info = FileSource(media.write_video(tmp_path / "s.mp4", count=2, aspect=Fraction(2, 1), rotation=90)).open()
    assert (info.width, info.height) == (48, 128)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("i.mp4", {"interlaced": True}),
        ("i.mkv", {"field_order": 2, "codec": "ffv1"}),
        ("i.mov", {"field_order": 2, "codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ],
)
def test_interlaced_is_announced(tmp_path: Path, name: str, settings: dict) -> None:
    source = FileSource(media.write_video(tmp_path / name, count=3, **settings))
    assert len(read_all(source)) == 3
    assert ["interlaced" in notice for notice in source.notices] == [True]


def test_video_that_becomes_interlaced_later_is_announced(tmp_path: Path) -> None:
    path = tmp_path / "in.ts"
    part = tmp_path / "part.ts"
    with path.open("wb") as whole:
        for interlaced in (False, True):
            whole.write(media.write_video(part, count=8, interlaced=interlaced).read_bytes())
    source = FileSource(path)
    source.open()
    source.read()
    assert not any("interlaced" in notice for notice in source.notices)
    while source.read():
        pass
    assert sum("interlaced" in notice for notice in source.notices) == 1


def test_size_change_is_scaled_to_the_first_size(tmp_path: Path) -> None:
    source = FileSource(media.write_size_change(tmp_path / "z.ts"))
    frames = read_all(source)
    assert [f.image.shape for f in frames] == [(48, 64, 3)] * 20
    assert corners(frames[-1].image) == list(media.CORNERS)
    assert any("64x48 to 96x80" in notice for notice in source.notices)


def test_metadata_that_is_not_text_does_no_harm(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "m.mkv", count=3, metadata={"title": "MARKER"})
    path.write_bytes(path.read_bytes().replace(b"MARKER", b"\xff\xfe\xc3\x28\xa0\xa1"))
    assert len(read_all(FileSource(path))) == 3


def test_a_name_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    media.write_video(tmp_path / "a.mp4", count=3).rename(tmp_path / "http:a.mp4")
    assert len(read_all(FileSource("http:a.mp4"))) == 3


def test_other_tracks_do_not_disturb(tmp_path: Path) -> None:
    path = media.write_video(
        tmp_path / "a.mkv", count=20, audio_offset_seconds=0.3, subtitles=[(0, 0.4, "hello"), (0.5, 0.7, "there")]
    )
    source = FileSource(path)
    assert len(read_all(source)) == 20
    assert not source.undelivered


def zeros(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def text(path: Path) -> None:
    path.write_text("This is not a video.\n" * 50)


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())


def without_index(path: Path) -> None:
    media.truncate(media.write_video(path, count=30), 0.5)


def unknown_codec(path: Path) -> None:
    media.write_video(path, count=3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9"))


BAD_FILES = [
    (Path.touch, "empty", r"\b0 bytes"),
    (zeros, "empty", "zeros"),
    (text, "unknown-format", "text"),
    (noise, "unknown-format", "damaged"),
    (without_index, "unknown-format", "index"),
    (media.write_sound_only, "no-video", "audio"),
    (unknown_codec, "unknown-codec", "codec"),
    (Path.mkdir, "is-folder", "folder"),
    (lambda path: None, "not-found", "not exist"),
]


@pytest.mark.parametrize(("make", "code", "word"), BAD_FILES, ids=[word for *_, word in BAD_FILES])
def test_each_bad_file_has_its_own_message(tmp_path: Path, make, code: str, word: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.mp4"
    make(path)
    source = FileSource(path)
    with raises_code(SourceOpenError, code, naming=word) as caught:
        source.open()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert source.read() is None


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.write_video(tmp_path / "a.mp4", count=2)
    if os.geteuid() == 0:  # nothing is forbidden to root
        monkeypatch.setattr(
            Path, "open", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
    else:
        path.chmod(0)
    with raises_code(SourceOpenError, "no-permission"):
        FileSource(path).open()


def test_too_large_pictures_name_the_flag(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "wide.mkv", size=(300, 2), count=1, codec="ffv1", pixel_format="bgr0")
    with raises_code(SourceOpenError, "too-large", naming=r"300x2 px.*--max-side"):
        FileSource(path, max_side_px=299).open()
    assert FileSource(path, max_side_px=300).open().width == 300


def test_16385_px_are_over_the_default_limit(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "wide.mkv", size=(16385, 2), count=1, codec="ffv1", pixel_format="bgr0")
    with raises_code(SourceOpenError, "too-large"):
        FileSource(path).open()


def ends_early(source: FileSource) -> tuple[int, str]:
    """Reads to the SourceLostError, and returns the number of frames before it and its message."""
    source.open()
    frames: list[Frame] = []
    with pytest.raises(SourceLostError) as caught:
        frames.extend(frame for frame in iter(source.read, None) if frame)
    assert source.read() is None
    return len(frames), str(caught.value)


@pytest.mark.parametrize(("name", "options"), [("t.mp4", {"movflags": "faststart"}), ("t.mkv", {}), ("t.avi", {})])
def test_truncated_files_give_what_they_have_and_say_what_is_lost(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = media.write_video(tmp_path / name, count=100, size=(320, 240), codec=codec, container_options=options)
    source = FileSource(media.truncate(path, 0.5))
    count, message = ends_early(source)
    assert 10 < count < 90
    assert f"cut off: {count} of" in message
    assert sum(source.undelivered.values()) == pytest.approx(100 - count, abs=8)


def test_recordings_joined_with_other_tracks_say_what_is_left_out(tmp_path: Path) -> None:
    source = FileSource(media.write_other_tracks(tmp_path / "joined.ts"))
    with source:
        source.open()
        count, message = ends_early(source)
    assert count == 30
    assert "30 of about 40 frames" in message
    assert source.undelivered == {"missing": 10}


def test_another_channel_beside_the_pictures_is_no_loss(tmp_path: Path) -> None:
    path, one = tmp_path / "channels.ts", media.write_video(tmp_path / "in.ts", count=12, options={"bf": "0"})
    with av.open(str(one)) as source, av.open(str(path), "w") as target:
        tracks = [target.add_stream_from_template(source.streams.video[0]) for _ in range(2)]
        for packet in source.demux(video=0):
            for track in tracks if packet.size else []:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base, copy.stream = packet.pts, packet.dts, packet.time_base, track
                copy.is_keyframe = packet.is_keyframe
                target.mux(copy)
    assert len(read_all(FileSource(path))) == 12


def spoil(path: Path, numbers: set[int]) -> Path:
    """Fills the data of some packets of a Matroska file with zeros."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for number in numbers:
        start = data.index(packets[number])
        data[start : start + len(packets[number])] = bytes(len(packets[number]))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_damaged_pictures_are_counted(tmp_path: Path, codec: str) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = media.write_video(tmp_path / "d.mkv", count=60, codec=codec, pixel_format=pixel_format, options={"g": "1"})
    source = FileSource(spoil(path, {20, 21, 40}))
    assert ends_early(source) == (57, f"{path} is damaged: 57 of 60 frames could be decoded")
    assert source.undelivered == {"undecodable": 3}


def test_a_recording_that_begins_between_key_frames_is_healthy(tmp_path: Path) -> None:
    """Frames before the first keyframe, as in broadcast recordings, cannot be decoded, and are not lost."""
    path = media.write_video(tmp_path / "a.ts", count=60, size=(320, 240), options={"g": "20", "bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 188 // 8 * 188 :])
    source = FileSource(path)
    assert 30 < len(read_all(source)) < 60
    assert not source.undelivered


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".ts", ".flv", ".webm"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_healthy_files_lose_nothing(tmp_path: Path, suffix: str, b_frames: int) -> None:
    codec = {".webm": "libvpx", ".avi": "mpeg4"}.get(suffix, "libx264")
    options = {"bf": str(b_frames)} if codec != "libvpx" else {"auto-alt-ref": "1", "lag-in-frames": "10"}
    if codec == "mpeg4":
        options = {}
    path = media.write_video(tmp_path / f"h{suffix}", count=50, codec=codec, options=options, audio_offset_seconds=None)
    source = FileSource(path)
    assert len(read_all(source)) == 50
    assert not source.undelivered
    assert source.notices == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("b_frames", [3, 16])
@pytest.mark.parametrize("milliseconds", [100, 1000])
def test_b_frames_of_slow_videos_keep_their_times(
    tmp_path: Path, suffix: str, b_frames: int, milliseconds: int
) -> None:
    """Matroska has no decoding times: the first reference picture seems to be far ahead of those that follow."""
    times = [i * milliseconds for i in range(24)]
    still = [np.full((48, 64, 3), 90, np.uint8)] * len(times)
    options = {"bf": str(b_frames), "b-adapt": "0", "b-pyramid": "normal", "preset": "medium"}
    path = media.write_video(tmp_path / f"b{suffix}", images=still, times=times, options=options)
    source = FileSource(path)
    assert [frame.time for frame in read_all(source)] == pytest.approx([t / 1000 for t in times], abs=1e-3)
    assert source.notices == []


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "0"}),
        ("libx264", {"bf": "3"}),
        ("libx264", {"bf": "5", "x264-params": "b-pyramid=normal"}),
        ("mpeg4", {"bf": "0", "qmax": "2"}),
        ("mpeg4", {"bf": "2", "qmax": "2"}),
    ],
)
def test_pictures_of_an_avi_are_shown_in_order_from_the_beginning(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    """AVI numbers the pictures as they are decoded, and stores nothing about when they are shown."""
    images = [np.full((48, 64, 3), 40 + 8 * index, np.uint8) for index in range(24)]
    source = FileSource(media.write_video(tmp_path / "in.avi", images=images, codec=codec, options=options))
    frames = read_all(source)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(index, 25) for index in range(24)]
    assert [frame.image.mean() for frame in frames] == pytest.approx([image.mean() for image in images], abs=4)
    assert not source.notices


def test_b_frames_beside_long_pauses_keep_their_times(tmp_path: Path) -> None:
    times = [0, 5000, 9000, 9040, 20000, 20040, 20080, 45000, 45040, 45080, 99000, 99040]
    path = media.write_video(tmp_path / "screen.mkv", times=times, options={"bf": "3", "preset": "medium"})
    assert [frame.time for frame in read_all(FileSource(path))] == pytest.approx([t / 1000 for t in times], abs=1e-3)


def test_an_edit_list_is_no_loss(tmp_path: Path) -> None:
    """Phones trim a video by an edit list; the index still lists every frame."""
    path = media.write_video(tmp_path / "e.mp4", count=100, options={"g": "10", "bf": "2"})
    data = bytearray(path.read_bytes())
    entry = slice(data.index(b"elst") + 12, data.index(b"elst") + 20)
    length, start = struct.unpack(">Ii", data[entry])
    data[entry] = struct.pack(">Ii", length // 2, start + 12800)
    path.write_bytes(data)
    source = FileSource(path)
    frames = read_all(source)
    assert len(frames) == 50
    assert np.abs(frames[0].image.astype(int) - media.moving(64, 48, 25)).mean() < 8
    assert not source.undelivered


CLIPS = Path(os.environ.get("STREAMDEPTH_TEST_DATA", "none")) / "clips"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="STREAMDEPTH_TEST_DATA names no folder with clips")
@pytest.mark.parametrize("name", ["nasa_13013.mp4", "stream-of-water.webm", "video_90.mov", "var_fps_video.mp4"])
def test_real_clips_are_whole(name: str) -> None:
    source = FileSource(CLIPS / name)
    info = source.open()
    count = 0
    while source.read() is not None:
        count += 1
    assert not source.undelivered
    assert info.frame_count in (None, count)


def test_only_a_regular_file_is_an_origin(tmp_path: Path) -> None:
    """A pipe can be read only once, so that its sound comes with its pictures and not by reading it again."""
    path = media.write_video(tmp_path / "a.mkv", count=5, audio_offset_seconds=0)
    info = FileSource(path).open()
    assert (info.file_path, info.track_feed) == (path, None)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    source = FileSource(pipe)
    info = source.open()
    assert info.file_path is None
    assert info.track_feed is not None
    assert sum(1 for _ in iter(source.read, None)) == 5
    writer.join()
    source.close()
    assert not source.notices


def test_an_address_with_one_slash_keeps_its_secret() -> None:
    with raises_code(SourceOpenError, "not-found", naming=r"http:/host/a\.mp4 "):
        FileSource("http:/me:hunter2@host/a.mp4").open()


def test_undecodable_frames_count_also_when_reading_stops_early(tmp_path: Path) -> None:
    options = {"codec": "mjpeg", "pixel_format": "yuvj420p"}
    source = FileSource(spoil(media.write_video(tmp_path / "d.mkv", count=60, **options), {3}))  # type: ignore[arg-type]
    source.open()
    for _ in range(40):
        assert source.read() is not None
    source.close()
    assert source.undelivered == {"undecodable": 1}


def failing(self: TrackDecoder, after: int) -> Iterator[Any]:
    packets = self.container.demux(video=0)
    for _ in range(after):
        yield next(packets)
    raise ValueError("a value that cannot be meant")


def test_an_error_of_pyav_while_reading_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.write_video(tmp_path / "a.ts", count=60, options={"bf": "0"})
    monkeypatch.setattr(TrackDecoder, "_demux", lambda self: failing(self, 30))
    count, message = ends_early(FileSource(path))
    assert 20 < count <= 30
    assert "cannot be meant" in message
    monkeypatch.setattr(TrackDecoder, "_demux", lambda self: failing(self, 0))
    with raises_code(SourceOpenError, "undecodable", naming="cannot be meant"):
        FileSource(path).open()


def test_an_error_of_pyav_on_opening_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.write_video(tmp_path / "a.mkv", count=2)
    monkeypatch.setattr(av, "open", lambda *a, **k: (_ for _ in ()).throw(ValueError("no such thing")))
    with raises_code(SourceOpenError, "unknown-format", naming="no such thing"):
        FileSource(path).open()


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def test_joined_fragments_are_read_to_the_last_frame(tmp_path: Path) -> None:
    """FFmpeg marks fragments to be discarded whose times were there before."""
    images = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(12)]
    part = media.write_video(tmp_path / "a.mp4", images=images, options={"g": "6"}, container_options=FRAGMENTED)
    path = tmp_path / "joined.mp4"
    path.write_bytes(part.read_bytes() * 2)
    frames = read_all(FileSource(path))
    assert [round(frame.time * 25) for frame in frames] == list(range(24))
    levels = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(levels, [20 * i for i in range(12)] * 2, atol=3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".flv", ".wmv"])
def test_joined_files_that_cannot_be_read_on_are_announced(tmp_path: Path, suffix: str, count: int) -> None:
    codec = "mpeg4" if suffix == ".wmv" else "libx264"
    part = media.write_video(tmp_path / f"a{suffix}", count=5, codec=codec)
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(part.read_bytes() * count)
    source = FileSource(path)
    assert len(read_all(source)) == 5
    assert sum("only the first can be read" in notice for notice in source.notices) == count - 1


def test_pixels_that_change_their_shape_midway_are_announced(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    with path.open("wb") as whole:
        for aspect in (Fraction(1), Fraction(4, 3)):
            part = media.write_video(tmp_path / "part.ts", count=4, codec="mpeg2video", aspect=aspect)
            whole.write(part.read_bytes())
    source = FileSource(path)
    assert {frame.size for frame in read_all(source)} == {(64, 48)}
    assert sum("from 1:1 to 4:3" in notice for notice in source.notices) == 1


def test_captions_within_the_pictures_are_announced(tmp_path: Path) -> None:
    """Captions of American television are SEI messages between the pictures of H.264 (ATSC A/53)."""
    plain = media.write_video(tmp_path / "in.h264", count=2, options={"bf": "0"})
    text = b"\xb5\x00\x31GA94" + bytes([3, 0x42, 0xFF]) + bytes([0xFC, 0x94, 0x2C]) * 2 + b"\xff"
    captioned = tmp_path / "cc.h264"
    message = b"\x00\x00\x00\x01\x06" + bytes([4, len(text)]) + text + b"\x80"
    captioned.write_bytes(message + plain.read_bytes())
    for path, expected in ((plain, 0), (captioned, 1)):
        source = FileSource(path)
        assert len(read_all(source)) == 2
        assert sum("captions" in notice for notice in source.notices) == expected
