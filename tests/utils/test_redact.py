"""Secrets are taken out of addresses and of any text that quotes them."""

from __future__ import annotations

import string
import time
from random import Random

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


# Forms of addresses as services and cameras give them out; what must not be shown contains SECRET, whatever its case.
SERVICES = {
    "YouTube": "rtmp://a.rtmp.youtube.com/live2/SECRET-abcd-efgh-ijkl",
    "YouTube backup": "rtmps://b.rtmps.youtube.com:443/live2?backup=1/SECRET-abcd",
    "Twitch": "rtmp://live.twitch.tv/app/live_123456789_SECRETabcdef",
    "Twitch, test": "rtmp://fra02.contribute.live-video.net/app/live_1_SECRET?bandwidthtest=true",
    "Facebook": "rtmps://live-api-s.facebook.com:443/rtmp/FB-1234-0-SECRET?s_bl=1&s_psm=1&a=SECRET",
    "Instagram": "rtmps://live-upload.instagram.com:443/rtmp/1789?s_bl=1&s_ml=SECRET",
    "TikTok": "rtmp://push-rtmp-l1.tiktokcdn.com/game/stream-SECRET?expire=1&sign=SECRET",
    "Kick": "rtmps://fa72.global-contribute.live-video.net:443/app/sk_us-west-2_SECRET",
    "Vimeo": "rtmps://rtmp-global.cloud.vimeo.com:443/live/SECRET-1234",
    "Mux": "rtmps://global-live.mux.com:443/app/SECRET-uuid",
    "Restream": "rtmp://live.restream.io/live/re_1_SECRET",
    "Cloudflare": "rtmps://live.cloudflare.com:443/live/SECRETk1234",
    "Wowza": "rtmp://entry.cloud.wowza.com/app-1/_definst_/SECRET",
    "librtmp": "rtmp://host/app/playpath=SECRET live=1 token=SECRET",
    "nginx-rtmp": "rtmp://host/live/cam?user=SECRET&pass=SECRET",
    "Reolink RTMP": "rtmp://10.0.0.5/bcs/channel0_main.bcs?channel=0&stream=0&user=SECRET&password=SECRET",
    "SRT": "srt://h:9000?streamid=publish:cam:bob:SECRET",
    "SRT access control": "srt://h:9000?mode=caller&streamid=#!::r=live/cam,m=publish,u=bob,s=SECRET&latency=200000",
    "SRT, encrypted": "srt://h:9000?passphrase=SECRETSECRET&pbkeylen=32",
    "SRT, Cloudflare": "srt://live.cloudflare.com:778?passphrase=SECRET&streamid=SECRET",
    "SRT, SRT Live Server": "srt://h:8080?streamid=uplive.sls.com/live/SECRET",
    "RIST": "rist://h:1968?secret=SECRET&aes-type=128&cname=x",
    "u and p": "http://h/mjpg?u=SECRET&p=SECRET",
    "Foscam": "http://h:88/cgi-bin/CGIStream.cgi?cmd=GetMJStream&usr=SECRET&pwd=SECRET",
    "older IP cameras": "http://h/videostream.cgi?loginuse=SECRET&loginpas=SECRET",
    "Blue Iris": "http://h:81/mjpg/cam1?user=SECRET&pw=SECRET",
    "Synology": "http://h:5000/webapi/SurveillanceStation/ThirdParty?method=Stream&_sid=SECRET",
    "Reolink FLV": "http://h/flv?port=1935&app=bcs&stream=channel0_main.bcs&user=SECRET&password=SECRET",
    "UniFi": "rtsps://192.168.1.1:7441/Aq3SECRETxY7bQw9?enableSrtp",
    "Nest": "rtsps://stream-us1.dropcam.com:443/sdm_live_stream/x?auth=SECRET.SECRET",
    "AWS": "https://b.s3.amazonaws.com/a.mp4?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET&X-Amz-Security-Token=SECRET",
    "CloudFront": "https://d1.cloudfront.net/a.m3u8?Policy=SECRET&Signature=SECRET&Key-Pair-Id=SECRET",
    "Azure": "https://a.blob.core.windows.net/c/a.mp4?sv=2022-11-02&sp=r&sig=SECRET",
    "Google": "https://storage.googleapis.com/b/a.mp4?X-Goog-Signature=SECRET",
    "Akamai": "https://h/a.m3u8?hdnea=exp=1~acl=/*~hmac=SECRET",
    "Alibaba": "http://h/live/a.flv?auth_key=1-0-0-SECRET",
    "Tencent": "http://h/live/a.flv?txSecret=SECRET&txTime=5F",
    "Huawei": "http://h/live/a.flv?hwSecret=SECRET&hwTime=5F",
    "Wowza token": "https://h/live/a/playlist.m3u8?wowzatokenhash=SECRET",
    "nginx secure link": "https://h/a.m3u8?md5=SECRET&expires=1",
    "a random key in a query": "https://h/a.m3u8?x=aB3SECRETdEf4567890",
    "user and password": "rtsp://SECRET:SECRET@10.0.0.5:554/Streaming/Channels/101",
    "S3 keys": "s3://SECRET:SECRET@bucket/a.mp4",
    "FTP": "sftp://SECRET:SECRET@h/a.mp4",
}


