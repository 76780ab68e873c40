"""A small LeRobot dataset of version 3, as its own writer lays it out, and a reader of its depth videos."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from helpers.media import moving, write_video

from streamdepth.utils.containers import open_media_file

CAMERA = "observation.images.front"
FPS = 10
LENGTHS = {0: (12, 8), 1: (10,)}
"""File -> frames of its episodes."""


def write_lerobot_set(root: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """Writes three episodes, two of them in one file."""
    rows, data, index = [], [], 0
    for file, lengths in LENGTHS.items():
        path = root / "videos" / CAMERA / "chunk-000" / f"file-{file:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [moving(*size, i + 7 * e) for e, length in enumerate(lengths) for i in range(length)]
        write_video(path, images=images, rate=Fraction(FPS))
        first = 0
        for length in lengths:
            rows.append(_episode(len(rows), length, index, file, first))
            data += [_frame(len(rows) - 1, i, index + i) for i in range(length)]
            first, index = first + length, index + length
    for folder, table in (("data", data), ("meta/episodes", rows)):
        (root / folder / "chunk-000").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(table), root / folder / "chunk-000" / "file-000.parquet")
    tasks = pa.table({"task_index": [0], "__index_level_0__": ["look"]})
    pandas = {"index_columns": ["__index_level_0__"], "column_indexes": [], "columns": [], "pandas_version": "2.2.0"}
    pq.write_table(tasks.replace_schema_metadata({"pandas": json.dumps(pandas)}), root / "meta" / "tasks.parquet")
    (root / "meta" / "info.json").write_text(json.dumps(_info(size, len(rows), index)))
    (root / "meta" / "stats.json").write_text(json.dumps({CAMERA: _stats(3, index)}))
    return root


def _episode(number: int, length: int, index: int, file: int, first: int) -> dict:
    times = {"from_timestamp": first / FPS, "to_timestamp": (first + length) / FPS}
    return {
        "episode_index": number,
        "tasks": ["look"],
        "length": length,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": index,
        "dataset_to_index": index + length,
        **{f"videos/{CAMERA}/{k}": v for k, v in {"chunk_index": 0, "file_index": file, **times}.items()},
        **{f"stats/{CAMERA}/{k}": v for k, v in _stats(3, length).items()},
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def _frame(episode: int, number: int, index: int) -> dict:
    return {
        "timestamp": np.float32(number / FPS),
        "frame_index": number,
        "episode_index": episode,
        "index": index,
        "task_index": 0,
    }


def _stats(channels: int, count: int) -> dict:
    names = ("min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99")
    return {name: [[[0.5]]] * channels for name in names} | {"count": [count]}


def _info(size: tuple[int, int], episodes: int, frames: int) -> dict:
    plain = {
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **{
            name: {"dtype": "int64", "shape": [1], "names": None}
            for name in ("frame_index", "episode_index", "index", "task_index")
        },
    }
    camera = {"dtype": "video", "shape": [size[1], size[0], 3], "names": ["height", "width", "channels"]}
    camera["info"] = {"video.codec": "h264", "video.pix_fmt": "yuv420p", "video.fps": FPS, "is_depth_map": False}
    return {
        "codebase_version": "v3.0",
        "fps": FPS,
        "features": {**plain, CAMERA: camera},
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "robot_type": None,
        "splits": {"train": f"0:{episodes}"},
    }


def dequantized(codes: np.ndarray, facts: dict) -> np.ndarray:
    """Returns meters, computed as in `lerobot.datasets.depth_utils.dequantize_depth`."""
    near, far, shift = (facts[f"video.{name}"] for name in ("depth_min", "depth_max", "shift"))
    low, high = math.log(near + shift), math.log(far + shift)
    return np.clip(np.exp(codes * ((high - low) / 4095) + low) - shift, near, far)


def half_a_step(depth: np.ndarray, facts: dict) -> np.ndarray:
    """Returns in meters half of the distance between two codes, at each depth."""
    near, far, shift = (facts[f"video.{name}"] for name in ("depth_min", "depth_max", "shift"))
    return (depth + shift) * math.expm1(math.log((far + shift) / (near + shift)) / 4095 / 2) + 1e-6


def read_codes(path: Path) -> list[np.ndarray]:
    """Returns the 12-bit codes of each frame of a depth video."""
    with open_media_file(path) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert container.streams.video[0].pix_fmt == "gray12le"
        return [frame.to_ndarray(format="gray12le") for frame in container.decode(video=0)]
