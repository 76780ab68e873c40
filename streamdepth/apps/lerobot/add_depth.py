"""Depth beside the pictures of a LeRobot data set: another camera's videos, with the same times and episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from streamdepth import factory
from streamdepth.apps.lerobot.dataset import DataSet, Episode
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkWriteError
from streamdepth.core.interfaces import Estimator, Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sinks.lerobot_video import LARGEST_CODE, PIXEL_FORMAT, Quantizer, feature
from streamdepth.sinks.output import PendingFolder, av_path, complete_file
from streamdepth.sinks.temporary import lock, remove_folders_left, sidecar_of

if TYPE_CHECKING:
    import pyarrow as pa

_PLACES = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def add_depth(
    root: Path,
    camera: str,
    settings: Settings,
    *,
    run: Callable[[Pipeline], object] = Pipeline.run,
    on_written: Callable[[Pipeline], None] = lambda _: None,
) -> str:
    """Adds the camera CAMERA_depth, whose videos hold metres, and returns its name.

    All of it is made in a hidden folder first: a data set whose run was ended early is as it was, and what a killed
    one has left there is removed. settings: `source`, `output` and `depth_out` are set here. run: runs the pipeline of
    each file. on_written: called with it after each frame.

    Raises ConfigError, SourceError, EstimatorError and SinkError as a run does; ConfigError where it has that camera,
    or another run works on it.
    """
    with _alone(root):
        return _add_depth(DataSet(root, camera), settings, run, on_written)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keeps other runs off the data set: each would write what it had read before the other one's camera was there.

    What killed runs have left is removed. Raises ConfigError where another run works on it.
    """
    try:
        held = lock(root / "meta" / "info.json")
    except BlockingIOError:
        raise ConfigError(f"another run works on '{root}'; wait for it") from None
    except OSError:  # reading it says why
        held = None
    with held or nullcontext():
        if held:
            remove_folders_left(root)
        yield


def _add_depth(
    data: DataSet,
    settings: Settings,
    run: Callable[[Pipeline], object],
    on_written: Callable[[Pipeline], None],
) -> str:
    root, key = data.root, f"{data.camera}_depth"
    if key in data.info["features"] and not settings.outputs.overwrite:
        raise ConfigError(f"'{root}' has {key} already; use --overwrite to make it anew")
    estimator = LazyEstimator(lambda: factory.make_estimator(settings))
    made = PendingFolder(root, overwrite=True)
    try:
        for file in data.files:
            target = data.video(key, file, made.temporary)
            with _pipeline(data, file, target, settings, estimator, on_written) as pipeline:
                run(pipeline)
            _check(data, file, target, pipeline)
        _tell(data, key, made)
    finally:
        estimator.close()
        made.discard()
    return key


@contextmanager
def _pipeline(
    data: DataSet,
    file: tuple[int, int],
    target: Path,
    settings: Settings,
    estimator: Estimator,
    on_written: Callable[[Pipeline], None],
) -> Iterator[Pipeline]:
    """What makes one file of the new camera."""
    source = str(data.video(data.camera, file))
    factory.make_folder(target.parent)
    chosen = settings.replace(source=(source,), output=None, depth_out=target, segment=None, overwrite=True)
    with factory.pipeline(chosen, lambda _: on_written(pipeline), estimator=estimator) as pipeline:
        (stream,) = pipeline.streams
        stream.stabilizer = _Episodes(stream.stabilizer, [episode.first for episode in data.of_file(file)])
        yield pipeline


def _check(data: DataSet, file: tuple[int, int], target: Path, pipeline: Pipeline) -> None:
    sidecar_of(target).unlink(missing_ok=True)  # info.json says it
    written, needed = pipeline.report().written, max(e.first + e.length for e in data.of_file(file))
    if written < needed:
        raise SinkWriteError(
            f"'{data.video(data.camera, file)}' gave {written} frames, and its episodes have {needed}; "
            + ("the run was stopped" if pipeline.is_stopped else "the data set is damaged")
        )


