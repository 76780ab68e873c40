"""The page's API, over real connections to a real server."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from helpers import media, rtsp_server
from helpers.errors import raises_code
from helpers.waiting import wait_until
from helpers.web_server import MOVING, Site, has_nothing_on_its_way, packet, running, unpack_codes
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from streamdepth import config, factory
from streamdepth.apps.web import media_folder, packets, recorder, routes, sockets
from streamdepth.apps.web.app import STATIC
from streamdepth.apps.web.session_factory import open_session
from streamdepth.apps.web.status import build_status
from streamdepth.core.errors import ModelLoadError, SinkOpenError, SinkWriteError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.states import StreamState
from streamdepth.core.types import DepthFrame, DepthKind, Frame, ModelInfo, StreamInfo
from streamdepth.geometry.camera import camera_info_yaml
from streamdepth.sinks.depth_reader import DepthVideo
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.testing import ConstantEstimator, RecordingSink

NAME = "lavfi_testsrc2_size_320x240_rate_30"
LIVE = f"/api/streams/{NAME}/live"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for the tests that leave it as they found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(from_brightness=True))
        with running(tmp_path_factory.mktemp("kept"), MOVING) as found:
            yield found


@pytest.fixture
def metric_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(DepthKind.METRIC))


def code_at_end(connection: ClientConnection) -> int:
    """Returns the code with which the server closes a WebSocket."""
    with pytest.raises(ConnectionClosed) as closed:
        for _ in iter(lambda: connection.recv(60), None):
            pass
    return closed.value.rcvd.code if closed.value.rcvd else 0


class TestStatus:
    def test_the_status_describes_the_stream(self, site: Site) -> None:
        told: dict[str, Any] = {}

        def is_live() -> bool:
            told.update(site.get("/api/status").json)
            (stream,) = told["streams"]
            return stream["history"] and stream["fps"] > 0 and stream["state"] == "live"

        wait_until(is_live)
        (stream,) = told["streams"]
        assert (stream["width"], stream["height"], stream["kind"], stream["unit"]) == (320, 240, "relative", None)
        assert (stream["scale_sigma"], stream["is_withheld"]) == (None, False)
        assert stream["written"] <= stream["read"]
        assert stream["controls"]["smooth"] == "default"
        assert any(second["latency_ms"] for second in stream["history"])
        assert told["model"]["name"] == "constant"
        assert set(stream["controls"]) <= {*told["choices"], "alpha", "range", "paused"}

    def test_health_and_unknown_streams(self, site: Site) -> None:
        assert site.get("/healthz").json == {"status": "ok"}
        for method, path in (("GET", ""), ("POST", "/snapshots"), ("PUT", "/recording"), ("DELETE", "/recording")):
            answer = site.call(method, f"/api/streams/other{path}")
            assert (answer.status, "no such stream" in answer.json["detail"]) == (404, True)

    def test_metrics_are_prometheus_and_begin_with_streamdepth(self, site: Site) -> None:
        wait_until(lambda: site.stream(NAME)["written"])
        answer = site.get("/metrics")
        families = list(text_string_to_metric_families(answer.body.decode()))
        assert len(families) > 10
        assert all(family.name.startswith("streamdepth_") for family in families)
        values = {(s.name, s.labels.get("state")): s.value for family in families for s in family.samples}
        states = {state: values["streamdepth_state", state.value] for state in StreamState}
        assert (sum(states.values()), states[StreamState.FAILED]) == (1, 0)
        assert values["streamdepth_frames_written_total", None] > 0

    def test_the_description_names_every_route(self, site: Site) -> None:
        paths = site.get("/openapi.json").json["paths"]
        assert {"/healthz", "/metrics", "/api/status", "/streams/{name}/mjpeg", "/api/files/{name}"} <= set(paths)
        page = site.get("/api").body.decode()
        assert not re.findall(r"""(?:src|href)=["']https?://""", page)

    def test_page_api_and_description_agree_on_the_colors_of_a_colormap(self, site: Site) -> None:
        described = site.get("/openapi.json").json
        schema = described["components"]["schemas"]["ColormapOut"]["properties"]
        answer = site.get("/api/colormaps/turbo").json
        assert answer.keys() == schema.keys() == {"name", "colors"}
        assert len(answer["colors"]) == 256
        assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in answer["colors"])
        assert described["paths"]["/api/colormaps/{name}"]["get"]["tags"] == ["colors"]
        assert ")).colors" in site.get("/static/api.js").body.decode()

    def test_the_page_uses_no_key_that_the_status_lacks(self, site: Site) -> None:
        """British spellings and older names would be undefined in JavaScript, and say nothing."""
        scripts = [path.read_text() for path in STATIC.glob("*.js")]
        status = site.get("/api/status").json
        shown = {key for text in scripts for key in re.findall(r"\b(?:stream|now)\??\.(\w+)", text)}
        assert {"is_browser_camera", "reconnects"} <= shown <= status["streams"][0].keys()
        used = {key for text in scripts for key in re.findall(r"\b(?:status|next)\.(\w+)", text)}
        assert {"sequence", "streams", "hold_last"} <= used <= status.keys() | {"picture"}
        assert not any(re.search(r"colours?\b(?=\s*[:.\]=(])", text) for text in scripts)

    def test_a_camera_that_is_not_there_is_waited_for(
        self, tmp_path: Path, quick_model: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        away = f"rtsp://someone:s3cr3t@127.0.0.1:{rtsp_server.free_port()}/x"
        with running(tmp_path, away, MOVING) as site:
            name = next(iter(site.session.streams))
            wait_until(lambda: "nothing listens" in site.stream(name)["reason"])
            assert site.stream(name)["state"] == "connecting"
            assert site.call("POST", f"/api/streams/{name}/snapshots").status == 409
            assert site.call("PUT", f"/api/streams/{name}/recording").status == 409
            assert site.get(f"/streams/{name}/picture").status == 409
            wait_until(lambda: site.stream(NAME)["state"] == "live")
        assert "waiting for rtsp://127.0.0.1" in caplog.text

    def test_folders_of_this_machine_are_hidden(
        self, tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "private").mkdir()
        monkeypatch.chdir(tmp_path / "private")
        there, away = tmp_path / "private" / "a.mp4", tmp_path / "private" / "away.mp4"
        media.write_video(there, count=40)
        with running(tmp_path / "kept", str(there)) as site:
            assert site.stream("a")["title"] == "a.mp4"
        settings = config.make(source=[str(away)], folder=tmp_path / "private" / "kept")
        with open_session(settings) as session:
            (stream,) = session.streams.values()
            with pytest.raises(SourceOpenError):
                session.pipeline.run()
            told = build_status(session, {}, 1).streams[0]
        assert stream.title == told.title == "away.mp4"
        assert "…/away.mp4 does not exist" in told.reason
        assert str(tmp_path) not in told.reason


class TestControls:
    def test_changed_controls_take_effect_and_the_others_stay(self, site: Site) -> None:
        changed = site.call("PATCH", f"/api/streams/{NAME}/controls", {"smooth": "light", "colormap": "turbo"})
        assert changed.json["streams"][0]["controls"] == {
            "style": "overlay", "colormap": "turbo", "alpha": 0.6, "smooth": "light", "range": "auto", "paused": False
        }  # fmt: skip
        wait_until(lambda: site.stream(NAME)["controls"]["colormap"] == "turbo")
        again = site.call("PATCH", f"/api/streams/{NAME}/controls", {"smooth": "default", "colormap": "inferno"})
        assert again.json["sequence"] > changed.json["sequence"]

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"smooth": "offline"}, "for files"),
            ({"smooth": "much"}, "choose one of"),
            ({"colormap": "infermo"}, "did you mean"),
            ({"range": "lock:3,1"}, "lock:LOW,HIGH"),
            ({"style": "wild"}, "one of"),
        ],
    )
    def test_controls_that_are_not_allowed_are_refused_with_a_reason(
        self, site: Site, wrong: dict[str, str], told: str
    ) -> None:
        before = site.stream(NAME)["controls"]
        answer = site.call("PATCH", f"/api/streams/{NAME}/controls", wrong)
        assert answer.status == 422
        assert told in answer.json["detail"]
        assert site.stream(NAME)["controls"] == before

    def test_a_locked_range_is_shown(self, site: Site) -> None:
        site.call("PATCH", f"/api/streams/{NAME}/controls", {"range": "lock:0.25,0.75"})
        live = site.session.streams[NAME].live
        wait_until(lambda: live.newest and live.newest.item.range == (0.25, 0.75))
        site.call("PATCH", f"/api/streams/{NAME}/controls", {"range": "auto"})

    def test_a_paused_stream_keeps_its_last_picture_and_resumes(self, site: Site) -> None:
        live = site.session.streams[NAME].live
        site.call("PATCH", f"/api/streams/{NAME}/controls", {"paused": True})
        wait_until(lambda: has_nothing_on_its_way(site, NAME))
        still = live.newest
        before = site.stream(NAME)["dropped"]["paused"]
        wait_until(lambda: site.stream(NAME)["dropped"]["paused"] > before + 5)
        assert live.newest is still
        site.call("PATCH", f"/api/streams/{NAME}/controls", {"paused": False})
        wait_until(lambda: live.newest is not still)

    def test_the_model_changes_its_size_between_two_frames(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(settings):
            if settings.model.size == 448:
                raise ModelLoadError("no room for rtsp://me:s3cr3t@host/ on purpose")
            return ConstantEstimator(size=((settings.model.size or 224) // 8, 32))

        monkeypatch.setattr(factory, "make_estimator", load)
        with running(tmp_path, MOVING) as site:
            live = site.session.streams[NAME].live
            assert site.get("/api/status").json["choices"]["size"] == [128, 160, 224, 320, 448]
            assert site.call("PATCH", "/api/model", {"size": 320}).status == 200
            wait_until(lambda: live.newest.item.depth.shape[0] == 40)
            assert site.get("/api/status").json["model"]["size"] == 320
            site.call("PATCH", "/api/model", {"size": 448})
            wait_until(lambda: site.get("/api/status").json["model"]["failure"])
            told = site.get("/api/status").json["model"]
            assert told["size"] == 320
            assert "448 px cannot be used" in told["failure"]
            assert "s3cr3t" not in told["failure"]
            assert "allowed: 128" in site.call("PATCH", "/api/model", {"size": 100}).json["detail"]


class TestPictures:
    def test_a_viewer_gets_the_picture_and_its_depth(self, site: Site) -> None:
        with site.socket(LIVE) as viewer:
            told, shown = None, []
            while told is None or len(shown) < 6:
                message = viewer.recv(60)
                if isinstance(message, str):
                    told = json.loads(message)
                    continue
                shown.append(packet(message))
                viewer.send("ready")
        header, jpeg, depth = shown[0]
        assert told["streams"][0]["name"] == NAME
        assert (header["width"], header["height"], header["kind"]) == (320, 240, "relative")
        with Image.open(io.BytesIO(jpeg)) as picture:
            assert picture.size == (320, 240)
            brightness = np.asarray(picture.convert("RGB").resize((32, 24)), np.float32).mean(2) / 255
        assert depth.shape == (24, 32)
        assert np.corrcoef(brightness.ravel(), depth.ravel())[0, 1] > 0.8
        indices = [h["index"] for h, _, _ in shown]
        assert indices == sorted(set(indices))

    def test_depth_is_packed_without_loss_beyond_its_levels(self) -> None:
        rng = np.random.default_rng(0)
        depth = rng.uniform(0.5, 9.0, (37, 53)).astype(np.float32)
        depth[3:5] = np.nan
        codes, low, step = packets.quantize_depth(depth)
        back = unpack_codes(packets.pack_codes(codes), 53, 37)
        np.testing.assert_array_equal(back, codes)
        values = np.where(back > 0, low + (back - 1) * step, np.nan)
        np.testing.assert_allclose(values, depth, atol=0.51 * step)
        assert step < 9 / 4000

    @pytest.mark.parametrize("given", [(0.0, np.inf), (np.nan, 1.0), (-np.inf, np.inf), (0.5, 2.0), None])
    def test_the_header_is_json_that_browsers_read(self, given: tuple[float, float] | None) -> None:
        frame = Frame(np.zeros((4, 6, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
        depth = np.linspace(1, 2, 24, dtype=np.float32).reshape(4, 6)
        packed = packets.encode_packet(
            DepthFrame(frame, depth, DepthKind.METRIC, range=given), packets.DetailLevel.FULL
        )
        text = packed[4 : 4 + int.from_bytes(packed[:4], "little")]
        low, high = json.loads(text, parse_constant=pytest.fail)["range"]
        assert (low, high) == (0.5, 2.0) if given == (0.5, 2.0) else 1 <= low < high <= 2

    @pytest.mark.parametrize("depth", [np.full((4, 6), np.nan), np.full((4, 6), 2.5), np.full((1, 1), np.inf)])
    def test_depth_without_values_or_contrast(self, depth: np.ndarray) -> None:
        codes, low, step = packets.quantize_depth(depth.astype(np.float32))
        values = low + (codes.astype(float) - 1) * step
        assert np.array_equal(codes > 0, np.isfinite(depth))
        assert np.allclose(values[codes > 0], depth[codes > 0])

    @pytest.mark.slow
    def test_a_viewer_that_shows_nothing_gets_two_pictures_and_slows_nobody(self, site: Site) -> None:
        with site.socket(LIVE) as slow, site.socket(LIVE) as quick:
            seen = 0
            while seen < 30:
                if isinstance(quick.recv(60), bytes):
                    seen += 1
                    quick.send("ready")
            got = []
            try:
                while True:
                    got.append(slow.recv(0.5))
            except TimeoutError:
                pass
        assert sum(isinstance(message, bytes) for message in got) == 2

    def test_packets_are_encoded_once_for_all_viewers_and_never_without_viewers(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[int] = []

        def encode(item, detail):
            made.append(item.frame.index)
            return packets.encode_packet(item, detail)

        monkeypatch.setattr(sockets, "encode_packet", encode)

        def watch(viewer: ClientConnection) -> None:
            for _ in range(20):
                if isinstance(viewer.recv(60), bytes):
                    viewer.send("ready")

        wait_until(lambda: site.stream(NAME)["viewers"] == 0)
        for _ in range(2):  # at first, what those before have asked for may be on its way
            made.clear()
            written = site.stream(NAME)["written"]
            wait_until(lambda written=written: site.stream(NAME)["written"] > written + 5)
        assert made == []
        with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
            viewers = [stack.enter_context(site.socket(LIVE)) for _ in range(4)]
            list(threads.map(watch, viewers))
            assert site.stream(NAME)["viewers"] == 4
        assert len(made) == len(set(made))
        wait_until(lambda: site.stream(NAME)["viewers"] == 0)

    @pytest.mark.parametrize("nonsense", ["hello", b"\x00" * 100, "ready" * 1000, "ready"], ids=range(4))
    def test_an_invalid_message_closes_the_connection(self, site: Site, nonsense: str | bytes) -> None:
        with site.socket(LIVE) as viewer:
            with suppress(ConnectionClosed):
                for _ in range(4):  # more than were sent
                    viewer.send(nonsense)
            assert code_at_end(viewer) == sockets.CLOSE_INVALID_MESSAGE

    def test_there_is_a_limit_of_viewers(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING, web={"max_viewers": 1}) as site, site.socket(LIVE) as first:
            first.recv(60)
            with site.socket(LIVE) as second:
                assert code_at_end(second) == sockets.CLOSE_TOO_MANY_VIEWERS
            assert site.get(f"/streams/{NAME}/mjpeg").status == 429

    def test_motion_jpeg_and_single_pictures(self, site: Site) -> None:
        parts = urlsplit(site.address)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        connection.request("GET", f"/streams/{NAME}/mjpeg")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        pictures = []
        while len(pictures) < 3:
            line = answer.readline()
            if line.startswith(b"Content-Length"):
                answer.readline()
                pictures.append(answer.read(int(line.split(b":")[1])))
        connection.close()
        assert {Image.open(io.BytesIO(p)).size for p in pictures} == {(320, 240)}
        with Image.open(io.BytesIO(site.get(f"/streams/{NAME}/picture").body)) as one:
            assert one.size == (320, 240)
        wait_until(lambda: site.stream(NAME)["viewers"] == 0)

    def test_motion_jpeg_is_read_by_ffmpeg(self, site: Site) -> None:
        with av.open(f"{site.address}streams/{NAME}/mjpeg", format="mpjpeg", timeout=60) as container:
            frames = [frame for frame, _ in zip(container.decode(video=0), range(5), strict=False)]
        assert [(f.width, f.height) for f in frames] == [(320, 240)] * 5

    def test_a_connection_that_is_cut_off_leaves_no_viewer(self, site: Site) -> None:
        for _ in range(3):
            raw = socket.create_connection(site.place.split(":"), timeout=60)
            raw.sendall(f"GET /streams/{NAME}/mjpeg HTTP/1.1\r\nHost: {site.place}\r\n\r\n".encode())
            raw.recv(100)
            raw.close()
        wait_until(lambda: site.stream(NAME)["viewers"] == 0)


class TestFiles:
    def test_a_snapshot_has_picture_view_and_depth(self, tmp_path: Path, metric_model: None) -> None:
        with running(tmp_path / "kept", MOVING) as site:
            assert site.get("/api/files").json == {"files": [], "folder": "kept"}
            names = site.call("POST", f"/api/streams/{NAME}/snapshots").json["files"]
            assert [n.removeprefix(names[0][:-4]) for n in names] == [".png", "_view.jpg", "_depth.png"]
            depth = Image.open(io.BytesIO(site.get(f"/api/files/{names[2]}").body))
            assert (depth.size, depth.text["streamdepth:unit"]) == ((320, 240), "mm")
            assert 500 <= np.asarray(depth).min() <= np.asarray(depth).max() <= 2000
            again = site.call("POST", f"/api/streams/{NAME}/snapshots").json["files"]
            assert not {*names} & {*again}
            assert {f["name"] for f in site.get("/api/files").json["files"]} == {*names, *again}

    def test_a_recording_is_a_video_and_its_depth(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path / "kept", MOVING) as site:
            path = f"/api/streams/{NAME}/recording"
            assert site.call("DELETE", path).status == 409
            recording = site.call("PUT", path).json["streams"][0]["recording"]
            assert (recording["active"], recording["failure"]) == (True, "")
            assert "stop it first" in site.call("PUT", path).json["detail"]
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 20)
            assert site.get("/api/files").json["files"] == [], "nothing is shown that is not complete"
            recording = site.call("DELETE", path).json["streams"][0]["recording"]
            assert (recording["active"], recording["failure"]) == (False, "")
            files = {Path(f["name"]).suffix: f["name"] for f in site.get("/api/files").json["files"]}
            assert set(files) == {".mp4", ".mkv", ".json"}
            part = site.get(f"/api/files/{files['.mp4']}", Range="bytes=0-99")
            assert (part.status, len(part.body)) == (206, 100)
        with av.open(str(tmp_path / "kept" / files[".mp4"])) as video:
            times = [float(f.time) for f in video.decode(video=0)]
        assert len(times) >= 20
        assert times[0] == 0
        assert recording["seconds"] == pytest.approx(times[-1], abs=0.06), "rounded to a tenth"
        assert len(list(DepthVideo(tmp_path / "kept" / files[".mkv"]))) == len(times)

    def test_a_deleted_file_is_gone_with_its_description_and_nothing_else_is(
        self, tmp_path: Path, quick_model: None
    ) -> None:
        kept = tmp_path / "kept"
        with running(kept, MOVING) as site:
            site.call("PUT", f"/api/streams/{NAME}/recording")
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 5)
            site.call("DELETE", f"/api/streams/{NAME}/recording")
            (kept / "mine.txt").touch()
            depth = next(kept.glob("*.mkv"))
            video = next(kept.glob("*.mp4"))
            for name in ("mine.txt", "..%2Fkept%2Fmine.txt", "none_20260101-000000.mp4"):
                assert site.call("DELETE", f"/api/files/{name}").status == 404
            assert site.call("DELETE", f"/api/files/{depth.name}").status == 204
            assert {path.name for path in kept.iterdir()} == {"mine.txt", video.name}
            assert site.call("DELETE", f"/api/files/{video.name}").status == 204
            assert site.get("/api/files").json["files"] == []
            assert site.call("DELETE", f"/api/files/{video.name}").status == 404

    def test_a_folder_that_vanishes_ends_the_recording_with_a_reason_and_not_the_stream(
        self, tmp_path: Path, quick_model: None
    ) -> None:
        with running(tmp_path / "kept", MOVING) as site:
            path = f"/api/streams/{NAME}/recording"
            site.call("PUT", path)
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 5)
            shutil.rmtree(tmp_path / "kept")
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 20)
            stopped = site.call("DELETE", path)
            reason = site.stream(NAME)["recording"]["failure"] or stopped.json["detail"]
            assert "No such file" in reason
            assert str(tmp_path) not in reason
            assert (site.stream(NAME)["state"], site.stream(NAME)["recording"]["active"]) == ("live", False)
            assert site.call("POST", f"/api/streams/{NAME}/snapshots").status == 201, "the folder is made anew"
            assert site.call("PUT", path).status == 200

    def test_recordings_and_pictures_are_drawn_as_the_page_draws_them(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path / "kept", MOVING, invert=True, legend=False) as site:
            controls = f"/api/streams/{NAME}/controls"
            assert site.stream(NAME)["controls"]["colormap"] == "inferno_r"
            assert "inferno_r" in site.get("/api/status").json["choices"]["colormap"]
            site.call("PATCH", controls, {"paused": True})
            wait_until(lambda: has_nothing_on_its_way(site, NAME))
            pictures = {}
            for alpha in (0, 0.25, 1):
                assert site.call("PATCH", controls, {"alpha": alpha}).json["streams"][0]["controls"]["alpha"] == alpha
                with Image.open(io.BytesIO(site.get(f"/streams/{NAME}/picture").body)) as picture:
                    pictures[alpha] = np.asarray(picture, np.float32)
            assert np.abs(pictures[0] - pictures[1]).mean() > 20
            mixed = 0.75 * pictures[0] + 0.25 * pictures[1]
            assert np.abs(pictures[0.25] - mixed).mean() < 3, "but for what JPEG loses"
            assert site.call("PATCH", controls, {"alpha": 1.5}).status == 422

    def test_a_recording_under_way_at_the_end_is_completed(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path / "kept", MOVING) as site:
            site.call("PUT", f"/api/streams/{NAME}/recording")
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 5)
        (video,) = (tmp_path / "kept").glob("*.mp4")
        with av.open(str(video)) as container:
            assert sum(1 for _ in container.decode(video=0)) >= 5

    def test_a_recording_that_fails_ends_and_the_stream_goes_on(
        self, tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(tmp_path / "kept", MOVING, min_free_mb=10**12) as site:
            answer = site.call("PUT", f"/api/streams/{NAME}/recording")
            assert (answer.status, "are to stay free" in answer.json["detail"]) == (409, True)
            written = site.stream(NAME)["written"]
            wait_until(lambda: site.stream(NAME)["written"] > written + 5)

    def test_snapshots_leave_room_and_are_written_one_at_a_time(
        self, tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        max_in_flight, most = 0, 0

        def write(*given: Any) -> list[Path]:
            nonlocal max_in_flight, most
            max_in_flight += 1
            most = max(most, max_in_flight)
            try:
                return media_folder.write_snapshot(*given)
            finally:
                max_in_flight -= 1

        monkeypatch.setattr(routes, "write_snapshot", write)
        with running(tmp_path / "kept", MOVING) as site, ThreadPoolExecutor(4) as threads:
            path = f"/api/streams/{NAME}/snapshots"
            answers = list(threads.map(lambda _: site.call("POST", path), range(8)))
            assert ({answer.status for answer in answers}, most) == ({201}, 1)
            site.session.media.min_free_bytes = 1e18
            full = site.call("POST", path)
            assert (full.status, "are to stay free" in full.json["detail"]) == (507, True)
            assert str(tmp_path) not in full.json["detail"]
            assert len(site.get("/api/files").json["files"]) == 24

    def test_files_that_are_removed_while_they_are_listed_are_left_out(self, tmp_path: Path) -> None:
        folder, done = media_folder.MediaFolder(tmp_path), threading.Event()
        paths = [tmp_path / f"x_20260101-00000{n}.png" for n in range(10)]

        def come_and_go() -> None:
            while not done.is_set():
                for path in paths:
                    path.touch()
                for path in paths:
                    path.unlink()

        with ThreadPoolExecutor(1) as threads:
            threads.submit(come_and_go)
            try:
                for _ in range(500):
                    assert {path for path, _ in folder.files()} <= {*paths}
            finally:
                done.set()

    @pytest.mark.parametrize("name", ["..%2f..%2fsecret.png", "%2e%2e/secret.png", "secret.png", "a_link.png"])
    def test_no_name_leads_out_of_the_folder(self, tmp_path: Path, quick_model: None, name: str) -> None:
        kept = tmp_path / "kept"
        kept.mkdir()
        (tmp_path / "secret.png").write_bytes(b"s3cr3t")
        (kept / "secret.png").write_bytes(b"s3cr3t")
        (kept / "x_20260101-000000.png").symlink_to(tmp_path / "secret.png")
        with running(kept, MOVING) as site:
            assert site.get("/api/files").json["files"] == []
            for path in (name, "x_20260101-000000.png"):
                answer = site.get(f"/api/files/{path}")
                assert (answer.status, b"s3cr3t" in answer.body) == (404, False)


def item_at(pts: int) -> DepthFrame:
    frame = Frame(np.zeros((4, 6, 3), np.uint8), pts, pts, Fraction(1, 30), 0.0)
    return DepthFrame(frame, np.ones((4, 6), np.float32), DepthKind.RELATIVE)


class Broken(RecordingSink):
    """Cannot be completed."""

    def close(self) -> None:
        raise SinkWriteError("the server is gone")


class TestRecorder:
    INFO, MODEL = StreamInfo("x", 6, 4), ModelInfo("constant", DepthKind.RELATIVE)
    LOOK = RenderOptions("depth", "inferno")

    def opened(self, folder: Path, *writers: Sink) -> recorder.RecorderSink:
        sink = recorder.RecorderSink(media_folder.MediaFolder(folder), "x", lambda _base, _look: list(writers))
        sink.open(self.INFO, self.MODEL)
        return sink

    def test_after_the_stream_nothing_can_be_recorded(self, tmp_path: Path) -> None:
        sink = self.opened(tmp_path, RecordingSink())
        sink.close()
        with raises_code(SinkOpenError, "not-open"):
            sink.start(self.LOOK)
        assert not sink.is_recording

    def test_discard_reports_a_recording_that_cannot_be_completed_and_raises_nothing(self, tmp_path: Path) -> None:
        other = RecordingSink()
        sink = self.opened(tmp_path, Broken(), other)
        sink.start(self.LOOK)
        sink.discard()
        sink.discard()
        assert (sink.failure, sink.is_recording, other.closed) == ("the server is gone", False, True)
        assert "the server is gone" in sink.notices[0]

    def test_a_frame_written_while_the_next_recording_starts_does_not_shift_its_times(self, tmp_path: Path) -> None:
        made: list[RecordingSink] = []
        sink = recorder.RecorderSink(
            media_folder.MediaFolder(tmp_path), "x", lambda _base, _look: made.append(RecordingSink()) or [made[-1]]
        )
        sink.open(self.INFO, self.MODEL)
        sink.start(self.LOOK)
        for pts in (100, 9_000):
            sink.write(item_at(pts))

        def again() -> None:
            sink.stop()
            sink.start(self.LOOK)

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as threads:
            asked: list[Future[None]] = []

            def meanwhile(item: Any, **changes: Any) -> Any:
                if not asked:
                    asked.append(threads.submit(again))
                    wait(asked, 0.5)  # it waits for this frame
                return replace(item, **changes)

            patch.setattr(recorder, "replace", meanwhile)
            sink.write(item_at(9_001))
        sink.write(item_at(9_002))
        sink.close()
        assert [[item.frame.pts for item in recording.items] for recording in made] == [[0, 8_900, 8_901], [0]]

    def test_the_name_of_a_file_that_another_server_writes_is_not_used(self, tmp_path: Path) -> None:
        first = media_folder.MediaFolder(tmp_path).new_base_path("x")
        being_written = PendingFile(first.with_name(f"{first.name}_000000.mp4"))
        assert media_folder.MediaFolder(tmp_path).new_base_path("x") != first
        being_written.discard()

    def test_a_recording_that_cannot_be_completed_at_the_end_is_an_error(self, tmp_path: Path) -> None:
        sink = self.opened(tmp_path, Broken())
        sink.start(self.LOOK)
        with pytest.raises(SinkWriteError, match="gone"):
            sink.close()
        sink.close()
        assert sink.failure == "the server is gone"


class TestBrowserCamera:
    def test_pictures_that_a_page_sends_come_back_with_depth(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, web={"browser_camera": True}) as site:
            stream = site.session.streams["browser"]
            assert site.stream("browser")["is_browser_camera"]
            with site.socket("/api/streams/browser/camera") as camera:
                for size in ((64, 48), (48, 64)):  # a phone that is turned
                    picture = io.BytesIO()
                    Image.new("RGB", size, (200, 30, 30)).save(picture, "JPEG")
                    for _ in range(3):
                        camera.send(picture.getvalue())
                        assert camera.recv(60) == "ready"
                    wait_until(
                        lambda size=size: (
                            stream.live.newest and stream.live.newest.item.frame.image.shape[1::-1] == size
                        )
                    )

                def is_live_with_another_picture() -> bool:
                    camera.send(picture.getvalue())
                    assert camera.recv(60) == "ready"
                    return site.stream("browser")["state"] == "live"

                wait_until(is_live_with_another_picture)
                with site.socket("/api/streams/browser/camera") as other:
                    assert code_at_end(other) == sockets.CLOSE_CAMERA_IN_USE
            wait_until(lambda: site.stream("browser")["state"] == "reconnecting")
            assert site.stream("browser")["width"] == 48

    def test_the_settings_camera_applies_to_its_pictures(self, tmp_path: Path, quick_model: None) -> None:
        """The camera has another size than a browser source has before its first picture."""
        camera = Intrinsics(50.0, 50.0, 31.5, 23.5, 48, 64, (0.5, 0.1, 0.0, 0.0, 0.0))
        (tmp_path / "camera.yaml").write_text(camera_info_yaml(camera))
        chosen = {"web": {"browser_camera": True}, "camera_info": tmp_path / "camera.yaml", "undistort": True}
        picture = io.BytesIO()
        Image.new("RGB", (48, 64), (200, 30, 30)).save(picture, "PNG")
        with running(tmp_path, **chosen) as site, site.socket("/api/streams/browser/camera") as page:
            page.send(picture.getvalue())
            assert page.recv(60) == "ready"
            live = site.session.streams["browser"].live
            wait_until(lambda: live.newest)
            item = live.newest.item
            assert item.intrinsics == camera.pinhole
            assert item.frame.image[0, 0].tolist() == [0, 0, 0], "what the lens has not seen"

    @pytest.mark.parametrize("what", ["text", "garbage", "huge header", "cut off"])
    def test_a_message_that_is_no_picture_closes_the_connection(
        self, tmp_path: Path, quick_model: None, what: str
    ) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (2400, 8) if what == "huge header" else (64, 48)).save(picture, "PNG")
        data = {"text": "hello", "garbage": b"\x89PNG nonsense", "cut off": picture.getvalue()[:40]}
        with running(tmp_path, web={"browser_camera": True}) as site:
            with site.socket("/api/streams/browser/camera") as camera:
                camera.send(data.get(what, picture.getvalue()))
                assert code_at_end(camera) == sockets.CLOSE_INVALID_MESSAGE
            assert site.get("/healthz").status == 200

    def test_a_message_that_is_too_large_is_not_read(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING, web={"browser_camera": True}) as site:
            with site.socket("/api/streams/browser/camera") as camera:
                camera.send(b"\xff" * (sockets.MAX_MESSAGE_BYTES + 1))
                assert code_at_end(camera) == 1009
            with site.socket(f"/api/streams/{NAME}/camera") as wrong:
                assert code_at_end(wrong) == sockets.CLOSE_UNKNOWN_STREAM
