"""The promises of every Source. A new source is tested by one line with `add_case`, or a function with `@case`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import bags, http_server, media
from helpers.fake_camera import FakeCapture
from helpers.paths import ROOT
from helpers.readmes import blocks
from PIL import Image
from rosbags.rosbag2 import StoragePlugin

from streamdepth.core.errors import SourceError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.geometry.camera import CameraSpec
from streamdepth.sources.animation import AnimationSource
from streamdepth.sources.arrays import ArraySource
from streamdepth.sources.browser import BrowserSource
from streamdepth.sources.calibrated import CalibratedSource
from streamdepth.sources.camera import CameraSource
from streamdepth.sources.file import FileSource
from streamdepth.sources.generated import GeneratedSource
from streamdepth.sources.images import ImagesSource
from streamdepth.sources.looped import LoopedSource
from streamdepth.sources.network import NetworkSource
from streamdepth.sources.pausable import PausableSource
from streamdepth.sources.realtime import RealtimeSource
from streamdepth.sources.remote_file import RemoteFileSource
from streamdepth.sources.rosbag import RosbagSource
from streamdepth.testing import SyntheticSource

COUNT = 6


@dataclass(frozen=True)
class Case:
    """A source under test."""

    source: Source
    provide: Callable[[], object] | None = None
    """Creates the input, without which `open` fails; None when `open` cannot fail."""
    is_endless: bool = False
    """False: the source has COUNT frames."""


Maker = Callable[[Path, pytest.MonkeyPatch], Iterator[Case]]
CASES: list[Maker] = []


def case(make: Maker) -> Maker:
    """Adds a case that prepares files or fakes in a folder of its own."""
    CASES.append(make)
    return make


def add_case(name: str, make_source: Callable[[], Source]) -> None:
    """Adds a case of a source that needs no preparation and gives COUNT frames."""

    def make(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
        yield Case(make_source())

    make.__name__ = name
    CASES.append(make)


@case
def file(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield Case(FileSource(folder / "a.mp4"), lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def rotated_anamorphic_file(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        media.write_video(folder / "r.mov", count=COUNT, size=(66, 50), rotation=90, aspect=2)  # type: ignore[arg-type]

    yield Case(FileSource(folder / "r.mov"), write)


@case
def paced(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield Case(RealtimeSource(FileSource(folder / "a.mp4")), lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def repeated(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = LoopedSource(FileSource(folder / "a.mp4"))
    yield Case(source, lambda: media.write_video(folder / "a.mp4", count=COUNT), is_endless=True)


@case
def gated(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = PausableSource(FileSource(folder / "a.mp4"), lambda: False)
    yield Case(source, lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def lens(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = CalibratedSource(FileSource(folder / "a.mp4"), CameraSpec(fov=60), undistort=True)
    yield Case(source, lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def network(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    with http_server.serve(folder) as address:
        yield Case(NetworkSource(f"{address}/a.mp4"), lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def camera(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    patch.setattr(cv2, "VideoCapture", FakeCapture)
    patch.setattr(FakeCapture, "present", set())
    yield Case(CameraSource(0), lambda: patch.setattr(FakeCapture, "present", {0}), is_endless=True)


@case
def arrays(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield Case(ArraySource([np.full((48, 64, 3), 20 * i, np.uint8) for i in range(COUNT)]))


@case
def browser(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    class FedBrowserSource(BrowserSource):
        """A source to which a page sends a picture whenever one is read."""

        def read(self) -> Frame | None:
            self.put_image(np.zeros((48, 64, 3), np.uint8))
            return super().read()

    yield Case(FedBrowserSource(size=(64, 48)), is_endless=True)


@case
def images(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        for index in range(COUNT):
            Image.new("RGB", (9, 7), (index, 0, 0)).save(folder / f"{index}.png")

    yield Case(ImagesSource(folder), write)


@case
def animation(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        first, *rest = [Image.new("RGB", (9, 7), (index, 0, 0)) for index in range(COUNT)]
        first.save(folder / "a.png", save_all=True, append_images=rest, duration=40)

    yield Case(AnimationSource(folder / "a.png"), write)


@case
def bag(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        bags.write_bag(folder / "bag", {"/cam/image_raw": map(bags.image, range(COUNT))})

    yield Case(RosbagSource(folder / "bag"), write)


@case
def mcap_bag(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        topics = {"/cam/image_raw/compressed": map(bags.compressed, range(COUNT))}
        bags.write_bag(folder / "bag", topics, StoragePlugin.MCAP)

    yield Case(RosbagSource(folder / "bag"), write)


@case
def remote_file(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    memory = pytest.importorskip("fsspec").filesystem("memory")

    def write() -> None:
        media.write_video(folder / "a.mp4", count=COUNT)
        memory.pipe_file("/conformance/a.mp4", (folder / "a.mp4").read_bytes())

    yield Case(RemoteFileSource("memory://conformance/a.mp4"), write)
    memory.store.clear()


def readme_source() -> Source:
    """Returns the source that the sources' README shows as an example."""
    names: dict[str, Any] = {}
    (code,) = blocks(ROOT / "streamdepth" / "sources" / "README.md", "python")
    exec(compile(code.partition("\n\nwith ")[0], "README.md", "exec"), names)
    source = names["FadeSource"](COUNT)
    assert isinstance(source, Source)
    return source


