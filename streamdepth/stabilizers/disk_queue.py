"""A queue on disk, so that frames that wait for a late stabilizer take no memory."""

from __future__ import annotations

import math
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Mask
from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthFrame

_NO_IMAGE, _NO_DEPTH = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32)


@dataclass(frozen=True, slots=True)
class _StoredArray:
    """The place of an array in the file, and its shape."""

    offset: int
    size: int
    """Bytes."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class DiskQueue:
    """A first-in, first-out queue of pictures with their masks, and of depth with `with_depth`, in a temporary file.

    The system removes the file, which has no name, in any case, and freed space in it is used again. `put` and `take`
    raise SinkWriteError with the code "temporary-storage" when the disk is full.
    """

    def __init__(self, *, with_depth: bool = False) -> None:
        self.with_depth = with_depth
        self.bytes_stored = 0
        self._file: IO[bytes] | None = None
        self._close: Callable[[], object] = lambda: None
        self._stored: deque[_StoredArray] = deque()
        self._masks: deque[_StoredArray | None] = deque()
        """The mask of valid pixels of each picture, one bit for each; None where it has none."""
        self._free_offsets: dict[int, list[int]] = {}
        """Offsets of free space by its size in bytes."""
        self._end = 0

    def put(self, item: DepthFrame) -> DepthFrame:
        """Stores the arrays of `item`, and returns it without them."""
        self._stored.append(self._write(item.frame.image))
        valid = item.frame.valid
        self._masks.append(None if valid is None else self._write(np.packbits(valid)))
        frame = replace(item.frame, pixels=_NO_IMAGE, valid=None)
        if not self.with_depth:
            return replace(item, frame=frame)
        self._stored.append(self._write(item.depth))
        return replace(item, frame=frame, depth=_NO_DEPTH)

    def take(self, item: DepthFrame) -> DepthFrame:
        """Returns `item` with its arrays; items are taken in the order in which they were put."""
        image, mask = self._read(self._stored.popleft()), self._masks.popleft()
        valid = None if mask is None else self._read_mask(mask, image.shape[:2])
        frame = replace(item.frame, pixels=image, valid=valid)
        depth = self._read(self._stored.popleft()) if self.with_depth else item.depth
        if not self._stored:
            self.clear()
        return replace(item, frame=frame, depth=depth)

    def clear(self) -> None:
        """Forgets everything and removes the file."""
        self._close()
        self._file, self._end, self.bytes_stored = None, 0, 0
        self._stored.clear()
        self._masks.clear()
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
