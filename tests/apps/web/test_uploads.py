"""Videos that visitors upload: what comes out of them, what is refused, and what is left of them."""

from __future__ import annotations

import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import av
import pytest
from helpers import media
from helpers.waiting import wait_until
from helpers.web_server import MOVING, Answer, Site, running

from streamdepth import factory
from streamdepth.apps.web import uploads
from streamdepth.testing import ConstantEstimator

NAME = "lavfi_testsrc2_size_320x240_rate_30"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, whose content is that of the test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def site(tmp_path: Path, quick_model: None) -> Iterator[Site]:
    with running(tmp_path / "kept", MOVING) as found:
        yield found


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    return media.write_video(tmp_path / "clip.mp4", count=40, rate=25).read_bytes()


def send(site: Site, body: bytes, name: str = "my clip.mp4", **headers: str) -> Answer:
    path = f"/api/conversions?{urlencode({'name': name, 'stream': NAME})}"
    return site.call("POST", path, body, Content_Type="application/octet-stream", **headers)


def conversions(site: Site) -> list[dict[str, Any]]:
    return site.get("/api/conversions").json["conversions"]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
class TestConversion:
    def test_each_frame_comes_back_with_depth_in_the_look_of_the_stream(
        self, site: Site, clip: bytes, temporary: Path, tmp_path: Path
    ) -> None:
        site.call("PATCH", f"/api/streams/{NAME}/controls", {"style": "side-by-side"})
        answer = send(site, clip, "../../ my clip.mp4")
        assert answer.status == 201
        assert answer.json["name"] == "my_clip"
        wait_until(lambda: conversions(site)[0]["state"] == "done")
        (done,) = conversions(site)
        assert (done["share"], done["reason"]) == (1.0, "")
        assert done["result"] in [file["name"] for file in site.get("/api/files").json["files"]]
        assert site.get(f"/api/files/{done['result']}").status == 200
        with av.open(str(tmp_path / "kept" / done["result"])) as video:
            frames = list(video.decode(video=0))
        assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 25) for n in range(40)]
        assert {(frame.width, frame.height) for frame in frames} == {(128, 48)}
        wait_until(lambda: not files_below(temporary))
        (folder,) = temporary.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert site.call("DELETE", f"/api/conversions/{done['id']}").status == 204
        assert conversions(site) == []
        assert site.get(f"/api/files/{done['result']}").status == 200, "the result stays"

    def test_a_damaged_video_fails_with_a_reason_without_folders(
        self, site: Site, temporary: Path, tmp_path: Path
    ) -> None:
        whole = media.write_video(
            tmp_path / "long.mp4", count=90, size=(320, 240), container_options={"movflags": "faststart"}
        )
        assert send(site, whole.read_bytes()[: whole.stat().st_size // 2]).status == 201
        wait_until(lambda: conversions(site)[0]["state"] == "failed")
        (failed,) = conversions(site)
        assert failed["reason"]
        assert str(tmp_path) not in failed["reason"]
        assert not files_below(temporary)

    def test_canceling_leaves_nothing(
        self, tmp_path: Path, temporary: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(delay_seconds=0.1))
        with running(tmp_path / "kept", MOVING) as site:
            first, second = (send(site, clip).json["id"] for _ in range(2))
            wait_until(lambda: (conversions(site)[1]["share"] or 0) > 0)
            assert [c["state"] for c in conversions(site)] == ["waiting", "converting"]
            for identifier in (second, first):
                assert site.call("DELETE", f"/api/conversions/{identifier}").status == 204
            wait_until(lambda: not files_below(temporary))
            wait_until(lambda: not list((tmp_path / "kept").glob("*")))
            assert {c["state"] for c in conversions(site)} == {"canceled"}
            assert site.call("DELETE", "/api/conversions/none").status == 404

    def test_the_end_of_the_server_cancels_what_runs(
        self, tmp_path: Path, temporary: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(delay_seconds=0.1))
        with running(tmp_path / "kept", MOVING) as site:
            send(site, clip)
            wait_until(lambda: conversions(site)[0]["state"] == "converting")
        assert list(temporary.iterdir()) == []
        assert list((tmp_path / "kept").glob("*")) == []


def playlist(tmp_path: Path) -> bytes:
    (tmp_path / "secret.mp4").write_bytes(media.write_video(tmp_path / "other.mp4").read_bytes())
    return f"ffconcat version 1.0\nfile '{tmp_path / 'secret.mp4'}'\n".encode()


def hls(tmp_path: Path) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{tmp_path / 'x.ts'}\n#EXT-X-ENDLIST\n".encode()


def sound(tmp_path: Path) -> bytes:
    return media.write_sound_only(tmp_path / "sound.mp4").read_bytes()


class TestRefusals:
    @pytest.mark.parametrize(
        "make", [playlist, hls, sound, lambda _: b"%!PS-Adobe-3.0\nshowpage", lambda _: b"\x00" * 999]
    )
    def test_what_is_no_video_by_its_content_is_refused(
        self, site: Site, temporary: Path, tmp_path: Path, make: Callable[[Path], bytes]
    ) -> None:
        answer = send(site, make(tmp_path), "video.mp4")
        assert answer.status == 415
        assert str(tmp_path) not in answer.json["detail"]
        assert conversions(site) == files_below(temporary) == []

    def test_limits(self, tmp_path: Path, quick_model: None, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        with running(tmp_path / "kept", MOVING, web={"max_upload_mb": 0.1}) as site:
            assert site.get("/api/conversions").json["max_upload_bytes"] == 100_000
            assert send(site, b"x" * 100_001).status == 413
            assert send(site, clip, Transfer_Encoding="chunked").status == 411
            assert send(site, clip, Origin="http://elsewhere.example").status == 403
            assert send(site, b"").status == 400
            assert site.call("POST", "/api/conversions?name=a&stream=none", clip).status == 404
            with monkeypatch.context() as patch:
                patch.setattr("streamdepth.apps.web.conversions._MAX_UNFINISHED", 0)
                assert send(site, clip).status == 429
            site.session.media.min_free_bytes = 1e18
            full = send(site, clip)
            assert (full.status, str(tmp_path) in full.json["detail"]) == (507, False)
            assert conversions(site) == []

    def test_uploads_can_be_turned_off(self, tmp_path: Path, quick_model: None, clip: bytes) -> None:
        with running(tmp_path / "kept", MOVING, web={"max_upload_mb": 0}) as site:
            answer = send(site, clip)
            assert (answer.status, "--max-upload-mb" in answer.json["detail"]) == (403, True)

    @pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "broken off"])
    def test_an_upload_that_does_not_go_on_is_forgotten(
        self, site: Site, temporary: Path, monkeypatch: pytest.MonkeyPatch, is_silent: bool
    ) -> None:
        monkeypatch.setattr(uploads, "_SILENCE_SECONDS", 0.3)
        host, port = site.place.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as raw:
            path = f"/api/conversions?name=a.mp4&stream={NAME}"
            raw.sendall(f"POST {path} HTTP/1.1\r\nHost: {site.place}\r\nContent-Length: 90000\r\n\r\nhalf".encode())
            if is_silent:
                wait_until(lambda: files_below(temporary))
                assert raw.recv(100).startswith(b"HTTP/1.1 408")
        with suppress(OSError):
            raw.close()
        wait_until(lambda: not files_below(temporary) and not conversions(site))
