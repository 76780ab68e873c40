"""Access to the page, and secrets that it never shows."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import logging
import os
import re
import socket
import ssl
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from helpers import http_server, media
from helpers.errors import raises_code
from helpers.waiting import wait_until
from helpers.web_server import MOVING, Site, running
from websockets.exceptions import InvalidStatus

from streamdepth import config, factory
from streamdepth.apps.web import security, server, sockets, uvicorn_server
from streamdepth.apps.web.access import make_access
from streamdepth.apps.web.app import STATIC
from streamdepth.apps.web.security import MAX_BODY_BYTES
from streamdepth.apps.web.server import WebServer
from streamdepth.apps.web.session_factory import open_session, server_options
from streamdepth.apps.web.sessions import SESSION_SECONDS, SessionStore, TokenThrottle
from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.testing import ConstantEstimator
from streamdepth.utils.cache import cache_folder

NAME = "lavfi_testsrc2_size_320x240_rate_30"
TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
        web = {"token": TOKEN, "allow_host": ["camera.example"], "browser_camera": True}
        with running(tmp_path_factory.mktemp("kept"), MOVING, web=web) as found:
            yield found


@pytest.fixture(autouse=True)
def no_address_has_to_wait(request: pytest.FixtureRequest) -> None:
    """Wrong tokens of one test make no other test wait."""
    if "site" in request.fixturenames:
        request.getfixturevalue("site").server.access.throttle.forget("127.0.0.1")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestToken:
    def test_only_health_is_served_without_a_token(self, site: Site) -> None:
        described = site.get("/openapi.json", **bearer(TOKEN)).json
        routes = [(verb.upper(), path) for path, verbs in described["paths"].items() for verb in verbs]
        routes += [("GET", path) for path in ("/", "/api", "/openapi.json", "/static/main.js", "/docs", "/nothing")]
        assert len(routes) > 20
        for method, path in routes:
            answer = site.call(method, path.replace("{name}", NAME), **{"Content-Length": "0"})
            assert answer.status == (200 if path == "/healthz" else 401), (method, path)
            assert NAME not in answer.body.decode()

    @pytest.mark.parametrize("path", [f"/api/streams/{NAME}/live", "/api/streams/browser/camera", "/nothing"])
    def test_no_websocket_is_opened_without_a_token(self, site: Site, path: str) -> None:
        for headers in ({}, bearer("wrong"), {"Cookie": f"streamdepth_{site.server.port}=wrong"}):
            with pytest.raises(InvalidStatus) as refused, site.socket(path, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 403

    @pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "tök€n"])
    def test_a_wrong_token_is_refused_however_it_is_sent(self, site: Site, token: str) -> None:
        sent = token.encode().decode("latin-1")
        assert site.get("/api/status", **bearer(sent)).status == 401
        assert site.get("/api/status", Cookie=f"streamdepth_{site.server.port}={sent}").status == 401
        assert site.get(f"/api/status?token={token.encode().hex()}").status == 401

    def test_the_right_token_opens_everything(self, site: Site) -> None:
        assert site.get("/api/status", **bearer(TOKEN)).status == 200
        assert site.get(f"/streams/{NAME}/picture?token={TOKEN}").status == 200
        assert site.call("POST", f"/api/streams/{NAME}/snapshots?token={TOKEN}").status == 401, "only to look"
        with site.socket(f"/api/streams/{NAME}/live", additional_headers=bearer(TOKEN)) as viewer:
            assert viewer.recv(60)

    def test_the_token_leaves_the_address_after_the_first_visit(self, site: Site) -> None:
        first = site.get(f"/?stream={NAME}&token={TOKEN}")
        assert (first.status, first.headers["location"]) == (303, f"./?stream={NAME}")
        cookie = first.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        page = site.get(first.headers["location"].lstrip("."), Cookie=cookie.split(";")[0])
        assert page.status == 200
        assert TOKEN not in page.body.decode()

    def test_a_visitor_without_a_token_gets_the_sign_in_page(self, site: Site) -> None:
        page = site.get("/")
        assert page.status == 401
        assert page.headers["www-authenticate"] == "Bearer"
        assert 'name="token"' in page.body.decode()
        assert "sha256-" in page.headers["content-security-policy"]

    def test_a_token_is_made_if_others_can_reach_the_server(self) -> None:
        for host in ("0.0.0.0", "192.168.1.5", "::", "camera.example"):
            made = [make_access(host, None, [], port=1, is_secure=False).token for _ in range(2)]
            assert made[0] != made[1]
            assert all(token and len(token) >= 24 for token in made)
        for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
            assert make_access(host, None, [], port=1, is_secure=False).token is None

    @pytest.mark.parametrize(
        "token",
        [
            "short",
            "",
            "with\nnewline",
            "schlüssel-von-uns",
            "cuts;the-cookie",
            "with a space",
            'with"quotes"',
            "a&b#c%d-e",
        ],
    )
    def test_a_bad_token_is_refused_at_the_start(self, token: str) -> None:
        with raises_code(ConfigError, "bad-token"):
            make_access("127.0.0.1", token, [], port=1, is_secure=False)

    @pytest.mark.parametrize("token", ["ab+cd/ef+gh==", "-._~+/-._~"])
    def test_the_printed_address_signs_in_with_any_token(self, tmp_path: Path, quick_model: None, token: str) -> None:
        with running(tmp_path, MOVING, web={"token": token}) as site:
            printed = urlsplit(site.server.address_with_token)
            first = site.get(f"{printed.path}?{printed.query}")
            assert first.status == 303
            assert (
                site.get(first.headers["location"].lstrip("."), Cookie=first.headers["set-cookie"].split(";")[0]).status
                == 200
            )
            assert site.get("/api/status", **bearer(token)).status == 200

    @pytest.mark.parametrize("others", ['prefs={"a":1}', "foo", "", "name=tök", "a=b=c", 'quoted="x', "=;;="])
    def test_cookies_of_others_do_not_hide_ours(self, site: Site, others: str) -> None:
        own = site.get(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]
        assert TOKEN not in own
        for cookies in (f"{others}; {own}", f"{own}; {others}", f"{others};{own};{others}"):
            assert site.get("/api/status", Cookie=cookies).status == 200


class TestSession:
    def test_signing_out_ends_the_session(self, site: Site) -> None:
        cookie = site.get(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]
        assert site.get("/api/session", Cookie=cookie).json == {"signed_in": True}
        assert site.get("/api/session", **bearer(TOKEN)).json == {"signed_in": False}
        assert site.call("DELETE", "/api/session", Cookie=cookie, Content_Length="0").status == 204
        assert site.get("/api/status", Cookie=cookie).status == 401

    def test_the_token_itself_is_no_cookie(self, site: Site) -> None:
        assert site.get("/api/status", Cookie=f"streamdepth_{site.server.port}={TOKEN}").status == 401

    def test_a_session_ends_with_its_time(self) -> None:
        now = [0.0]
        store = SessionStore(lambda: now[0])
        session = store.start()
        assert store.is_valid(session)
        now[0] = SESSION_SECONDS + 1
        assert not store.is_valid(session)


class TestWrongTokens:
    def test_an_address_that_guesses_has_to_wait(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        cookie = site.get(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]
        answers = [site.get("/api/status", **bearer(f"guess-{i}")) for i in range(20)]
        assert {a.status for a in answers} == {401, 429}
        assert int(answers[-1].headers["retry-after"]) > 0
        assert site.get("/api/status", **bearer(TOKEN)).status == 429, "not looked at, or guessing would go on"
        assert site.get("/api/status", Cookie=cookie).status == 200, "who is signed in stays so"
        (line,) = [r.getMessage() for r in caplog.records if "wrong token" in r.getMessage()]
        assert "127.0.0.1" in line
        assert "guess" not in line

    def test_the_wait_doubles_and_ends(self) -> None:
        now = [0.0]
        throttle = TokenThrottle(lambda: now[0])
        waits = []
        for _ in range(14):
            throttle.add_failure("a")
            waits.append(throttle.seconds_to_wait("a"))
            now[0] += waits[-1]
        assert waits[:9] == [0.0] * 9
        assert waits[9:] == [2.0, 4.0, 8.0, 16.0, 32.0]
        assert throttle.seconds_to_wait("b") == 0.0
        now[0] += 3600
        throttle.add_failure("a")
        assert throttle.seconds_to_wait("a") == 0.0

    @pytest.mark.parametrize(("token", "is_weak"), [("password", True), ("a" * 40, True), ("8Jd2-kq0S_mmxT1v", False)])
    def test_a_weak_token_is_warned_of(self, caplog: pytest.LogCaptureFixture, token: str, *, is_weak: bool) -> None:
        make_access("127.0.0.1", token, [], port=1, is_secure=False)
        assert ("easy to guess" in caplog.text) is is_weak

    @pytest.mark.parametrize(("host", "secure"), [("0.0.0.0", False), ("0.0.0.0", True), ("127.0.0.1", False)])
    def test_a_token_without_encryption_is_warned_of(
        self, caplog: pytest.LogCaptureFixture, host: str, *, secure: bool
    ) -> None:
        make_access(host, "8Jd2-kq0S_mmxT1v", [], port=1, is_secure=secure)
        assert ("unencrypted" in caplog.text) is (host == "0.0.0.0" and not secure)


MALFORMED = (
    "http://[",
    "http://[::1",
    "//",
    "http://a:b:c",
    "\xff\xfe",
    "http://[v1.x]",
    "a" * 5000,
    "9" * 5000,
    "=;,\t",
)
HEADERS = """Origin Host Authorization Cookie Range If-Range If-None-Match If-Modified-Since Accept Content-Type Referer
Sec-Fetch-Site Sec-Fetch-Mode X-Forwarded-Prefix X-Forwarded-For X-Forwarded-Proto Accept-Encoding Expect Upgrade"""


def raw_status(site: Site, request: str) -> int:
    """Sends a request as it is, and returns the status of the answer; 400 if the server hangs up on it."""
    with socket.create_connection(site.place.split(":"), timeout=60) as raw, suppress(ConnectionError):
        raw.sendall(request.encode("latin-1"))
        line = raw.makefile("rb").readline().split()
        return int(line[1]) if line else 400
    return 400


@pytest.mark.parametrize("name", HEADERS.split())
def test_no_malformed_header_is_an_error_of_the_server(site: Site, name: str) -> None:
    others = {"Host": site.place, "Authorization": f"Bearer {TOKEN}", "Connection": "close"}
    for value in MALFORMED:
        headers = "".join(f"{key}: {text}\r\n" for key, text in (others | {name: value}).items())
        for line in ("GET /", "GET /static/main.js", f"PATCH /api/streams/{NAME}/controls"):
            status = raw_status(site, f"{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n")
            assert status < 500, (line, name, value)
            if name == "Origin" and not line.startswith("GET /static"):
                assert 400 <= status < 500


def test_a_slow_body_is_cut(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_TIMEOUT_SECONDS", 0.3)
    head = f"PATCH /api/streams/{NAME}/controls HTTP/1.1\r\nHost: {site.place}\r\nAuthorization: Bearer {TOKEN}\r\n"
    assert raw_status(site, f"{head}Content-Length: 20\r\n\r\n{{") == 408


@pytest.mark.parametrize("path", [f"/streams/{NAME}/mjpeg", f"/api/streams/{NAME}/live"])
@pytest.mark.slow
def test_viewers_that_read_nothing_lose_their_places(
    tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(uvicorn_server, "SLOW_READER_SECONDS", 0.5)
    monkeypatch.setattr(sockets, "_STATUS_INTERVAL_SECONDS", 0.002)
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with running(tmp_path, MOVING, web={"max_viewers": 2}) as site, ExitStack() as open_ones:
        host, port = site.place.split(":")
        for _ in range(2):
            sleeper = open_ones.enter_context(socket.socket())
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.connect((host, int(port)))
            extra = upgrade if path.endswith("live") else ""
            sleeper.sendall(f"GET {path} HTTP/1.1\r\nHost: {site.place}\r\n{extra}\r\n".encode())
        wait_until(lambda: site.stream(NAME)["viewers"] == 2)
        wait_until(lambda: site.stream(NAME)["viewers"] == 0)


@pytest.mark.parametrize(
    "file", sorted(STATIC.glob("*.html")) + sorted(STATIC.glob("*.js")), ids=lambda path: path.name
)
def test_the_page_refers_to_nothing_by_an_absolute_path(file: Path) -> None:
    """A reverse proxy may serve it under a sub-path."""
    text = file.read_text()
    assert not re.findall(r"""(?:src|href|action)="/|fetch\("/|["'`]/(?:api|static|streams)\b""", text)


