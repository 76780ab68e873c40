"""Adds a depth camera to a LeRobot dataset: videos with the timestamps and episodes of a picture camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth import factory
from streamdepth.apps.lerobot.dataset import Episode, LeRobotDataset
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkWriteError
from streamdepth.core.interfaces import Estimator, Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.core.wording import switch
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sinks.lerobot_video import LARGEST_CODE, PIXEL_FORMAT, DepthQuantizer, lerobot_feature
from streamdepth.sinks.pending_files import PendingFolder, atomic_write
from streamdepth.sinks.temporary_files import lock, remove_abandoned_folders, sidecar_path, unlock
from streamdepth.utils.containers import open_media_file

if TYPE_CHECKING:
    import pyarrow as pa

_VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


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
        return _add_depth(LeRobotDataset(root, camera), settings, run, on_written)


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
    try:
        for file in dataset.files:
            target = dataset.video_path(depth_camera, file, pending.temporary)
            with _pipeline(dataset, file, target, settings, estimator, on_written) as pipeline:
                run(pipeline)
            _check_frame_count(dataset, file, target, pipeline)
        _publish(dataset, depth_camera, pending)
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
    source = str(dataset.video_path(dataset.camera, file))
    factory.make_folder(target.parent)
    file_settings = settings.replace(source=(source,), output=None, depth_out=target, segment=None, overwrite=True)
    with factory.open_pipeline(file_settings, lambda _: on_written(pipeline), estimator=estimator) as pipeline:
        (stream,) = pipeline.streams
        stream.stabilizer = _EpisodeBoundaryStabilizer(
            stream.stabilizer, [episode.first for episode in dataset.episodes_in_file(file)]
        )
        yield pipeline


def _check_frame_count(dataset: LeRobotDataset, file: tuple[int, int], target: Path, pipeline: Pipeline) -> None:
    sidecar_path(target).unlink(missing_ok=True)  # info.json has the same facts
    written, needed = pipeline.report().written, max(e.first + e.length for e in dataset.episodes_in_file(file))
    if written < needed:
        raise SinkWriteError(
            f"'{dataset.video_path(dataset.camera, file)}' gave {written} frames, and its episodes have {needed}; "
            + ("the run was stopped" if pipeline.is_stopped else "the dataset is damaged"),
            code="stopped" if pipeline.is_stopped else "damaged",
        )


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

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        if item.frame.index in self._first_frames:
            yield from self._inner.flush()
            self._inner.reset()
        yield from self._inner.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._inner.flush()

    def reset(self) -> None:
        self._inner.reset()


def _publish(dataset: LeRobotDataset, depth_camera: str, pending: PendingFolder) -> None:
    """Moves the videos into the dataset and updates its metadata, all or nothing unless killed within milliseconds.

    Raises SinkError.
    """
    quantizer = DepthQuantizer()
    histograms: dict[int, Any] = {}
    for file in dataset.files:
        histograms.update(
            _histograms(dataset.video_path(depth_camera, file, pending.temporary), dataset.episodes_in_file(file))
        )
    lengths = {episode.index: episode.length for episode in dataset.episodes}
    stats_by_episode = {
        index: _statistics(histogram, quantizer, lengths[index]) for index, histogram in histograms.items()
    }
    total_stats = _statistics(np.sum(list(histograms.values()), axis=0), quantizer, sum(lengths.values()))
    first = dataset.video_path(depth_camera, dataset.files[0], pending.temporary)
    features = {**dataset.info["features"], depth_camera: lerobot_feature(first, quantizer)}
    stats_path = dataset.root / "meta" / "stats.json"
    with ExitStack() as stack:
        _write_json(stack, dataset.root / "meta" / "info.json", {**dataset.info, "features": features})
        if stats_path.exists():
            _write_json(
                stack, stats_path, {**json.loads(stats_path.read_text(encoding="utf-8")), depth_camera: total_stats}
            )
        for path, table in dataset.tables.items():
            _write_table(
                stack.enter_context(atomic_write(path, overwrite=True)),
                _with_depth_columns(table, dataset, depth_camera, stats_by_episode),
            )
        pending.commit()


def _write_json(stack: ExitStack, path: Path, facts: dict[str, Any]) -> None:
    temporary = stack.enter_context(atomic_write(path, overwrite=True))
    temporary.write_text(json.dumps(facts, indent=4), encoding="utf-8")


def _histograms(path: Path, episodes: Sequence[Episode]) -> dict[int, Any]:
    """Returns episode -> how often each depth code occurs in it, (4096,)."""
    histograms = {episode.index: np.zeros(LARGEST_CODE + 1, np.int64) for episode in episodes}
    with open_media_file(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            for episode in episodes:
                if episode.first <= number < episode.first + episode.length:
                    codes = frame.to_ndarray(format=PIXEL_FORMAT)
                    histograms[episode.index] += np.bincount(codes.ravel(), minlength=LARGEST_CODE + 1)
    return histograms


def _statistics(histogram: Any, quantizer: DepthQuantizer, frame_count: int) -> dict[str, Any]:
    """Returns LeRobot's statistics in meters, for one channel.

    LeRobot's `count` is that of frames, not of pixels: by it the statistics of several datasets are weighted.

    Args:
        histogram: (4096,) pixels with each depth code.
        frame_count: number of frames that they come from.
    """
    depth = quantizer.decode(np.arange(LARGEST_CODE + 1, dtype=np.uint16)).astype(np.float64)
    total, seen = int(histogram.sum()), np.flatnonzero(histogram)
    mean = float((depth * histogram).sum() / total)
    values = {
        "min": depth[seen[0]],
        "max": depth[seen[-1]],
        "mean": mean,
        "std": float(np.sqrt(((depth - mean) ** 2 * histogram).sum() / total)),
        **{name: depth[np.searchsorted(np.cumsum(histogram), share * total)] for name, share in _QUANTILES.items()},
    }
    return {name: [[[float(value)]]] for name, value in values.items()} | {"count": [frame_count]}


def _with_depth_columns(
    table: pa.Table, dataset: LeRobotDataset, depth_camera: str, stats_by_episode: dict[int, dict[str, Any]]
) -> pa.Table:
    """Returns the table of episodes with columns of the depth camera, like those of the picture camera."""
    import pyarrow as pa

    indices = table["episode_index"].to_pylist()
    columns = {f"videos/{depth_camera}/{name}": table[f"videos/{dataset.camera}/{name}"] for name in _VIDEO_COLUMNS}
    for name in stats_by_episode[indices[0]]:
        like = f"stats/{dataset.camera}/{name}"
        if like in table.column_names:
            columns[f"stats/{depth_camera}/{name}"] = pa.chunked_array(
                [[stats_by_episode[index][name] for index in indices]]
            )
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, values)
    return table


def _write_table(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="snappy", use_dictionary=True)
