"""LeRobot datasets of version 2.1: files with one episode each.

- videos/chunk-000/CAMERA/episode_000000.mp4: a video
- data/chunk-000/episode_000000.parquet: the frames; with `dtype: image` the pictures, too
- meta/episodes.jsonl: the length of each episode
- meta/episodes_stats.jsonl: its statistics
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from streamdepth.apps.lerobot.dataset import Episode, LeRobotDataset
from streamdepth.core.errors import SourceOpenError

_STATS = ("min", "max", "mean", "std", "count")
"""The statistics that version 2.1 has; the quantiles came later."""


class DatasetV21(LeRobotDataset):
    """A dataset of version 2.1. Raises as `LeRobotDataset` does."""

    default_video_path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    default_data_path = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"

    def _read_episodes(self) -> list[Episode]:
        size, meta = int(self.info["chunks_size"]), self.root / "meta"
        lengths = {row["episode_index"]: row["length"] for row in _read_lines(meta / "episodes.jsonl")}
        self._stats_path = meta / "episodes_stats.jsonl"
        self._stats = {row["episode_index"]: row["stats"] for row in _read_lines(self._stats_path)}
        if self._stats.keys() != lengths.keys():
            raise ValueError(f"an episode of '{self._stats_path}'")
        return [Episode(index, (index // size, index), 0, length) for index, length in lengths.items()]

    def changed_info(self, depth_camera: str, feature: dict[str, Any]) -> dict[str, Any]:
        info = super().changed_info(depth_camera, feature)
        cameras = sum(feature["dtype"] == "video" for feature in info["features"].values())
        return {**info, "total_videos": cameras * len(self.episodes)}

    def changed_files(
        self, depth_camera: str, stats_by_episode: dict[int, dict[str, Any]]
    ) -> Iterator[tuple[Path, Callable[[Path], None]]]:
        rows = [
            {"episode_index": index, "stats": {**stats, depth_camera: {n: stats_by_episode[index][n] for n in _STATS}}}
            for index, stats in self._stats.items()
        ]
        yield self._stats_path, partial(_write_lines, rows)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the objects of a file with one in each line. Raises SourceOpenError ("damaged")."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise SourceOpenError(f"cannot read '{path}': {error}", code="damaged") from error


def _write_lines(rows: list[dict[str, Any]], path: Path) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
