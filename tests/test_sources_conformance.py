"""What every Source promises. A new one is tested by one more function with `@case`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import bags
import cv2
import http_server
import media
import numpy as np
import pytest
from fake_camera import FakeCapture
from PIL import Image
from rosbags.rosbag2 import StoragePlugin

from streamdepth.errors import SourceError
from streamdepth.intrinsics import CameraChoice
from streamdepth.sources.browser import BrowserSource
from streamdepth.sources.camera import CameraSource
from streamdepth.sources.devices import DeviceSource
from streamdepth.sources.file import FileSource
from streamdepth.sources.gated import GatedSource
from streamdepth.sources.images import ImagesSource
from streamdepth.sources.lens import LensSource
from streamdepth.sources.network import NetworkSource
from streamdepth.sources.paced import PacedSource
from streamdepth.sources.repeated import RepeatedSource
from streamdepth.sources.rosbag import RosbagSource
from streamdepth.stages import Source
from streamdepth.testing import SyntheticSource
from streamdepth.types import Frame

COUNT = 6


@dataclass(frozen=True)
class Case:
    """A source of COUNT frames, or an endless one."""

    source: Source
    appear: Callable[[], object] | None = None
    """Makes available what `open` misses before it was called; None when `open` cannot fail."""
    is_endless: bool = False


Maker = Callable[[Path, pytest.MonkeyPatch], Iterator[Case]]
CASES: list[Maker] = []


def case(make: Maker) -> Maker:
    CASES.append(make)
    return make


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
    yield Case(PacedSource(FileSource(folder / "a.mp4")), lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def repeated(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = RepeatedSource(FileSource(folder / "a.mp4"))
    yield Case(source, lambda: media.write_video(folder / "a.mp4", count=COUNT), is_endless=True)


@case
def gated(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = GatedSource(FileSource(folder / "a.mp4"), lambda: False)
    yield Case(source, lambda: media.write_video(folder / "a.mp4", count=COUNT))


@case
def lens(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    source = LensSource(FileSource(folder / "a.mp4"), CameraChoice(fov=60), undistort=True)
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
def browser(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    class Fed(BrowserSource):
        """A page sends a picture whenever the one before was read."""

        def read(self) -> Frame | None:
            self.put(np.zeros((48, 64, 3), np.uint8))
            return super().read()

    yield Case(Fed(size=(64, 48)), is_endless=True)


@case
def images(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    def write() -> None:
        for index in range(COUNT):
            Image.new("RGB", (9, 7), (index, 0, 0)).save(folder / f"{index}.png")

    yield Case(ImagesSource(folder), write)


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
def device(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield Case(DeviceSource(f"lavfi:testsrc2=size=64x48:rate=10:duration={COUNT / 10}"))


@case
def synthetic(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield Case(SyntheticSource(count=COUNT))


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def prepared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    yield from request.param(tmp_path, monkeypatch)


@pytest.fixture
def ready(prepared: Case) -> Iterator[Case]:
    if prepared.appear:
        prepared.appear()
    yield prepared
    prepared.source.close()


def read(case: Case) -> list[Frame]:
    frames = []
    while len(frames) < COUNT and (frame := case.source.read()) is not None:
        frames.append(frame)
    return frames


def test_frames(ready: Case) -> None:
    before = time.monotonic()
    info = ready.source.open()
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


def test_the_end_is_repeated(ready: Case) -> None:
    if ready.is_endless:
        pytest.skip("a camera has no end")
    ready.source.open()
    assert len(read(ready)) == COUNT
    assert [ready.source.read() for _ in range(3)] == [None] * 3
    assert not ready.source.lost
    assert ready.source.reconnects == 0


def test_open_can_be_retried_after_it_failed(prepared: Case) -> None:
    if prepared.appear is None:
        pytest.skip("cannot fail")
    for _ in range(2):
        with pytest.raises(SourceError):
            prepared.source.open()
        assert prepared.source.read() is None
    prepared.appear()
    prepared.source.open()
    assert len(read(prepared)) == COUNT
    prepared.source.close()


def test_open_after_close_starts_again(ready: Case) -> None:
    info = ready.source.open()
    ready.source.read()
    ready.source.read()
    ready.source.close()
    assert ready.source.read() is None
    assert ready.source.open() == info
    assert [frame.index for frame in read(ready)] == list(range(COUNT))


def test_close_is_idempotent_and_allowed_before_open(prepared: Case) -> None:
    prepared.source.close()
    prepared.source.close()
    if prepared.appear:
        prepared.appear()
    prepared.source.open()
    prepared.source.close()
    prepared.source.close()


def test_no_thread_is_left(ready: Case) -> None:
    before = set(threading.enumerate())
    ready.source.open()
    read(ready)
    ready.source.close()
    ours = [t for t in set(threading.enumerate()) - before if "process_request" not in t.name]
    assert not ours


def test_nothing_is_done_before_open(prepared: Case) -> None:
    assert prepared.source.read() is None
    assert prepared.source.notices == []