@pytest.mark.parametrize("address", SERVICES.values(), ids=SERVICES)
def test_addresses_of_real_services_show_no_secret(address: str) -> None:
    host = (
        address.rpartition("@")[2].partition("://")[2].partition("/")[0] or address.rpartition("@")[2].partition("/")[0]
    )
    shown = redact(address)
    assert "secret" not in shown.replace("secret=", "").replace("Secret=", "").lower()
    assert host.partition("?")[0] in shown, "which server is meant stays visible"
    for text in (f"cannot open '{address}': refused", f"{address}: refused", f'{{"push": "{address}"}}'):
        told = redact_text(text)
        assert "secret" not in told.replace("secret=", "").replace("Secret=", "").lower()
        assert redact_text(told) == told


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtmp://a.rtmp.youtube.com/live2/key", "rtmp://a.rtmp.youtube.com/live2/***"),
        ("rtmp://host/live", "rtmp://host/live"),
        ("srt://h:9000?mode=caller&latency=200&streamid=a", "srt://h:9000?mode=caller&latency=200&streamid=***"),
        ("http://h/Streaming/Channels/101?fps=5&size=640x360", "http://h/Streaming/Channels/101?fps=5&size=640x360"),
        ("s3://bucket/2026-11-25/Camera1FrontDoor20261125.mp4", "s3://bucket/2026-11-25/Camera1FrontDoor20261125.mp4"),
        ("write rtsp://USER:PASSWORD@HOST/PATH", "write rtsp://USER:PASSWORD@HOST/PATH"),
    ],
)
def test_what_is_no_secret_stays(address: str, shown: str) -> None:
    assert redact(address) == redact_text(address) == shown


@pytest.mark.parametrize("secret", ["pa/ss", "pa?ss", "pa#ss", "p@/ss", "pa:ss", "p a", "8554/p@ss", "/p@ss", "p@1/ss"])
def test_redact_hides_unescaped_passwords(secret: str) -> None:
    shown = redact(f"rtsp://admin:{secret}@host/stream")
    assert secret not in shown
    assert "ss" not in shown.removesuffix("/stream").replace("rtsp", "")
    assert "admin" not in shown


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://admin:2024/SECRET@10.0.0.5:554/live",
        "rtsp://admin:2024/SECRET@camera/live",
        "rtsp://admin:20241231/SECRET@cam.local/live",
        "rtsp://admin:8080/SECRET@cam.local/live",
        "rtsp://john.doe:2024/SECRET@10.0.0.5/live",
        "http://admin:2024?SECRET@10.0.0.5/live",
        "http://admin:2024#SECRET@10.0.0.5/live",
        "rtsp://ad/min:SECRET@10.0.0.5/live",
        "rtsp://admin:/SECRET@camera/live",
        "admin:SECRET@127.0.0.1:554/live",
        "admin:SECRET@camera/live",
        "admin:SECRET@cam.local",
        "admin:2024/SECRET@10.0.0.5/live",
        "rtsp://admin:x SECRET@cam/live",
        "rtsp://admin:12 SECRET x@cam/live",
    ],
)
def test_a_password_is_hidden_wherever_it_cuts_the_address(address: str) -> None:
    host = address.rpartition("@")[2]
    shown = redact(address)
    assert "SECRET" not in shown
    assert shown.endswith(host)
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:SEC RET@cam/live",
        "rtsp://admin:12 RET x@cam/live",
        "admin:RET@cam:554/live",
        "rtsp://a:1/RET@cam/x",
    ],
)
def test_a_text_that_quotes_an_address_hides_its_password(text: str) -> None:
    for quoting in (f"cannot open {text}", f"{{'url': '{text}'}}", f"({text}) failed"):
        shown = redact_text(quoting)
        assert "RET" not in shown
        assert "cam" in shown
        assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "address",
    [
        "http://host:8080/a@b/c.mp4",
        "rtsp://host:554/user@site",
        "http://nas:8096/me@home.mp4",
        "http://10.0.0.5:3000/@user/c@d.mp4",
        "https://media.example.com:8096/users/me@example.org/a.mp4",
        "http://host/path?email=a@b.c",
        "me@home.mp4",
        "folder/me@home.mp4",
        "a:b@c.png",
        "C:/videos/me@home.mp4",
        "C:\\videos\\me@home.mp4",
        "lavfi:testsrc2@1=size=64x48",
    ],
)
def test_an_at_sign_that_ends_no_password_stays(address: str) -> None:
    assert redact(address) == address
    assert redact_text(f"{address} is lost") == f"{address} is lost"


def test_what_follows_an_address_in_a_sentence_stays() -> None:
    text = "rtsp://cam:554/live is lost (5); write %40 for @, as in rtsp://USER:PASSWORD@HOST/PATH, or see me@2x.png"
    assert redact_text(text) == text


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


def test_random_tokens_of_base64url_are_hidden_whole() -> None:
    """Webhooks and signed streams carry their key in the path, where - and _ divide it."""
    random = Random(0)
    alphabet = string.ascii_letters + string.digits + "-_"
    tokens = ["".join(random.choices(alphabet, k=43)) for _ in range(400)]
    shown = [redact(f"https://host/hooks/{token}/index.m3u8") for token in tokens]
    hidden = sum(text == "https://host/hooks/***/index.m3u8" for text in shown)
    assert hidden >= 0.99 * len(tokens)
    assert all(text.split("/")[4] in ("***", token) for text, token in zip(shown, tokens, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "2024-11-29_Holiday_Part1-1080p.mp4",
        "BigBuckBunny_115k_2024.mp4",
        "DJI_20241129120000_0001_W.MP4",
        "My-Long_Recording-Of_2024-Take_2-Final.mkv",
        "ffd58ec8-89f0-48e1-b939-ba1a890f3cb2.mp4",
        "PXL_20240131_183059123.TS.mp4",
    ],
)
def test_names_of_recordings_are_shown(name: str) -> None:
    assert redact(f"https://host/videos/{name}") == f"https://host/videos/{name}"