class TestOrigin:
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", "[::1"]
    )
    def test_an_unknown_host_name_is_refused(self, site: Site, host: str) -> None:
        answer = site.get("/api/status", Host=host, **bearer(TOKEN))
        assert (answer.status, "--allow-host" in answer.json["detail"]) == (403, True)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:9", "192.168.1.5", "Camera.Example:443"])
    def test_names_and_addresses_of_this_machine_are_allowed(self, site: Site, host: str) -> None:
        assert site.get("/api/status", Host=host, **bearer(TOKEN)).status == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
    def test_other_sites_pages_may_do_nothing(self, site: Site, origin: str) -> None:
        for method, path in (("GET", "/api/status"), ("POST", f"/api/streams/{NAME}/snapshots")):
            assert site.call(method, path, Origin=origin, **bearer(TOKEN)).status == 403
        for path in (f"/api/streams/{NAME}/live", "/api/streams/browser/camera"):
            with (
                pytest.raises(InvalidStatus) as refused,
                site.socket(path, origin=origin, additional_headers=bearer(TOKEN)),
            ):
                pass
            assert refused.value.response.status_code == 403

    def test_the_servers_own_page_is_allowed(self, site: Site) -> None:
        origin = site.address.rstrip("/")
        assert site.get("/api/status", Origin=origin, **bearer(TOKEN)).status == 200
        path = f"/api/streams/{NAME}/live"
        with site.socket(path, origin=origin, additional_headers=bearer(TOKEN)) as viewer:
            assert viewer.recv(60)

    def test_other_sites_may_link_here_and_embed_nothing(self, site: Site) -> None:
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", **bearer(TOKEN)}
        assert site.get(f"/streams/{NAME}/picture", **embedded).status == 403
        link = embedded | {"Sec-Fetch-Mode": "navigate"}
        assert site.get("/", **link).status == 200

    def test_without_a_token_too(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING) as site:
            assert site.get("/api/status").status == 200
            assert site.get("/api/status", Host="evil.example").status == 403
            assert site.get("/api/status", Origin="https://evil.example").status == 403


