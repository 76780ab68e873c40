"""A queue on disk, so that frames that wait for a late stabilizer take no memory."""

from __future__ import annotations

import math
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Mask
from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthFrame

_NO_IMAGE, _NO_DEPTH = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32)


class _StoredItem(NamedTuple):
    """The arrays of an item that are in the file; None for those that it does not have or that stay in memory."""

    image: _StoredArray
    valid: _StoredArray | None
    """One bit for each pixel."""
    depth: _StoredArray | None
    confidence: _StoredArray | None


@dataclass(frozen=True, slots=True)
class _StoredArray:
    """The place of an array in the file, and its shape."""

    offset: int
    size: int
    """Bytes."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class DiskQueue:
    """A first-in, first-out queue in a temporary file, of pictures with their masks.

    With `with_depth`, depth and its confidence are in the file too. The file has no name, so that the system removes it
    in any case. Freed space in it is used again. `put` and `take` raise SinkWriteError with the code
    "temporary-storage" when the disk is full.
    """

    def __init__(self, *, with_depth: bool = False) -> None:
        self.with_depth = with_depth
        self.bytes_stored = 0
        self._file: IO[bytes] | None = None
        self._close: Callable[[], object] = lambda: None
        self._stored: deque[_StoredItem] = deque()
        self._free_offsets: dict[int, list[int]] = {}
        """Offsets of free space by its size in bytes."""
        self._end = 0

    def put(self, item: DepthFrame) -> DepthFrame:
        """Stores the arrays of `item`, and returns it without them."""
        valid, confidence = item.frame.valid, item.confidence
        self._stored.append(
            _StoredItem(
                self._write(item.frame.image),
                None if valid is None else self._write(np.packbits(valid)),
                self._write(item.depth) if self.with_depth else None,
                self._write(confidence) if self.with_depth and confidence is not None else None,
            )
        )
        frame = replace(item.frame, pixels=_NO_IMAGE, valid=None)
        if not self.with_depth:
            return replace(item, frame=frame)
        return replace(item, frame=frame, depth=_NO_DEPTH, confidence=None)

    def take(self, item: DepthFrame) -> DepthFrame:
        """Returns `item` with its arrays; items are taken in the order in which they were put."""
        stored = self._stored.popleft()
        image = self._read(stored.image)
        valid = None if stored.valid is None else self._read_mask(stored.valid, image.shape[:2])
        item = replace(item, frame=replace(item.frame, pixels=image, valid=valid))
        if stored.depth is not None:
            confidence = None if stored.confidence is None else self._read(stored.confidence)
            item = replace(item, depth=self._read(stored.depth), confidence=confidence)
        if not self._stored:
            self.clear()
        return item

    def clear(self) -> None:
        """Forgets everything and removes the file."""
        self._close()
        self._file, self._end, self.bytes_stored = None, 0, 0
        self._stored.clear()
        self._free_offsets.clear()

    def _write(self, values: npt.NDArray[Any]) -> _StoredArray:
        if self._file is None:
            self._file = self._open()
        free = self._free_offsets.get(values.nbytes)
        offset = free.pop() if free else self._end
        self._end = max(self._end, offset + values.nbytes)
        self.bytes_stored += values.nbytes
        with _storage_errors():
            self._file.seek(offset)
            self._file.write(np.ascontiguousarray(values).data)
        return _StoredArray(offset, values.nbytes, values.shape, values.dtype)

    def _open(self) -> IO[bytes]:
        with _storage_errors():
            file = tempfile.TemporaryFile(prefix="streamdepth-")  # noqa: SIM115 - lives as long as something waits
        self._close = weakref.finalize(self, file.close)  # a run that was given up leaves nothing open
        return file

    def _read_mask(self, stored: _StoredArray, shape: tuple[int, ...]) -> Mask:
        return np.unpackbits(self._read(stored), count=math.prod(shape)).reshape(shape).view(np.bool_)

    def _read(self, stored: _StoredArray) -> npt.NDArray[Any]:
        assert self._file is not None
        self._file.seek(stored.offset)
        values = np.frombuffer(self._file.read(stored.size), stored.dtype).reshape(stored.shape)
        self._free_offsets.setdefault(stored.size, []).append(stored.offset)
        self.bytes_stored -= stored.size
        return values


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkWriteError(
            f"frames cannot be held back on disk: {error.strerror}; set TMPDIR to a larger disk, or use --smooth "
            "default and --range auto, which hold nothing back",
            code="temporary-storage",
        ) from error
