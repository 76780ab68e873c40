"""A batch on a real Ray cluster of two workers: bit-identical results, even if a worker is killed."""

from __future__ import annotations

import os
import pickle
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.compare import compare_streams
from helpers.media import write_video
from helpers.readmes import our_commands
from helpers.waiting import wait_until

import streamdepth
from streamdepth import config
from streamdepth.apps.batch.cluster import WorkerSlot, import_ray
from streamdepth.apps.batch.distributed_estimator import DistributedEstimator
from streamdepth.apps.batch.manifest import FILE_NAME
from streamdepth.apps.batch.worker import ModelWorker
from streamdepth.apps.batch.worker_pool import WorkerCall, WorkerPool
from streamdepth.config import Settings
from streamdepth.core import errors
from streamdepth.core.types import DepthKind, Frame, ModelInfo
from streamdepth.testing import SyntheticSource

pytestmark = pytest.mark.slow

pytest.importorskip("ray")
FLAGS = ("--size", 64, "--batch", 2, "--quiet")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster with two cores, which this process has joined."""
    ray = import_ray()
    context = ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False, logging_level="ERROR"
    )
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A long file of three shots with sound, and two short ones."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    scene = SyntheticSource(45, 96, 64, shot_frames=15)
    write_video(Path("in/long.mp4"), images=[scene.image_at(i) for i in range(45)], audio_offset_seconds=0.1)
    for name, count in (("a", 12), ("b", 60)):
        write_video(Path(f"in/{name}.mp4"), count=count)
    return tmp_path / "in"


def _facts(folder: Path) -> dict[str, tuple[list[bytes], dict[str, Any]]]:
    """Returns name -> maps and metadata of each depth video."""
    found = {}
    for path in sorted(folder.rglob("*.mkv")):
        video = streamdepth.DepthVideo(path)
        found[path.name] = [depth.tobytes() for depth in video], video.metadata
    return found


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes of workers that were killed: one while it computes frames, one while it converts a file."""
    found: list[int] = []
    submit = WorkerPool.submit

    def submit_and_kill(self: WorkerPool, method: str, *arguments: Any) -> WorkerCall:
        call = submit(self, method, *arguments)
        if method == ("estimate", "convert", None)[len(found)]:
            if method == "convert":
                wait_until(lambda: self.progress([call]) > [0.1])
            found.append(import_ray().get(call.worker.actor.process_id.options(concurrency_group="progress").remote()))
            os.kill(found[-1], signal.SIGKILL)
        return call

    monkeypatch.setattr(WorkerPool, "submit", submit_and_kill)
    return found


def test_depth_is_bit_identical_to_one_machine_even_if_workers_are_killed(
    cli, cluster: str, videos: Path, killed
) -> None:
    assert cli("convert", "in/a.mp4", "--depth-out", "a.mkv", *FLAGS).code == 0  # the precision is judged once
    assert cli("convert", "in/*", "--depth-out", "one", "-o", "one", *FLAGS).code == 0
    done = cli("convert", "in/*", "--depth-out", "many", "-o", "many", "--cluster", cluster, *FLAGS)
    assert done.code == 0, done.err
    assert len(set(killed)) == 2
    one, many = _facts(Path("one")), _facts(Path("many"))
    assert one.keys() == many.keys() == {"a.mkv", "b.mkv", "long.mkv"}
    assert len(one["long.mkv"][1]["cuts"]) == 2
    assert one == many
    for name in ("a", "b", "long"):  # to the frame, not to the bit: x264 takes the number of cores into account
        pair = compare_streams(Path(f"one/{name}.mp4"), Path(f"many/{name}.mp4"))
        assert pair.pts_equal
        assert [t.payloads for t in pair.source.tracks] == [t.payloads for t in pair.output.tracks]
    assert not list(Path("many").glob(".*part*"))


