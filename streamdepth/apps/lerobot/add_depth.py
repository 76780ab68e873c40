"""Adds a depth camera to a LeRobot dataset: videos with the timestamps and episodes of a picture camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth import factory
from streamdepth.apps.lerobot.dataset import LeRobotDataset, read_info
from streamdepth.apps.lerobot.dataset_v3 import DatasetV3
from streamdepth.apps.lerobot.dataset_v21 import DatasetV21
from streamdepth.apps.lerobot.pictures import TablePictures
from streamdepth.apps.lerobot.statistics import Histogram, depth_statistics, episode_histograms
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkWriteError, SourceOpenError
from streamdepth.core.interfaces import Estimator, Source, Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.core.wording import switch
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.factory.sources import with_camera
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sinks.lerobot_video import DepthQuantizer
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.pending_folder import PendingFolder
from streamdepth.sinks.temporary_files import lock, remove_abandoned_folders, sidecar_path, unlock
from streamdepth.sources.arrays import ArraySource

_VERSIONS: dict[str, type[LeRobotDataset]] = {"v3": DatasetV3, "v2.1": DatasetV21}
"""Beginning of LeRobot's codebase_version -> the class that reads such datasets."""


def add_depth(
    root: Path,
    camera: str,
    settings: Settings,
    *,
    run: Callable[[Pipeline], object] = Pipeline.run,
    on_written: Callable[[Pipeline], None] = lambda _: None,
) -> str:
    """Adds the camera CAMERA_depth, whose videos hold depth in meters, and returns its name.

    Everything is made in a hidden folder first, so a run that ends early leaves the dataset as it was; what a killed
    run has left there is removed.

    Args:
        root: folder of the dataset.
        camera: key of the picture camera, such as "observation.images.front".
        settings: the model and how to make its depth metric; `source`, `output` and `depth_out` are set here.
        run: runs the pipeline of each video file.
        on_written: called with the pipeline after each frame.

    Raises:
        ConfigError: if the camera is unknown ("unknown-camera"), has depth already ("exists"), or another run works
            on the dataset ("locked").
        SourceError, EstimatorError, SinkError: as a run of a pipeline does.
    """
    with _exclusive_access(root):
        return _add_depth(open_dataset(root, camera), settings, run, on_written)


def open_dataset(root: Path, camera: str) -> LeRobotDataset:
    """Returns a dataset on disk, seen from one of its picture cameras.

    Raises:
        SourceOpenError: if the folder is no dataset ("no-dataset"), has another version ("dataset-version") or is
            damaged ("damaged").
        ConfigError: for an unknown camera ("unknown-camera").
    """
    info = read_info(root)
    version = str(info["codebase_version"])
    for beginning, dataset_type in _VERSIONS.items():
        if version.startswith(beginning):
            return dataset_type(root, camera, info)
    raise SourceOpenError(
        f"'{root}' has LeRobot's version {version}, and {' or '.join(_VERSIONS)} is needed; LeRobot's scripts named "
        "convert_dataset_... bring it there",
        code="dataset-version",
    )


@contextmanager
def _exclusive_access(root: Path) -> Iterator[None]:
    """Locks the dataset against other runs, which would drop this run's camera, and removes what killed runs left.

    Raises ConfigError ("locked") if another run works on it.
    """
    info = root / "meta" / "info.json"
    if not info.is_file():  # reading it will raise the reason
        yield
        return
    try:
        info_lock = lock(info)
    except BlockingIOError:
        raise ConfigError(f"another run works on '{root}'; wait for it", code="locked") from None
    try:
        remove_abandoned_folders(root)
        yield
    finally:
        unlock(info_lock)


def _add_depth(
    dataset: LeRobotDataset,
    settings: Settings,
    run: Callable[[Pipeline], object],
    on_written: Callable[[Pipeline], None],
) -> str:
    root, depth_camera = dataset.root, f"{dataset.camera}_depth"
    if depth_camera in dataset.info["features"] and not settings.outputs.overwrite:
        raise ConfigError(
            f"'{root}' has {depth_camera} already; use {switch('--overwrite')} to make it anew", code="exists"
        )
    estimator = LazyEstimator(lambda: factory.make_estimator(settings))
    pending = PendingFolder(root, overwrite=True)
    features = []
    try:
        for file in dataset.files:
            target = dataset.video_path(depth_camera, file, pending.temporary)
            with _pipeline(dataset, file, target, settings, estimator, on_written) as pipeline:
                run(pipeline)
            _check_frame_count(dataset, file, pipeline)
            features.append(_take_sidecar(target))
        _publish(dataset, depth_camera, features[0], pending)
    finally:
        estimator.close()
        pending.discard()
    return depth_camera


