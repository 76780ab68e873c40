"""Pictures that a LeRobot dataset holds one by one in its tables of data (`dtype: image`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.sources.picture_file import read_picture
from streamdepth.sources.untrusted_picture import open_picture

_ROWS_AT_ONCE = 16


class TablePictures:
    """The pictures of one table of data in order, (H, W, 3) uint8 RGB, to be iterated over as often as needed.

    A picture is its file's bytes, or the path of its file below the dataset's folder.

    Args:
        path: the table, a Parquet file.
        camera: the column with the pictures.
        root: folder of the dataset.

    Raises:
        MissingDependencyError: without pyarrow.
        SourceOpenError: from `len` and while iterating, if a picture is missing, cannot be read, or lies outside of
            `root` ("damaged").
    """

    def __init__(self, path: Path, camera: str, root: Path) -> None:
        self._path, self._camera, self._root = path, camera, root

    def __len__(self) -> int:
        with self._open() as table:
            return int(table.metadata.num_rows)

    def __iter__(self) -> Iterator[Image]:
        with self._open() as table:
            for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[self._camera]):
                for value in batch.column(0).to_pylist():
                    yield _decode(value, self._root)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingDependencyError("pyarrow", "lerobot", "reading LeRobot datasets") from error
        try:
            with pq.ParquetFile(self._path) as table:
                yield table
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise SourceOpenError(
                f"cannot read the pictures of {self._camera} in '{self._path}': {error}", code="damaged"
            ) from error


def _decode(value: dict[str, Any], root: Path) -> Image:
    if value["bytes"] is None:
        return read_picture(_file_below(root, value["path"]))
    return read_picture(open_picture(value["bytes"], "a picture of the dataset"))


def _file_below(root: Path, name: str) -> Path:
    path = root / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        # a downloaded dataset must not make us read elsewhere
        raise ValueError(f"'{path}' lies outside of the dataset")
    return path
