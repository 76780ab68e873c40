"""A small LeRobot dataset, as its own writers lay it out, and a reader of its depth videos.

`write_lerobot_set` writes version 3 with videos; `to_pictures` and `to_v21` change that to `dtype: image` and version
2.1, after the layouts in LeRobot's `convert_dataset_v21_to_v30`.
"""

from __future__ import annotations

import json
import math
import shutil
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from helpers.media import moving, write_video
from PIL import Image

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


def episode_images(size: tuple[int, int]) -> list[list[np.ndarray]]:
    """Returns the pictures of each episode."""
    return [
        [moving(*size, i + 7 * e) for i in range(length)]
        for lengths in LENGTHS.values()
        for e, length in enumerate(lengths)
    ]


def to_pictures(root: Path, replaced: dict[int, dict | None] | None = None) -> Path:
    """Moves the pictures from the videos into the table of data, as PNG; `replaced` has other values by frame."""
    info, data = _read_json(root / "meta/info.json"), root / "data/chunk-000/file-000.parquet"
    height, width, _ = info["features"][CAMERA]["shape"]
    images = [image for images in episode_images((width, height)) for image in images]
    values = [{"bytes": _png(image), "path": f"frame-{i:06d}.png"} for i, image in enumerate(images)]
    for index, value in (replaced or {}).items():
        values[index] = value
    pq.write_table(pq.read_table(data).append_column(CAMERA, [values]), data)
    info["features"][CAMERA] = {k: v for k, v in info["features"][CAMERA].items() if k != "info"} | {"dtype": "image"}
    (root / "meta/info.json").write_text(json.dumps(info | {"video_path": None}))
    episodes = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(episodes)
    pq.write_table(table.drop_columns([name for name in table.column_names if name.startswith("videos/")]), episodes)
    shutil.rmtree(root / "videos")
    return root


def to_v21(root: Path) -> Path:
    """Splits the files into one for each episode, two in a chunk."""
    info, data = _read_json(root / "meta/info.json"), root / "data/chunk-000/file-000.parquet"
    rows, videos = pq.read_table(data).to_pylist(), (root / "videos").exists()
    height, width, _ = info["features"][CAMERA]["shape"]
    shutil.rmtree(root / "data")
    shutil.rmtree(root / "videos", ignore_errors=True)
    all_images, episodes, stats = episode_images((width, height)), [], []
    for index, images in enumerate(all_images):
        chunk, name = f"chunk-{index // 2:03d}", f"episode_{index:06d}"
        (root / "data" / chunk).mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([row for row in rows if row["episode_index"] == index])
        pq.write_table(table, root / "data" / chunk / f"{name}.parquet")
        if videos:
            (root / "videos" / chunk / CAMERA).mkdir(parents=True, exist_ok=True)
            write_video(root / "videos" / chunk / CAMERA / f"{name}.mp4", images=images, rate=Fraction(FPS))
        episodes.append({"episode_index": index, "tasks": ["look"], "length": len(images)})
        kept = {name: value for name, value in _stats(3, len(images)).items() if not name.startswith("q")}
        stats.append({"episode_index": index, "stats": {CAMERA: kept}})
    shutil.rmtree(root / "meta/episodes")
    for name in ("stats.json", "tasks.parquet"):
        (root / "meta" / name).unlink()
    for name, lines in (("episodes", episodes), ("episodes_stats", stats)):
        (root / f"meta/{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    paths = {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        if videos
        else None,
    }
    counts = {"chunks_size": 2, "total_chunks": 2, "total_videos": len(all_images) if videos else 0}
    (root / "meta/info.json").write_text(json.dumps(info | paths | counts | {"codebase_version": "v2.1"}))
    return root


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def _png(image: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


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