add_case("readme", readme_source)
add_case("generated", lambda: GeneratedSource(f"lavfi:testsrc2=size=64x48:rate=10:duration={COUNT / 10}"))
add_case("synthetic", lambda: SyntheticSource(count=COUNT))


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def prepared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield from request.param(tmp_path, monkeypatch)


Begin = Callable[[Case], StreamInfo]


@pytest.fixture(params=["open", "wait_until_open"])
def begin(request: pytest.FixtureRequest) -> Begin:
    """Returns a function that opens a source, by `open` and by `wait_until_open`."""

    def opened(case: Case) -> StreamInfo:
        info: StreamInfo | None = getattr(case.source, request.param)()
        assert info is not None
        return info

    return opened


@pytest.fixture
def ready(prepared: Case) -> Iterator[Case]:
    if prepared.provide:
        prepared.provide()
    yield prepared
    prepared.source.close()


def read(case: Case) -> list[Frame]:
    frames = []
    while len(frames) < COUNT and (frame := case.source.read()) is not None:
        frames.append(frame)
    return frames


def test_frames(ready: Case, begin: Begin) -> None:
    before = time.monotonic()
    info = begin(ready)
    frames = read(ready)
    assert [frame.index for frame in frames] == list(range(COUNT))
    for frame in frames:
        assert frame.image.shape == (info.height, info.width, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable
        assert frame.stream == info.name
        assert frame.time_base == info.time_base
        assert before <= frame.captured_at <= time.monotonic()
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert info.is_live or info.frame_count in (None, COUNT)


def test_frames_do_not_share_memory(ready: Case) -> None:
    ready.source.open()
    first = ready.source.read()
    assert first is not None
    copy = first.image.copy()
    read(ready)
    ready.source.close()
    assert np.array_equal(first.image, copy)


def test_the_end_is_repeated(ready: Case, begin: Begin) -> None:
    if ready.is_endless:
        pytest.skip("a camera has no end")
    begin(ready)
    assert len(read(ready)) == COUNT
    assert [ready.source.read() for _ in range(3)] == [None] * 3
    assert not ready.source.undelivered
    assert ready.source.reconnects == 0


def test_open_can_be_retried_after_it_failed(prepared: Case) -> None:
    if prepared.provide is None:
        pytest.skip("cannot fail")
    for _ in range(2):
        with pytest.raises(SourceError):
            prepared.source.open()
        assert prepared.source.read() is None
    prepared.provide()
    prepared.source.open()
    assert len(read(prepared)) == COUNT
    prepared.source.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_opening_again_begins_anew(ready: Case, begin: Begin, is_closed: bool) -> None:
    info = begin(ready)
    ready.source.read()
    ready.source.read()
    if is_closed:
        ready.source.close()
        assert ready.source.read() is None
    assert replace(begin(ready), file_path=None) == replace(info, file_path=None)
    assert [frame.index for frame in read(ready)] == list(range(COUNT))


def test_an_interruption_before_opening_holds_until_close(prepared: Case, begin: Begin) -> None:
    source = prepared.source
    source.interrupt()
    assert source.wait_until_open() is None
    assert source.read() is None
    source.close()
    if prepared.provide:
        prepared.provide()
    begin(prepared)
    assert len(read(prepared)) == COUNT
    source.close()


def test_an_interruption_ends_every_wait_until_close(ready: Case, begin: Begin) -> None:
    begin(ready)
    ready.source.interrupt()
    assert len(read(ready)) <= COUNT
    assert ready.source.wait_until_open() is None
    ready.source.close()
    begin(ready)
    assert len(read(ready)) == COUNT


def test_close_is_idempotent_and_allowed_before_open(prepared: Case) -> None:
    prepared.source.close()
    prepared.source.close()
    if prepared.provide:
        prepared.provide()
    prepared.source.open()
    prepared.source.close()
    prepared.source.close()


def test_no_thread_is_left(ready: Case, begin: Begin) -> None:
    before = set(threading.enumerate())
    begin(ready)
    read(ready)
    ready.source.close()
    ours = [t for t in set(threading.enumerate()) - before if "process_request" not in t.name]
    assert not ours


def test_nothing_is_done_before_open(prepared: Case) -> None:
    assert prepared.source.read() is None
    assert prepared.source.notices == []
