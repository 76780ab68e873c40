"""Secrets are taken out of addresses and of any text that quotes them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.utils.redact import redact, redact_text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:pass@host:554/a/b", "rtsp://host:554/a/b"),
        ("rtsp://user@host/a", "rtsp://host/a"),
        ("rtsp://host/a", "rtsp://host/a"),
        ("rtsp://user:p@ss@host/a", "rtsp://host/a"),
        ("http://host/user@place/a", "http://host/user@place/a"),
        ("http://host:80/user@place/a", "http://host:80/user@place/a"),
        ("http://host/a?password=x&w=3", "http://host/a?password=***&w=3"),
        ("http://host/a?pw=x&w=3", "http://host/a?pw=***&w=3"),
        ("http://host/a?access_token=x#t", "http://host/a?access_token=***#t"),
        ("rtsp://host/user=admin_password=tlJwpbo6_channel=1", "rtsp://host/user=***"),
        ("videos/a.mp4", "videos/a.mp4"),
        ("http:/user:pass@host/a", "http:/host/a"),
        ("http://host/a?access=x&w=3", "http://host/a?access=***&w=3"),
        ("http://host/a.m3u8?hdnts=exp=1~acl=/*~hmac=77&w=3", "http://host/a.m3u8?hdnts=***&w=3"),
        ("http://host/a?signature=b/a?s+e==&w=3", "http://host/a?signature=***&w=3"),
        ("rtsp://host/proxy?url=rtsp://user:pass@cam/x", "rtsp://host/proxy?url=rtsp://cam/x"),
        (r"lavfi:movie=http\\://user\:pass@host/a", r"lavfi:movie=http\\://host/a"),
        (r"lavfi:movie='http\://user\:pass@host/a'", r"lavfi:movie='http\://host/a'"),
        (
            r"lavfi:movie=http\://h/a[x];movie=http\://user\:pass@host/b",
            r"lavfi:movie=http\://h/a[x];movie=http\://host/b",
        ),
        ("lavfi:testsrc2=size=640x360:rate=30", "lavfi:testsrc2=size=640x360:rate=30"),
    ],
)
def test_redact(address: str, shown: str) -> None:
    assert redact(address) == shown


@pytest.mark.parametrize("secret", ["pa/ss", "pa?ss", "pa#ss", "p@/ss", "pa:ss", "p a"])
def test_redact_hides_unescaped_passwords(secret: str) -> None:
    shown = redact(f"rtsp://admin:{secret}@host/stream")
    assert secret not in shown
    assert "ss" not in shown.removesuffix("/stream").replace("rtsp", "")
    assert "admin" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("failed: 'rtsp://u:secret@host/x' (5)", "failed: 'rtsp://host/x' (5)"),
        ("[h] http:/u:secret@host failed", "[h] http:/host failed"),
        (r"cannot open movie=http\\://u\:secret@host/x", r"cannot open movie=http\\://host/x"),
        ("GET /x?token=abc HTTP/1.1", "GET /x?token=*** HTTP/1.1"),
        ("password=abc, user", "password=***, user"),
        ("write --set key=value, such as --set video.crf=18", "write --set key=value, such as --set video.crf=18"),
        ("mail me@example.org, see C:/x", "mail me@example.org, see C:/x"),
        ("", ""),
    ],
)
def test_redact_text(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@given(st.text(alphabet="a:/\\@=?&. pwd", max_size=60))
def test_any_text_is_taken_and_once_is_enough(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000 + "=",
        "ab://c@" * 20_000,
        "?pass" * 20_000 + "=",
        "http:" + "\\/" * 50_000 + "=",
        "\\" * 100_000 + "=",
    ],
)
def test_it_takes_time_by_the_length_only(text: str) -> None:
    began = time.process_time()
    redact_text(text)
    assert time.process_time() - began < 1