def test_a_killed_driver_is_resumed(cli, cluster: str, videos: Path) -> None:
    command = ["convert", "in/[a-d].mp4", "-o", "out", "--cluster", cluster, *map(str, FLAGS)]
    for name in ("c", "d"):
        write_video(videos / f"{name}.mp4", count=500)
    process = subprocess.Popen([sys.executable, "-m", "streamdepth", *command])
    manifest = Path("out") / FILE_NAME
    wait_until(lambda: manifest.is_file() and manifest.read_text().count('"started"') >= 2)
    process.kill()
    process.wait(timeout=60)
    for name in ("c", "d"):
        write_video(videos / f"{name}.mp4", count=5)
    done = cli(*command)
    assert done.code == 0, done.err
    assert manifest.read_text().count('"done"') >= 4
    assert {p.name for p in Path("out").glob("*.mp4")} == {"a.mp4", "b.mp4", "c.mp4", "d.mp4"}
    assert not list(Path("out").glob(".*part*"))


def _start_pool(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], None]) -> WorkerPool:
    """Starts workers without a model that call `fails` with the number of their slot when they start."""

    class UnloadedWorker(ModelWorker):
        def __init__(self, settings: Settings, slot: WorkerSlot, folder: str) -> None:
            self._slot = slot

        def choose_engine(self, source: str) -> tuple[ModelInfo, dict[str, Any]]:
            return self.load_model({}), {}

        def load_model(self, changes: dict[str, Any]) -> ModelInfo:
            fails(self._slot.number)
            return ModelInfo("light", DepthKind.RELATIVE)

        def input_size(self, width: int, height: int) -> tuple[int, int]:
            return width, height

    monkeypatch.setattr("streamdepth.apps.batch.worker_pool.ModelWorker", UnloadedWorker)
    return WorkerPool(config.make(threads=1), "in.mp4")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("broken", [0, 1])
def test_a_worker_that_cannot_load_the_model_is_left_out(broken: int, monkeypatch) -> None:
    def fails(number: int) -> None:
        if number == broken:
            raise errors.ModelLoadError("no such weights on this machine")

    pool = _start_pool(monkeypatch, fails)
    try:
        wait_until(lambda: (pool.idle_count, len(pool)) == (1, 1))
        assert pool.result(pool.submit("input_size", 4, 3)) == (4, 3)
    finally:
        pool.close()
    with pytest.raises(errors.ModelLoadError, match="no such weights"):
        DistributedEstimator(pool, 2).estimate(list(_frames(2)))


@pytest.mark.usefixtures("cluster")
def test_if_no_worker_can_start_its_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> None:
        raise MemoryError("8 GB")

    with pytest.raises(errors.InferenceError, match="MemoryError: 8 GB"):
        _start_pool(monkeypatch, fails)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_is_lost_while_it_starts_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> None:
        mark = tmp_path / str(number)
        if not mark.exists():
            mark.touch()
            os._exit(1)

    pool = _start_pool(monkeypatch, fails)
    try:
        wait_until(lambda: pool.idle_count == 2)
    finally:
        pool.close()


def _frames(count: int) -> Iterator[Frame]:
    source = SyntheticSource(count)
    source.open()
    return iter(source.read, None)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("command", [c for c in our_commands() if "--cluster" in c])
def test_command_of_readme(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("videos").mkdir()
    write_video(Path("videos/clip.mp4"), count=3)
    done = cli(*shlex.split(command)[1:])
    assert done.code == 0, done.err
    assert Path("out/clip.mp4").exists()


def test_a_cluster_that_does_not_answer_is_an_error(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        def is_initialized(self) -> bool:
            return False

        def init(self, address: str, **_: object) -> None:
            raise ConnectionError("no answer")

        def shutdown(self) -> None: ...

    monkeypatch.setattr("streamdepth.apps.batch.cluster.import_ray", Ray)
    done = cli("convert", "in.mp4", "-o", tmp_path / "out.mp4", "--cluster", "10.0.0.1:6379")
    assert done.code == 2
    assert "no Ray cluster answers at '10.0.0.1:6379'" in done.err


def test_errors_pass_between_processes() -> None:
    error = errors.MissingDependencyError("ray", "cluster", "--cluster")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