class _Episodes(Stabilizer):
    """Forgets everything where an episode begins: nothing of another one is the same place at the same time."""

    def __init__(self, inner: Stabilizer, firsts: Iterable[int]) -> None:
        self._inner, self._firsts = inner, set(firsts)
        self.is_offline = inner.is_offline

    @property
    def notices(self) -> Sequence[str]:
        return self._inner.notices

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return self._inner.output_kind(kind)

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        if item.frame.index in self._firsts:
            yield from self._inner.flush()
            self._inner.reset()
        yield from self._inner.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._inner.flush()

    def reset(self) -> None:
        self._inner.reset()


def _tell(data: DataSet, key: str, made: PendingFolder) -> None:
    """Puts the videos in place, then what the data set says of them: all or nothing but for a kill within milliseconds.

    Raises SinkError.
    """
    quantizer = Quantizer()
    counts = {}
    for file in data.files:
        counts.update(_histograms(data.video(key, file, made.temporary), data.of_file(file)))
    of_each = {index: _statistics(count, quantizer) for index, count in counts.items()}
    of_all = _statistics(np.sum(list(counts.values()), axis=0), quantizer)
    first = data.video(key, data.files[0], made.temporary)
    features = {**data.info["features"], key: feature(first, quantizer)}
    stats_path = data.root / "meta" / "stats.json"
    with ExitStack() as stack:
        _write(stack, data.root / "meta" / "info.json", {**data.info, "features": features})
        if stats_path.exists():
            _write(stack, stats_path, {**json.loads(stats_path.read_text(encoding="utf-8")), key: of_all})
        for path, table in data.tables.items():
            _write_table(
                stack.enter_context(complete_file(path, overwrite=True)), _with_camera(table, data, key, of_each)
            )
        made.commit()


def _write(stack: ExitStack, path: Path, facts: dict[str, Any]) -> None:
    temporary = stack.enter_context(complete_file(path, overwrite=True))
    temporary.write_text(json.dumps(facts, indent=4), encoding="utf-8")


def _histograms(path: Path, episodes: Sequence[Episode]) -> dict[int, Any]:
    """Episode -> how often each code occurs in it, (4096,)."""
    counts = {episode.index: np.zeros(LARGEST_CODE + 1, np.int64) for episode in episodes}
    with av.open(av_path(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            for episode in episodes:
                if episode.first <= number < episode.first + episode.length:
                    codes = frame.to_ndarray(format=PIXEL_FORMAT)
                    counts[episode.index] += np.bincount(codes.ravel(), minlength=LARGEST_CODE + 1)
    return counts


def _statistics(count: Any, quantizer: Quantizer) -> dict[str, Any]:
    """In metres, in the shape of pictures with one channel; `count` is of pixels."""
    depth = quantizer.decode(np.arange(LARGEST_CODE + 1, dtype=np.uint16)).astype(np.float64)
    total, seen = int(count.sum()), np.flatnonzero(count)
    mean = float((depth * count).sum() / total)
    values = {
        "min": depth[seen[0]],
        "max": depth[seen[-1]],
        "mean": mean,
        "std": float(np.sqrt(((depth - mean) ** 2 * count).sum() / total)),
        **{name: depth[np.searchsorted(np.cumsum(count), share * total)] for name, share in _QUANTILES.items()},
    }
    return {name: [[[float(value)]]] for name, value in values.items()} | {"count": [total]}


def _with_camera(table: pa.Table, data: DataSet, key: str, of_each: dict[int, dict[str, Any]]) -> pa.Table:
    """The episodes with the new camera's columns, as the old camera has them."""
    import pyarrow as pa

    indices = table["episode_index"].to_pylist()
    columns = {f"videos/{key}/{name}": table[f"videos/{data.camera}/{name}"] for name in _PLACES}
    for name in of_each[indices[0]]:
        like = f"stats/{data.camera}/{name}"
        if like in table.column_names:
            columns[f"stats/{key}/{name}"] = pa.chunked_array([[of_each[index][name] for index in indices]])
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, values)
    return table


def _write_table(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="snappy", use_dictionary=True)
