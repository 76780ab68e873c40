"""The files of a LeRobot dataset, version 3.

- videos/CAMERA/chunk-000/file-000.mp4: a video with many episodes
- meta/episodes/**.parquet: where in the videos each episode lies
- meta/info.json: the cameras and other features
- meta/stats.json: statistics of their values
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

_DEFAULT_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


@dataclass(frozen=True, slots=True)
class Episode:
    """The position of one episode in its video file."""

    index: int
    file: tuple[int, int]
    """(chunk, file) numbers of the video."""
    first: int
    """Index of its first frame in the video."""
    length: int


class LeRobotDataset:
    """A LeRobot dataset of version 3 on disk, seen from one of its picture cameras.

    Raises:
        SourceOpenError: if the folder is no such dataset ("no-dataset"), has another version ("dataset-version") or
            is damaged ("damaged").
        ConfigError: for an unknown camera ("unknown-camera").
    """

    def __init__(self, root: Path, camera: str) -> None:
        self.root, self.camera = root, camera
        self.info = self._read_info()
        self.tables: dict[Path, pa.Table]
        """Tables of the episodes, by the file that holds them."""
        self.episodes: list[Episode]
        try:
            self._read_layout()
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise SourceOpenError(
                f"'{root}' is damaged: {error} is missing or wrong in its folder meta", code="damaged"
            ) from error

    def _read_layout(self) -> None:
        cameras = [key for key, value in self.info["features"].items() if value.get("dtype") == "video"]
        if self.camera not in cameras:
            has = ", ".join(cameras) or "none"
            raise ConfigError(
                f"'{self.root}' has no camera {self.camera!r} in videos; it has {has}", code="unknown-camera"
            )
        self.tables = _read_episode_tables(self.root / "meta" / "episodes")
        self.episodes = sorted(self._read_episodes(), key=lambda episode: (episode.file, episode.first))
        for file in self.files:
            self.video_path(self.camera, file)

    def _read_info(self) -> dict[str, Any]:
        path = self.root / "meta" / "info.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = str(info["codebase_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceOpenError(
                f"'{self.root}' is no LeRobot dataset: no usable '{path}'", code="no-dataset"
            ) from error
        if not version.startswith("v3"):
            raise SourceOpenError(
                f"'{self.root}' has LeRobot's version {version}, and version 3 is needed; convert it with "
                "lerobot.scripts.convert_dataset_v21_to_v30",
                code="dataset-version",
            )
        return cast("dict[str, Any]", info)

    def _read_episodes(self) -> Iterator[Episode]:
        fps, prefix = float(self.info["fps"]), f"videos/{self.camera}"
        for table in self.tables.values():
            for row in table.to_pylist():
                file = row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"]
                yield Episode(row["episode_index"], file, round(row[f"{prefix}/from_timestamp"] * fps), row["length"])

    def video_path(self, camera: str, file: tuple[int, int], root: Path | None = None) -> Path:
        """Returns the path of a camera's video, below `root` or the dataset. Raises SourceOpenError ("damaged")."""
        template, root = self.info.get("video_path") or _DEFAULT_VIDEO_PATH, root or self.root
        path = root / template.format(video_key=camera, chunk_index=file[0], file_index=file[1])
        if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root)):
            # a downloaded dataset must not make us write elsewhere
            raise SourceOpenError(
                f"'{self.root}' says that its videos lie at '{path}', outside of its folder", code="damaged"
            )
        return path

    @property
    def files(self) -> list[tuple[int, int]]:
        """(chunk, file) numbers of all videos of a camera, in order."""
        return sorted({episode.file for episode in self.episodes})

    def episodes_in_file(self, file: tuple[int, int]) -> list[Episode]:
        """Returns the episodes in a video, in order."""
        return [episode for episode in self.episodes if episode.file == file]


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
