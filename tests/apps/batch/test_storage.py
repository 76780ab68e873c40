"""Files in remote storage: in memory, and on real FTP and S3 (moto) servers."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.media import write_video

import streamdepth
from streamdepth import config, factory
from streamdepth.apps.batch.manifest import Manifest, ManifestEntry
from streamdepth.apps.batch.tasks import find_tasks
from streamdepth.core.errors import SinkWriteError, SourceOpenError
from streamdepth.core.types import StreamInfo
from streamdepth.sinks.remote import RemoteSink
from streamdepth.testing import ConstantEstimator, RecordingSink
from streamdepth.utils import storage

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
def test_remote_addresses(address: str, expected: bool) -> None:
    assert storage.is_remote(address) == expected
    assert storage.address_from_path(Path(address)) == address


@pytest.mark.usefixtures("quick_model")
def test_one_file_from_and_to_remote_storage(cli, memory: Any, clip: Path) -> None:
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
def test_a_missing_remote_file_is_a_source_error(cli, tmp_path: Path) -> None:
    done = cli("convert", "memory://in/none.mp4", "-o", tmp_path / "out.mp4")
    assert done.code == 3
    assert "'memory://in/none.mp4': there is no such file" in done.err


def test_a_run_that_fails_uploads_nothing(memory: Any, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ConstantEstimator):
        def estimate(self, frames):
            raise SourceOpenError("broken")

    monkeypatch.setattr(factory, "make_estimator", lambda _: Broken())
    with pytest.raises(SourceOpenError, match="broken"):
        streamdepth.convert(clip, "memory://out/clip.mp4")
    assert memory.find("/") == []


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address with user and password, folder) of a real server on this machine."""
    pytest.importorskip("pyftpdlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is made of asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer

    folder = tmp_path / "served"
    folder.mkdir()
    users = DummyAuthorizer()
    users.add_user("user", "hush", str(folder), perm="elradfmw")
    handler = type("Handler", (FTPHandler,), {"authorizer": users})
    server = FTPServer(("127.0.0.1", 0), handler)
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            server.serve_forever(timeout=0.1, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"ftp://user:hush@127.0.0.1:{server.address[1]}", folder
    is_over.set()
    thread.join(timeout=60)
    server.close_all()


@pytest.mark.usefixtures("quick_model")
def test_a_batch_on_ftp(cli, ftp: tuple[str, Path], clip: Path) -> None:
    address, folder = ftp
    for name in ("a.mp4", "more/b.mp4"):
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(clip.read_bytes())
    command = ("convert", f"{address}/in/**/*.mp4", "-o", f"{address}/out")
    done = cli(*command)
    assert done.code == 0, done.err
    assert sorted(p.name for p in (folder / "out").rglob("*") if p.is_file()) == ["a.mp4", "b.mp4", "streamdepth.jsonl"]
    assert "hush" not in (folder / "out/streamdepth.jsonl").read_text()
    assert "2 are done and unchanged" in cli(*command).err


@pytest.mark.usefixtures("memory")
def test_a_remote_manifest_has_started_files_at_once(clip: Path) -> None:
    task = find_tasks(config.make(source=(str(clip), "other.mp4"), output="memory://out"))[0]
    with Manifest(Path("memory://out")) as manifest:
        entry = ManifestEntry.started(task)
        for state in ("started", "done", "started"):
            manifest.write(replace(entry, state=state))
        assert [r.state for r in Manifest(Path("memory://out")).__enter__().entries.values()] == ["started"]
        manifest.write(replace(entry, name="b"))
        assert Manifest(Path("memory://out")).__enter__().entries.keys() == {entry.name, "b"}


@pytest.mark.usefixtures("quick_model")
def test_an_error_of_the_storage_fails_only_its_file(cli, memory: Any, clip: Path, tmp_path: Path, monkeypatch) -> None:
    class StorageError(Exception): ...

    info = type(memory).info

    def cannot_tell(self, path: str, **more: Any) -> Any:
        if "b.mp4" in path:
            raise StorageError("secret?token=hush")
        return info(self, path, **more)

    for name in ("a", "b", "c"):
        memory.pipe_file(f"/in/{name}.mp4", clip.read_bytes())
    monkeypatch.setattr(type(memory), "info", cannot_tell)
    done = cli("convert", "memory://in/*.mp4", "-o", "memory://out")
    assert done.code == 5, done.err
    assert "2 of 3 files are done, 1 failed" in done.err
    assert "hush" not in done.err


def test_an_upload_that_fails_leaves_no_partial_output(memory: Any, clip: Path, monkeypatch) -> None:
    put, stored = type(memory).put_file, list[str]()

    def put_one(self, source: str, path: str, **more: Any) -> None:
        if stored:
            raise ConnectionError("gone")
        stored.append(path)
        put(self, source, path, **more)

    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    monkeypatch.setattr(type(memory), "put_file", put_one)
    with pytest.raises(SinkWriteError, match="gone"):
        streamdepth.convert(clip, None, depth_out="memory://out/clip.mkv")
    assert memory.find("/") == ["/out/clip.mkv.json"]


def test_notices_of_the_local_sink_are_forwarded(memory: Any) -> None:
    class Writer(RecordingSink):
        bytes_to_finish = 7
        idles = 0

        def on_idle(self) -> None:
            self.idles += 1

    writer = Writer()
    sink = RemoteSink("memory://out/x", lambda _: writer)
    sink.on_idle()
    assert sink.bytes_to_finish == 0
    sink.open(StreamInfo("x", 8, 8), ConstantEstimator().info)
    sink.on_idle()
    assert (writer.idles, sink.bytes_to_finish) == (1, 7)
    sink.close()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_model")
def test_a_batch_on_s3(cli, bucket: Any, clip: Path) -> None:
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
