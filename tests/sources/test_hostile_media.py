"""Files and streams of strangers reach nothing but themselves."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from helpers import http_server
from helpers.errors import raises_code
from helpers.media import write_video
from PIL import Image

import streamdepth
from streamdepth import factory
from streamdepth.config import make
from streamdepth.core.errors import SourceError, SourceOpenError
from streamdepth.sources.file import FileSource
from streamdepth.sources.network import NetworkSource
from streamdepth.utils.containers import open_media_file

REFERRERS = {
    "concat": "ffconcat version 1.0\nfile secret.ts\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
    "HLS with an address": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{folder}/secret.ts\n#EXT-X-ENDLIST\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="x"><Period>'
    '<AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>secret.ts</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
    "VobSub": "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_video(tmp_path / "secret.ts", count=10)
    return tmp_path


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ts", ".mkv", ".sdp", ".ffconcat"])
@pytest.mark.parametrize("kind", REFERRERS)
def test_a_text_in_a_file_leads_nowhere(folder: Path, kind: str, suffix: str) -> None:
    path = folder / f"upload{suffix}"
    path.write_text(REFERRERS[kind].format(folder=folder))
    with raises_code(SourceOpenError, "unknown-format"):
        FileSource(path).open()
    with pytest.raises((av.FFmpegError, ValueError)):
        open_media_file(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.ts", "list.ffconcat"])
@pytest.mark.parametrize("kind", ["concat", "HLS with an address", "SDP"])
def test_a_playlist_of_a_server_never_reaches_a_file(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, name: str
) -> None:
    served = tmp_path_factory.mktemp("served")
    text = REFERRERS[kind].format(folder=folder)
    (served / name).write_text(text.replace("file secret", f"file {folder}/secret"))
    with http_server.serve(served) as address:
        source = NetworkSource(f"{address}/{name}", timeout_seconds=2, reconnect_seconds=0, live=False)
        with source, pytest.raises(SourceError):
            source.open()


def test_a_playlist_of_a_server_leads_to_that_server(folder: Path) -> None:
    (folder / "list.m3u8").write_text(REFERRERS["HLS"])
    with http_server.serve(folder) as address, NetworkSource(f"{address}/list.m3u8") as source:
        assert source.open().width == 64
        assert source.read() is not None


@pytest.mark.parametrize("size", [(16384, 9000), (17000, 64), (12000, 12000)])
def test_a_large_picture_in_a_video_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "large.mp4").write_bytes(_bitmap(*size))
    with pytest.raises(SourceOpenError) as caught:
        FileSource(tmp_path / "large.mp4").open()
    assert caught.value.code in ("too-large", "undecodable")  # some decoders do not even say the size then


def _bitmap(width: int, height: int) -> bytes:
    """Returns a BMP with the header of a large picture and hardly any data."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "BMP")
    data = bytearray(file.getvalue())
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(data)


NAMES = ("lavfi:color=size=8x8:duration=1.mp4", "screen:.mp4", "camera:0.mp4", "[0-9].mp4", "%06d.mp4", "a#b.mp4")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_file_whatever_its_name_is(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / name, count=3)
    monkeypatch.chdir(tmp_path)
    for address in (name, f"./{name}", str(tmp_path / name)):
        with factory.make_source(address, make()) as source:
            assert isinstance(source, FileSource)
            assert source.open().width == 64
        assert factory.is_video_file(address)


def test_a_pattern_runs_no_filter(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_model: None) -> None:  # type: ignore[no-untyped-def]
    name = "lavfi:color=size=64x48:duration=0.2,metadata=mode=add:key=a:value=b,metadata=mode=print:file=victim.mp4"
    write_video(tmp_path / name, count=3)
    (tmp_path / "victim.mp4").write_text("precious")
    monkeypatch.chdir(tmp_path)
    done = cli("convert", "lavfi*.mp4", "-o", "out")
    assert done.code == 0, done.err
    assert (tmp_path / "victim.mp4").read_text() == "precious"
    assert "3 frames" in done.err


OPENERS = {
    "av.open": {
        "utils/containers.py",  # every file that is read
        "sources/network_connection.py",
        "sources/device_decoding.py",  # a clip of our own, in memory
        "sources/libav_device.py",
        "sources/sound_device.py",
        "sinks/sound_copier.py",  # a header of our own, in memory
        "sources/libav_picture.py",  # with the options of files
        "apps/bench/clip.py",  # a test picture that libav generates
    },
    "Image.open": set[str](),
    "Pillow.open": {"sinks/geometry_files.py"},  # a texture of our own
    "cv2.imread": set[str](),
    "cv2.VideoCapture": {"sources/camera_discovery.py", "apps/bench/reference_loops.py"},
    # after `open_picture`; training reads pictures of its own
    "cv2.imdecode": {"apps/web/sockets.py", "sources/ros_decoding.py", "sources/ros_depth.py", "training/pack.py"},
}
"""Function -> the modules that may read with it."""


@pytest.mark.parametrize("opener", OPENERS)
def test_all_media_are_opened_with_the_limits(opener: str) -> None:
    package = Path(streamdepth.__file__).parent
    reading = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for line in path.read_text().splitlines()
        if f"{opener}(" in line and '"w"' not in line and "training/scenes" not in str(path)
    }
    assert reading - {"sinks/sender.py"} <= OPENERS[opener]  # `sender` writes, over three lines
