"""Items that wait on disk, so that holding frames back takes no memory."""

from __future__ import annotations

import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthFrame

_NO_IMAGE, _NO_DEPTH = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32)


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    size: int
    """Bytes."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class DiskQueue:
    """First in, first out: arrays wait in a temporary file without a name, which the system removes in any case.

    Pictures wait, and with `with_depth` depth too. `put` returns the item without them, `take` gives them back. The
    space is used again. Raises SinkWriteError when the disk is full.
    """

    def __init__(self, *, with_depth: bool = False) -> None:
        self.with_depth = with_depth
        self.bytes_held = 0
        self._file: IO[bytes] | None = None
        self._close: Callable[[], object] = lambda: None
        self._waiting: deque[_Place] = deque()
        self._free: dict[int, list[int]] = {}
        self._end = 0

    def put(self, item: DepthFrame) -> DepthFrame:
        self._waiting.append(self._write(item.frame.image))
        frame = replace(item.frame, pixels=_NO_IMAGE)
        if not self.with_depth:
            return replace(item, frame=frame)
        self._waiting.append(self._write(item.depth))
        return replace(item, frame=frame, depth=_NO_DEPTH)

    def take(self, item: DepthFrame) -> DepthFrame:
        """`item` as it was when `put`: items are taken in the order in which they were put."""
        frame = replace(item.frame, pixels=self._read(self._waiting.popleft()))
        depth = self._read(self._waiting.popleft()) if self.with_depth else item.depth
        if not self._waiting:
            self.clear()
        return replace(item, frame=frame, depth=depth)

    def clear(self) -> None:
        """Forgets everything."""
        self._close()
        self._file, self._end, self.bytes_held = None, 0, 0
        self._waiting.clear()
        self._free.clear()

    def _write(self, values: npt.NDArray[Any]) -> _Place:
        if self._file is None:
            self._file = self._open()
        free = self._free.get(values.nbytes)
        start = free.pop() if free else self._end
        self._end = max(self._end, start + values.nbytes)
        self.bytes_held += values.nbytes
        with _on_disk():
            self._file.seek(start)
            self._file.write(np.ascontiguousarray(values).data)
        return _Place(start, values.nbytes, values.shape, values.dtype)

    def _open(self) -> IO[bytes]:
        with _on_disk():
            file = tempfile.TemporaryFile(prefix="streamdepth-")  # noqa: SIM115 - lives as long as something waits
        self._close = weakref.finalize(self, file.close)  # a run that was given up leaves nothing open
        return file

    def _read(self, place: _Place) -> npt.NDArray[Any]:
        assert self._file is not None
        self._file.seek(place.start)
        values = np.frombuffer(self._file.read(place.size), place.dtype).reshape(place.shape)
        self._free.setdefault(place.size, []).append(place.start)
        self.bytes_held -= place.size
        return values


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkWriteError(
            f"frames cannot be held back on disk: {error.strerror}; set TMPDIR to a larger disk, or use --smooth "
            "default and --range auto, which hold nothing back"
        ) from error