@pytest.fixture
def short_idle_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections are closed after half a second."""
    monkeypatch.setattr(uvicorn_server, "IDLE_TIMEOUT_SECONDS", 0.5)


def is_healthy(site: Site) -> bool:
    """True if the server answers; a request that is late itself may be cut off."""
    with suppress(ConnectionError):
        return site.get("/healthz").status == 200
    return False


@pytest.mark.usefixtures("short_idle_timeout", "quick_model")
class TestIdleConnections:
    @pytest.mark.parametrize(
        "said",
        [
            [b""],
            [b"GET / HTTP/1.1\r\nHost:"],
            [b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"G"],
            [b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n", b"G"],
        ],
        ids=["nothing", "half", "once", "no body"],
    )
    def test_idle_connections_lock_nobody_out(self, tmp_path: Path, said: list[bytes]) -> None:
        with running(tmp_path, MOVING, web={"max_viewers": 1, "token": TOKEN}) as site, ExitStack() as open_ones:
            host, port = site.place.split(":")
            for _ in range(70):
                stranger = open_ones.enter_context(socket.create_connection((host, int(port)), timeout=60))
                with suppress(ConnectionError):  # one that is late, as on a busy machine, is hung up on already
                    stranger.sendall(said[0])
                    for more in said[1:]:
                        assert stranger.recv(1000)
                        stranger.sendall(more)
            wait_until(lambda: is_healthy(site))
            with suppress(ConnectionError):
                while stranger.recv(1000):  # the answer that it asked for, if any
                    pass

    def test_viewers_are_not_disconnected(self, tmp_path: Path) -> None:
        with running(tmp_path, MOVING) as site, site.socket(f"/api/streams/{NAME}/live") as viewer:
            connection = http.client.HTTPConnection(site.place, timeout=60)
            connection.request("GET", f"/streams/{NAME}/mjpeg")
            answer = connection.getresponse()
            deadline = time.monotonic() + 3 * uvicorn_server.IDLE_TIMEOUT_SECONDS
            while time.monotonic() < deadline:
                assert answer.read(1000)
                if isinstance(viewer.recv(60), bytes):
                    viewer.send("ready")
            connection.close()


class TestFailure:
    def test_a_server_that_fails_stops_the_streams_and_raises(
        self, tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail(_counter: int) -> bool:
            raise RuntimeError("the loop is broken")

        settings = config.make(source=[MOVING], port=0, folder=tmp_path)
        with open_session(settings) as session:
            page = WebServer(session, server_options(settings))
            page.__enter__()
            monkeypatch.setattr(page._server, "on_tick", fail)
            session.pipeline.run()
            with raises_code(SinkWriteError, "server-failed", naming="the loop is broken"):
                page.__exit__(None, None, None)
        caplog.clear()  # uvicorn has its own words for it

    def test_a_server_that_does_not_start_raises(
        self, tmp_path: Path, quick_model: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def start(own: uvicorn_server.GracefulServer, **_: object) -> None:
            while not own.should_exit:
                await asyncio.sleep(0.01)

        monkeypatch.setattr(uvicorn_server.GracefulServer, "startup", start)
        monkeypatch.setattr(server, "_START_TIMEOUT_SECONDS", 0.1)
        settings = config.make(source=[MOVING], port=0, folder=tmp_path)
        with open_session(settings) as session:
            page = WebServer(session, server_options(settings))
            with raises_code(SinkOpenError, "server-start"), page:
                pytest.fail("it has not begun")


class TestLimits:
    def test_a_large_body_is_not_read(self, site: Site) -> None:
        path = f"/api/streams/{NAME}/controls"
        answer = site.call("PATCH", path, b"x" * (MAX_BODY_BYTES + 1), **bearer(TOKEN))
        assert answer.status == 413
        with socket.create_connection(site.place.split(":"), timeout=60) as raw:
            head = f"PATCH {path} HTTP/1.1\r\nHost: {site.place}\r\nAuthorization: Bearer {TOKEN}\r\n"
            raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            assert b" 411 " in raw.recv(1000)

    def test_every_answer_has_the_headers(self, site: Site) -> None:
        for path, headers in (("/", bearer(TOKEN)), ("/", {}), ("/healthz", {}), ("/nothing", bearer(TOKEN))):
            found = site.get(path, **headers).headers
            policy = found["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert found["x-content-type-options"] == "nosniff"
            assert found["referrer-policy"] == "no-referrer"
            assert found["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in found


def test_credentials_of_sources_appear_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the page, the API, the metrics, the status on a socket, file names, errors and the log."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    media.write_video(tmp_path / "a.mp4", count=40)
    with http_server.serve(tmp_path) as address:
        secret = address.replace("://", "://someone:s3cr3t@") + "/a.mp4?token=t0psecret"
        with running(tmp_path / "kept", secret, web={"token": "hunter2-hunter2"}) as site:
            site.headers = bearer("hunter2-hunter2")
            wait_until(lambda: site.get("/api/status").json["streams"][0]["fps"] > 0)
            name = site.get("/api/status").json["streams"][0]["name"]
            site.call("POST", f"/api/streams/{name}/snapshots")
            site.call("PATCH", f"/api/streams/{name}/controls", {"colormap": "no"})
            texts = [
                site.get(path).body for path in ("/", "/api", "/openapi.json", "/api/status", "/metrics", "/api/files")
            ]
            texts += [site.get(path).body for path in (f"/api/streams/{name}", "/api/streams/none", "/api/files/none")]
            with site.socket(f"/api/streams/{name}/live", additional_headers=site.headers) as viewer:
                texts += [m if isinstance(m, bytes) else m.encode() for m in (viewer.recv(60) for _ in range(3))]
            report = site.session.pipeline.report()
    everything = b"\n".join(texts).decode("latin-1") + str(report.as_json())
    everything += "\n".join(r.getMessage() for r in caplog.records if r.name != "websockets.client")  # that is us
    everything += "".join(str(path) for path in (tmp_path / "kept").iterdir())
    assert "127.0.0.1" in everything
    for word in ("s3cr3t", "t0psecret", "someone", "hunter2"):
        assert word not in everything


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(secret, hashes.SHA256())
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


class TestListening:
    @pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6 beside IPv4")
    def test_a_server_at_all_addresses_takes_ipv4_and_ipv6(self) -> None:
        with server._listen("::", 0) as listening:
            assert listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0

    def test_a_port_in_use_is_an_error_at_once(self, cli: Callable, quick_model: None, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = cli("serve", MOVING, "--port", taken.getsockname()[1], "--folder", tmp_path)
        assert done.code == 2
        assert "choose another --port" in done.err

    def test_a_certificate_that_cannot_be_read(self, cli: Callable, quick_model: None, tmp_path: Path) -> None:
        (tmp_path / "c.pem").write_text("nonsense")
        for file in ("c.pem", "missing.pem"):  # its key is looked for in the same file
            done = cli("serve", MOVING, "--port", "0", "--certificate", tmp_path / file)
            assert done.code == 2
            assert "give both as PEM files" in done.err

    def test_a_key_without_its_certificate(self, cli: Callable, quick_model: None, tmp_path: Path) -> None:
        done = cli("serve", MOVING, "--port", "0", "--key", self_signed(tmp_path)[1])
        assert (done.code, "needs its certificate" in done.err) == (2, True)

    def test_https_with_a_certificate(self, tmp_path: Path, quick_model: None) -> None:
        certificate, key = self_signed(tmp_path)
        web = {"certificate": certificate, "key": key, "token": TOKEN}
        with running(tmp_path / "kept", MOVING, web=web) as site:
            assert site.address.startswith("https://127.0.0.1:")
            context = ssl.create_default_context(cafile=certificate)
            connection = http.client.HTTPSConnection(site.place, context=context, timeout=60)
            connection.request("GET", f"/?token={TOKEN}")
            answer = connection.getresponse()
            assert "; Secure" in answer.headers["Set-Cookie"]
            assert "max-age=" in answer.headers["Strict-Transport-Security"]
            connection.close()
            path = f"/api/streams/{NAME}/live"
            with site.socket(path, additional_headers=bearer(TOKEN), ssl=context) as viewer:
                assert viewer.recv(60)

    def test_a_server_at_all_addresses_prints_a_numeric_one(self, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING) as site:
            site.server.options = site.server.options.__class__(host="0.0.0.0")
            assert WebServer.address.fget(site.server).count(".") == 3

    def test_serve_prints_where_to_look_and_ends(self, cli: Callable, quick_model: None, tmp_path: Path) -> None:
        done = cli("serve", MOVING, "--port", "0", "--max-frames", "5", "--folder", tmp_path / "kept", "--token", TOKEN)
        assert done.code == 0
        assert done.out.startswith("http://127.0.0.1:")
        assert TOKEN not in done.out + done.err, "what is no terminal may be the log of a service"
        assert "frames in" in done.err
        assert f"go to {tmp_path / 'kept'}" in done.err
        assert not (tmp_path / "kept").exists()

    @pytest.mark.skipif(os.name != "posix", reason="files have no mode on Windows")
    def test_the_file_with_the_token_is_for_its_user_alone(self, cli: Callable, quick_model: None) -> None:
        umask = os.umask(0)
        try:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            older = cache_folder() / f"serve_{port}.token"
            older.parent.mkdir(parents=True, exist_ok=True)
            older.write_text("readable by all")
            done = cli("serve", MOVING, "--host", "0.0.0.0", "--port", port, "--max-frames", "3")
        finally:
            os.umask(umask)
        assert f"its token is in the file {older}" in " ".join(done.err.split())
        assert stat.S_IMODE(older.stat().st_mode) == 0o600
        token = older.read_text().strip()
        assert len(token) == 32
        assert token not in done.out + done.err

    def test_without_its_packages_the_page_says_how_to_get_them(
        self, cli: Callable, quick_model: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "fastapi", None)
        done = cli("serve", MOVING, "--port", "0")
        assert done.code == 2
        assert 'pip install "streamdepth[web]"' in done.err

    def test_serve_without_a_source_says_what_to_give(self, cli: Callable) -> None:
        done = cli("serve")
        assert done.code == 2
        assert "--browser-camera" in done.err


@pytest.mark.slow
def test_a_sleeping_viewer_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads nothing until it is sent no more; that is no error either (the fixtures look at the log)."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    with socket.socket() as sleeper, running(tmp_path, "lavfi:testsrc2=size=1280x720:rate=30") as site:
        (name,) = site.session.streams
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = site.place.split(":")
        sleeper.connect((host, int(port)))
        sleeper.sendall(f"GET /streams/{name}/mjpeg HTTP/1.1\r\nHost: {site.place}\r\n\r\n".encode())
        wait_until(lambda: site.stream(name)["viewers"] == 1)
        seen = site.stream(name)["written"]
        wait_until(lambda: site.stream(name)["written"] > seen + 90)