@contextmanager
def _pipeline(
    dataset: LeRobotDataset,
    file: tuple[int, int],
    target: Path,
    settings: Settings,
    estimator: Estimator,
    on_written: Callable[[Pipeline], None],
) -> Iterator[Pipeline]:
    """Opens the pipeline that makes one video file of the depth camera."""
    path = dataset.source_path(file)
    factory.make_folder(target.parent)
    file_settings = settings.replace(source=(str(path),), output=None, depth_out=target, segment=None, overwrite=True)
    source = _picture_source(dataset, path, settings) if dataset.has_pictures else None
    with factory.open_pipeline(
        file_settings, lambda _: on_written(pipeline), source=source, estimator=estimator
    ) as pipeline:
        (stream,) = pipeline.streams
        stream.stabilizer = _EpisodeBoundaryStabilizer(
            stream.stabilizer, [episode.first for episode in dataset.episodes_in_file(file)]
        )
        yield pipeline


def _picture_source(dataset: LeRobotDataset, path: Path, settings: Settings) -> Source:
    pictures = TablePictures(path, dataset.camera, dataset.root)
    return with_camera(ArraySource(pictures, fps=dataset.fps, name=str(path)), settings)


def _check_frame_count(dataset: LeRobotDataset, file: tuple[int, int], pipeline: Pipeline) -> None:
    written, needed = pipeline.report().written, max(e.first + e.length for e in dataset.episodes_in_file(file))
    if written < needed:
        raise SinkWriteError(
            f"'{dataset.source_path(file)}' gave {written} frames, and its episodes have {needed}; "
            + ("the run was stopped" if pipeline.is_stopped else "the dataset is damaged"),
            code="stopped" if pipeline.is_stopped else "damaged",
        )


def _take_sidecar(target: Path) -> dict[str, Any]:
    """Returns the description of a depth video, and removes its file, since info.json gets it."""
    sidecar = sidecar_path(target)
    feature: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    sidecar.unlink()
    return feature


class _EpisodeBoundaryStabilizer(Stabilizer):
    """A stabilizer that forgets everything at the first frame of each episode, which shows another time or place."""

    def __init__(self, inner: Stabilizer, first_frames: Iterable[int]) -> None:
        self._inner, self._first_frames = inner, set(first_frames)
        self.is_offline = inner.is_offline

    @property
    def notices(self) -> Sequence[str]:
        return self._inner.notices

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return self._inner.output_kind(kind)

    def begins_shot(self, frame: Frame) -> bool:
        return frame.index in self._first_frames or self._inner.begins_shot(frame)

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        if item.frame.index in self._first_frames:
            yield from self._inner.flush()
            self._inner.reset()
        yield from self._inner.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._inner.flush()

    def reset(self) -> None:
        self._inner.reset()


def _publish(dataset: LeRobotDataset, depth_camera: str, feature: dict[str, Any], pending: PendingFolder) -> None:
    """Moves the videos into the dataset and updates its metadata, all or nothing unless killed within milliseconds.

    Raises SinkError.
    """
    quantizer = DepthQuantizer()
    histograms: dict[int, Histogram] = {}
    for file in dataset.files:
        video = dataset.video_path(depth_camera, file, pending.temporary)
        histograms.update(episode_histograms(video, dataset.episodes_in_file(file)))
    lengths = {episode.index: episode.length for episode in dataset.episodes}
    stats_by_episode = {
        index: depth_statistics(histogram, quantizer, lengths[index]) for index, histogram in histograms.items()
    }
    total_stats = depth_statistics(np.sum(list(histograms.values()), axis=0), quantizer, sum(lengths.values()))
    stats_path = dataset.root / "meta" / "stats.json"
    with ExitStack() as stack:
        _write_json(stack, dataset.root / "meta" / "info.json", dataset.changed_info(depth_camera, feature))
        if stats_path.exists():
            _write_json(
                stack, stats_path, {**json.loads(stats_path.read_text(encoding="utf-8")), depth_camera: total_stats}
            )
        for path, write in dataset.changed_files(depth_camera, stats_by_episode):
            write(stack.enter_context(atomic_write(path, overwrite=True)))
        pending.commit()


def _write_json(stack: ExitStack, path: Path, facts: dict[str, Any]) -> None:
    temporary = stack.enter_context(atomic_write(path, overwrite=True))
    temporary.write_text(json.dumps(facts, indent=4), encoding="utf-8")
