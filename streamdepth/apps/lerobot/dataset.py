"""Where things lie in a LeRobot data set of version 3.

videos/CAMERA/chunk-000/file-000.mp4 hold many episodes each; meta/episodes/**.parquet says where in them each episode
lies, meta/info.json what the cameras are, meta/stats.json what their values are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from streamdepth.core.errors import ConfigError, MissingDependencyError, SourceOpenError

if TYPE_CHECKING:
    import pyarrow as pa

_VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


@dataclass(frozen=True, slots=True)
class Episode:
    """Where one episode lies in its video."""

    index: int
    file: tuple[int, int]
    """Numbers of the chunk and the file."""
    first: int
    """Its first frame in that file."""
    length: int


class DataSet:
    """A data set on disk, of version 3.

    Raises SourceOpenError where it is none or damaged, ConfigError for an unknown camera.
    """

    def __init__(self, root: Path, camera: str) -> None:
        self.root, self.camera = root, camera
        self.info = self._read_info()
        self.tables: dict[Path, pa.Table]
        """Of the episodes, by file."""
        self.episodes: list[Episode]
        try:
            self._read()
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise SourceOpenError(f"'{root}' is damaged: {error} is missing or wrong in its folder meta") from error

    def _read(self) -> None:
        cameras = [key for key, value in self.info["features"].items() if value.get("dtype") == "video"]
        if self.camera not in cameras:
            has = ", ".join(cameras) or "none"
            raise ConfigError(f"'{self.root}' has no camera {self.camera!r} in videos; it has {has}")
        self.tables = _tables(self.root / "meta" / "episodes")
        self.episodes = sorted(self._episodes(), key=lambda episode: (episode.file, episode.first))
        for file in self.files:
            self.video(self.camera, file)

    def _read_info(self) -> dict[str, Any]:
        path = self.root / "meta" / "info.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = str(info["codebase_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceOpenError(f"'{self.root}' is no LeRobot data set: no usable '{path}'") from error
        if not version.startswith("v3"):
            raise SourceOpenError(
                f"'{self.root}' has LeRobot's version {version}, and version 3 is needed; convert it with "
                "lerobot.scripts.convert_dataset_v21_to_v30"
            )
        return cast("dict[str, Any]", info)

    def _episodes(self) -> Iterator[Episode]:
        fps, prefix = float(self.info["fps"]), f"videos/{self.camera}"
        for table in self.tables.values():
            for row in table.to_pylist():
                file = row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"]
                yield Episode(row["episode_index"], file, round(row[f"{prefix}/from_timestamp"] * fps), row["length"])

    def video(self, camera: str, file: tuple[int, int], root: Path | None = None) -> Path:
        """Where a file of that camera lies, in the data set or in a folder like it. Raises SourceOpenError."""
        template, root = self.info.get("video_path") or _VIDEOS, root or self.root
        path = root / template.format(video_key=camera, chunk_index=file[0], file_index=file[1])
        if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root)):  # data sets come from strangers
            raise SourceOpenError(f"'{self.root}' says that its videos lie at '{path}', outside of its folder")
        return path

    @property
    def files(self) -> list[tuple[int, int]]:
        return sorted({episode.file for episode in self.episodes})

    def of_file(self, file: tuple[int, int]) -> list[Episode]:
        return [episode for episode in self.episodes if episode.file == file]


def _tables(folder: Path) -> dict[Path, pa.Table]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "lerobot", "reading LeRobot data sets") from error
    try:
        found = {path: pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))}
    except (OSError, ValueError) as error:
        raise SourceOpenError(f"cannot read the episodes in '{folder}': {error}") from error
    if not found:
        raise SourceOpenError(f"the data set has no episodes in '{folder}'")
    return found
