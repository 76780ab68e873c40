"""Recordings and snapshots of a running stream, all in one folder, under names that nobody chooses."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from PIL import Image as Pillow

from streamdepth.core.errors import SinkOpenError, StreamDepthError
from streamdepth.core.interfaces import Sink
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import render
from streamdepth.sinks.disk_space import check_free_space
from streamdepth.sinks.images import write_depth_picture
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.utils.numbering import unused_name

_BEGIN = r"[\w-]+_\d{8}-\d{6}(?:-\d+)?"
_NAME = re.compile(rf"{_BEGIN}(?:_depth|_view)?(?:_\d{{6}})?\.(?:mp4|mkv|mkv\.json|png|jpg)")
"""What this module writes, and so all that may be asked for."""


class Folder:
    """The folder with what was kept. Made when something is.

    min_free_bytes: of its disk, for what is not a recording; those look after themselves.
    """

    def __init__(self, path: Path, *, min_free_bytes: float = 0.0) -> None:
        self.path, self.min_free_bytes = path, min_free_bytes
        self._lock = threading.Lock()
        self._given: deque[str] = deque(maxlen=100)
        """Names that were given out lately, whose files may not be there yet."""

    def fresh(self, stream: str) -> Path:
        """A path without ending, of which no file there begins. Raises SinkOpenError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            there = list(self.path.iterdir())
        except OSError as error:
            raise SinkOpenError(f"cannot keep anything in the folder '{self.path}': {error.strerror}") from error
        name = f"{stream}_{datetime.now():%Y%m%d-%H%M%S}"
        # what is being written has such a name behind a dot
        taken = {found[0] for path in there if (found := re.match(_BEGIN, path.name.lstrip(".")))}
        with self._lock:
            fresh = unused_name(name, taken.union(self._given), "-")
            self._given.append(fresh)
        return self.path / fresh

    def check_room(self) -> None:
        """Raises DiskFullError when less is free than is to stay so."""
        check_free_space(self.path, self.min_free_bytes)

    def files(self) -> list[tuple[Path, os.stat_result]]:
        """What was kept and is complete, newest first, each as it was when it was looked at."""
        named = (path for path in self.path.glob("*") if _NAME.fullmatch(path.name))
        found = [(path, facts) for path in named if (facts := _facts_of(path))]
        return sorted(found, key=lambda file: (file[1].st_mtime, file[0].name), reverse=True)

    def find(self, name: str) -> Path | None:
        """The file of that very name, or None; no name leads out of the folder."""
        return next((path for path, _ in self.files() if path.name == name), None)


def _facts_of(path: Path) -> os.stat_result | None:
    """Of a regular file that is still there; None for a link and all else."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


class RecorderSink(Sink):
    """Records while it is told to, into the sinks that `make` gives for a path without ending. Thread-safe.

    A recording that fails ends by itself and is told in `failure`; the stream goes on. What was recorded when the
    stream ends is kept, however that ends; what cannot be kept then is an error of `close`, and told too.
    """

    def __init__(self, folder: Folder, stream: str, make: Callable[[Path, RenderOptions], list[Sink]]) -> None:
        super().__init__()
        self._folder, self._stream, self._make = folder, stream, make
        self._lock = threading.Lock()
        self._facts: tuple[StreamInfo, ModelInfo] | None = None
        self._writers: list[Sink] = []
        self._first_pts: int | None = None
        self.failure = ""
        """Why the last recording ended by itself."""

    @property
    def is_recording(self) -> bool:
        return bool(self._writers)

    def start(self, options: RenderOptions) -> None:
        """Raises SinkOpenError; then nothing is recorded."""
        with self._lock:
            if self._writers:
                raise SinkOpenError("a recording is under way already; stop it first")
            if self._facts is None:
                raise SinkOpenError("the stream is not open; try again when it is live")
            self.failure, self._first_pts = "", None
            self._writers = _opened(self._make(self._folder.fresh(self._stream), options), *self._facts)

    def stop(self) -> None:
        """Completes the files. Raises SinkWriteError, and SinkOpenError when nothing is recorded."""
        with self._lock:
            writers, self._writers = self._writers, []
        if not writers:
            raise SinkOpenError("nothing is being recorded")
        _close_all(writers)

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        # what is kept of a file is a recording like any other: without its sound, which may repeat or pause
        self._facts = replace(info, origin=None), model

    def on_stream_changed(self, info: StreamInfo) -> None:
        with self._lock:
            if self._facts is not None:
                self._facts = replace(info, origin=None), self._facts[1]
            self._each(lambda writer: writer.on_stream_changed(info))

    def write(self, item: DepthFrame) -> None:
        if not self._writers:  # asked without the lock: while a recording is being opened, the stream goes on
            return
        frame = item.frame
        with self._lock:  # the next recording has another first frame
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            item = replace(item, frame=replace(frame, pts=frame.pts - self._first_pts))
            self._each(lambda writer: writer.write(item))

    def _each(self, action: Callable[[Sink], None]) -> None:
        """With the lock held."""
        try:
            for writer in self._writers:
                action(writer)
            if any(writer.wants_stop for writer in self._writers):
                writers, self._writers = self._writers, []
                _close_all(writers)
        except StreamDepthError as error:
            self._fail(error)

    def _fail(self, error: StreamDepthError) -> None:
        writers, self._writers, self.failure = self._writers, [], str(error)
        self.add_notice(f"the recording of {self._stream} ended: {error}")
        for writer in writers:
            try:
                writer.close()
            except StreamDepthError as another:
                self.add_notice(str(another))

    def close(self) -> None:
        with self._lock:
            self._facts = None
            writers, self._writers = self._writers, []
        try:
            _close_all(writers)
        except StreamDepthError as error:
            self._fail(error)
            raise

    def discard(self) -> None:
        with suppress(StreamDepthError):  # told in `failure`
            self.close()


def _opened(writers: list[Sink], info: StreamInfo, model: ModelInfo) -> list[Sink]:
    """All of them, or none."""
    for i, writer in enumerate(writers):
        try:
            writer.open(info, model)
        except StreamDepthError:
            for begun in writers[:i]:
                begun.discard()
            raise
    return writers


def _close_all(writers: list[Sink]) -> None:
    failures: list[StreamDepthError] = []
    for writer in writers:
        try:
            writer.close()
        except StreamDepthError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def keep_snapshot(item: DepthFrame, folder: Folder, stream: str, options: RenderOptions) -> list[Path]:
    """Writes NAME.png (the picture), NAME_view.jpg (as shown) and NAME_depth.png (16 bit). Raises SinkError."""
    base = folder.fresh(stream)
    folder.check_room()
    picture, view, depth = (base.with_name(base.name + end) for end in (".png", "_view.jpg", "_depth.png"))
    with atomic_write(picture) as temporary:
        Pillow.fromarray(item.frame.image).save(temporary, compress_level=3)
    with atomic_write(view) as temporary:
        Pillow.fromarray(render(item, options)).save(temporary, quality=92)
    write_depth_picture(depth, item.at_frame_size(), item.kind, text={"time": f"{item.frame.time:.6f}"})
    return [picture, view, depth]
