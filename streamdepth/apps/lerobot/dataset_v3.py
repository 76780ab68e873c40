"""LeRobot datasets of version 3: files with many episodes.

- videos/CAMERA/chunk-000/file-000.mp4: a video with many episodes
- data/chunk-000/file-000.parquet: the frames of many episodes; with `dtype: image` the pictures, too
- meta/episodes/**.parquet: where in the files each episode lies, and its statistics
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdepth.apps.lerobot.dataset import Episode, LeRobotDataset
from streamdepth.core.errors import MissingDependencyError, SourceOpenError

if TYPE_CHECKING:
    import pyarrow as pa

_VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")


class DatasetV3(LeRobotDataset):
    """A dataset of version 3. Raises MissingDependencyError without pyarrow, else as `LeRobotDataset` does."""

    default_video_path = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    default_data_path = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

    def _read_episodes(self) -> list[Episode]:
        self._tables = _read_episode_tables(self.root / "meta" / "episodes")
        rows = [row for table in self._tables.values() for row in table.to_pylist()]
        return _episodes_in_tables(rows) if self.has_pictures else self._episodes_in_videos(rows)

    def _episodes_in_videos(self, rows: list[dict[str, Any]]) -> list[Episode]:
        prefix, fps = f"videos/{self.camera}", self.fps
        return [
            Episode(
                row["episode_index"],
                (row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"]),
                round(row[f"{prefix}/from_timestamp"] * fps),
                row["length"],
            )
            for row in rows
        ]

    def changed_files(
        self, depth_camera: str, stats_by_episode: dict[int, dict[str, Any]]
    ) -> Iterator[tuple[Path, Callable[[Path], None]]]:
        for path, table in self._tables.items():
            yield path, partial(_write_table, self._with_depth_columns(table, depth_camera, stats_by_episode))

    def _with_depth_columns(
        self, table: pa.Table, depth_camera: str, stats_by_episode: dict[int, dict[str, Any]]
    ) -> pa.Table:
        """Returns the table of episodes with columns of the depth camera, like those of the picture camera."""
        import pyarrow as pa

        indices = table["episode_index"].to_pylist()
        positions = self._positions(table, indices)
        columns = {f"videos/{depth_camera}/{name}": column for name, column in positions.items()}
        for name in stats_by_episode[indices[0]]:
            if f"stats/{self.camera}/{name}" in table.column_names:
                columns[f"stats/{depth_camera}/{name}"] = pa.chunked_array(
                    [[stats_by_episode[index][name] for index in indices]]
                )
        for name, values in columns.items():
            if name in table.column_names:
                table = table.drop_columns([name])
            table = table.append_column(name, values)
        return table

    def _positions(self, table: pa.Table, indices: list[int]) -> dict[str, Any]:
        """Returns name -> column, as PyArrow takes it, with the position of each episode in the depth videos."""
        if not self.has_pictures:
            return {name: table[f"videos/{self.camera}/{name}"] for name in _VIDEO_COLUMNS}
        by_index = {episode.index: episode for episode in self.episodes}
        episodes = [by_index[index] for index in indices]
        return {
            "chunk_index": [[episode.file[0] for episode in episodes]],
            "file_index": [[episode.file[1] for episode in episodes]],
            "from_timestamp": [[episode.first / self.fps for episode in episodes]],
            "to_timestamp": [[(episode.first + episode.length) / self.fps for episode in episodes]],
        }


def _episodes_in_tables(rows: list[dict[str, Any]]) -> list[Episode]:
    """Returns the positions of episodes in the tables of data; a table holds its episodes one after the other."""
    episodes, first_of_file = [], dict[tuple[int, int], int]()
    for row in sorted(rows, key=lambda row: row["dataset_from_index"]):
        file = row["data/chunk_index"], row["data/file_index"]
        first = row["dataset_from_index"] - first_of_file.setdefault(file, row["dataset_from_index"])
        episodes.append(Episode(row["episode_index"], file, first, row["length"]))
    return episodes


def _read_episode_tables(folder: Path) -> dict[Path, pa.Table]:
    """Returns path -> table. Raises SourceOpenError ("damaged") and MissingDependencyError."""
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "lerobot", "reading LeRobot datasets") from error
    try:
        found = {path: pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))}
    except (OSError, ValueError) as error:
        raise SourceOpenError(f"cannot read the episodes in '{folder}': {error}", code="damaged") from error
    if not found:
        raise SourceOpenError(f"the dataset has no episodes in '{folder}'", code="damaged")
    return found


def _write_table(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="snappy", use_dictionary=True)
