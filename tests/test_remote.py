"""Files elsewhere: in memory, and on a real S3 server (moto) by its foreign client."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media import write_video

import streamdepth
from streamdepth import build, remote
from streamdepth.errors import SourceOpenError
from streamdepth.testing import ConstantEstimator

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mp4", count=6, audio_offset_seconds=0.1)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """boto3's view of an empty bucket on a server of this machine."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    found = boto3.resource("s3").create_bucket(Bucket="videos")
    yield found
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("memory://a/b.mp4", True),
        ("s3://bucket/b.mp4", True),
        ("rtsp://host/live", False),
        ("https://host/b.mp4", False),
        ("udp://@239.0.0.1:1234", False),
        ("nonsense://x", False),
        ("C:/videos/b.mp4", False),
        ("lavfi:testsrc", False),
        ("b.mp4", False),
    ],
)
def test_what_is_elsewhere(address: str, expected: bool) -> None:
    assert remote.is_remote(address) == expected
    assert remote.address_of(Path(address)) == address


@pytest.mark.usefixtures("quick_model")
def test_one_file_from_and_to_elsewhere(cli, memory: Any, clip: Path) -> None:
    memory.pipe_file("/in/clip.mp4", clip.read_bytes())
    words = ("convert", "memory://in/clip.mp4", "-o", "memory://out/clip.mp4", "--depth-out", "memory://out/clip.mkv")
    done = cli(*words)
    assert done.code == 0, done.err
    assert sorted(p for p in memory.find("/out")) == ["/out/clip.mkv", "/out/clip.mkv.json", "/out/clip.mp4"]
    facts = json.loads(memory.cat_file("/out/clip.mkv.json"))
    assert facts["source"] == "memory://in/clip.mp4"
    assert facts["frames"] == 6
    here = clip.with_name("back.mp4")
    memory.get_file("/out/clip.mp4", str(here))
    assert "audio: aac" in cli("probe", here).out
    assert "64x48 px" in cli("probe", "memory://in/clip.mp4").out

    again = cli(*words)
    assert again.code == 5
    assert "'memory://out/clip.mp4' exists already" in again.err
    assert cli(*words, "--overwrite").code == 0


@pytest.mark.usefixtures("quick_model", "memory")
def test_what_is_not_there_is_a_source_error(cli, tmp_path: Path) -> None:
    done = cli("convert", "memory://in/none.mp4", "-o", tmp_path / "out.mp4")
    assert done.code == 3
    assert "'memory://in/none.mp4': there is no such file" in done.err


def test_a_run_that_fails_puts_nothing_there(memory: Any, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ConstantEstimator):
        def estimate(self, frames):
            raise SourceOpenError("broken")

    monkeypatch.setattr(build, "make_estimator", lambda _: Broken())
    with pytest.raises(SourceOpenError, match="broken"):
        streamdepth.convert(clip, "memory://out/clip.mp4")
    assert memory.find("/") == []


@pytest.mark.usefixtures("quick_model")
def test_a_fleet_on_s3(cli, bucket: Any, clip: Path) -> None:
    for name in ("a.mp4", "more/b.mp4"):
        bucket.upload_file(str(clip), f"in/{name}")
    command = ("convert", "s3://videos/in/**/*.mp4", "-o", "s3://videos/out", "--depth-out", "s3://videos/depth")
    done = cli(*command)
    assert done.code == 0, done.err
    keys = {o.key: o for o in bucket.objects.all()}
    assert {k for k in keys if k.startswith("out/")} == {"out/a.mp4", "out/more/b.mp4", "out/streamdepth.jsonl"}
    assert {"depth/a.mkv", "depth/a.mkv.json", "depth/more/b.mkv"} <= keys.keys()
    assert "2 files to convert" in done.err
    assert "hush" not in keys["out/streamdepth.jsonl"].get()["Body"].read().decode()

    write_video(clip, count=9)
    bucket.upload_file(str(clip), "in/a.mp4")
    done = cli(*command)
    assert done.code == 0, done.err
    assert "again: s3://videos/in/a.mp4: the input changed" in done.err
    assert "1 files to convert; 1 are done and unchanged" in done.err

    missing = cli("convert", "s3://nowhere/in/*.mp4", "-o", "s3://videos/out")
    assert missing.code == 3
    assert "nowhere" in missing.err
