"""The layout that all versions of LeRobot datasets share: meta/info.json, videos, and tables of data."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from streamdepth.core.errors import ConfigError, SourceOpenError


@dataclass(frozen=True, slots=True)
class Episode:
    """The position of one episode in its file."""

    index: int
    file: tuple[int, int]
    """(chunk, file) numbers of the video, or of the table with the pictures."""
    first: int
    """Index of its first frame in the file."""
    length: int


class LeRobotDataset(ABC):
    """A LeRobot dataset on disk, seen from one of its picture cameras.

    Args:
        root: its folder.
        camera: key of the picture camera.
        info: the contents of its meta/info.json.

    Raises:
        SourceOpenError: if its files do not say what they have to ("damaged").
        ConfigError: for an unknown camera ("unknown-camera").
    """

    default_video_path: ClassVar[str]
    default_data_path: ClassVar[str]

    def __init__(self, root: Path, camera: str, info: dict[str, Any]) -> None:
        self.root, self.camera, self.info = root, camera, info
        self.episodes: list[Episode]
        try:
            self._check_camera()
            self.episodes = sorted(self._read_episodes(), key=lambda episode: (episode.file, episode.first))
            for file in self.files:
                self.source_path(file)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise SourceOpenError(
                f"'{root}' is damaged: {error} is missing or wrong in its folder meta", code="damaged"
            ) from error
        if not self.episodes:
            raise SourceOpenError(f"'{root}' has no episodes", code="damaged")

    def _check_camera(self) -> None:
        features = self.info["features"].items()
        cameras = [key for key, value in features if value.get("dtype") in ("video", "image")]
        if self.camera not in cameras:
            has = ", ".join(cameras) or "none"
            raise ConfigError(f"'{self.root}' has no camera {self.camera!r}; it has {has}", code="unknown-camera")

    @abstractmethod
    def _read_episodes(self) -> Iterable[Episode]:
        """Returns all episodes. May raise LookupError, ValueError, TypeError and AttributeError for wrong facts."""

    @abstractmethod
    def changed_files(
        self, depth_camera: str, stats_by_episode: dict[int, dict[str, Any]]
    ) -> Iterator[tuple[Path, Callable[[Path], None]]]:
        """Yields the files about episodes that a depth camera changes, each with a function that writes it anew."""

    def changed_info(self, depth_camera: str, feature: dict[str, Any]) -> dict[str, Any]:
        """Returns the contents of info.json with a depth camera in videos."""
        features = {**self.info["features"], depth_camera: feature}
        return {**self.info, "features": features, "video_path": self._video_template}

    @property
    def fps(self) -> float:
        """Frames per second."""
        return float(self.info["fps"])

    @property
    def has_pictures(self) -> bool:
        """True if the camera's pictures lie one by one in the tables of data, and not in videos (`dtype: image`)."""
        return bool(self.info["features"][self.camera]["dtype"] == "image")

    @property
    def _video_template(self) -> str:
        return self.info.get("video_path") or self.default_video_path

    def video_path(self, camera: str, file: tuple[int, int], root: Path | None = None) -> Path:
        """Returns the path of a camera's video, below `root` or the dataset. Raises SourceOpenError ("damaged")."""
        return self._path(self._video_template, camera, file, root or self.root)

    def source_path(self, file: tuple[int, int]) -> Path:
        """Returns the path of a video of the picture camera, or of the table with its pictures.

        Raises SourceOpenError ("damaged").
        """
        if not self.has_pictures:
            return self.video_path(self.camera, file)
        return self._path(self.info.get("data_path") or self.default_data_path, self.camera, file, self.root)

    def _path(self, template: str, camera: str, file: tuple[int, int], root: Path) -> Path:
        names = {"chunk_index": file[0], "file_index": file[1], "episode_chunk": file[0], "episode_index": file[1]}
        path = root / template.format(video_key=camera, **names)
        if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root)):
            # a downloaded dataset must not make us read or write elsewhere
            raise SourceOpenError(
                f"'{self.root}' says that its files lie at '{path}', outside of its folder", code="damaged"
            )
        return path

    @property
    def files(self) -> list[tuple[int, int]]:
        """(chunk, file) numbers of all files of a camera, in order."""
        return sorted({episode.file for episode in self.episodes})

    def episodes_in_file(self, file: tuple[int, int]) -> list[Episode]:
        """Returns the episodes in a file, in order."""
        return [episode for episode in self.episodes if episode.file == file]


def read_info(root: Path) -> dict[str, Any]:
    """Returns the contents of meta/info.json. Raises SourceOpenError ("no-dataset") without a usable one."""
    path = root / "meta" / "info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        info["codebase_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceOpenError(f"'{root}' is no LeRobot dataset: no usable '{path}'", code="no-dataset") from error
    return cast("dict[str, Any]", info)
