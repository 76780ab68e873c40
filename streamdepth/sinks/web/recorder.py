"""Recordings and snapshots of a running stream, all in one folder, under names that nobody chooses."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from PIL import Image as Pillow

from streamdepth.errors import SinkError, SinkOpenError
from streamdepth.render import render
from streamdepth.sinks.images import write_depth_picture
from streamdepth.sinks.output import complete_file
from streamdepth.stages import Sink
from streamdepth.types import DepthFrame, ModelInfo, StreamInfo

_NAME = re.compile(r"([\w-]+_\d{8}-\d{6}(?:-\d+)?)(?:_depth|_view)?(?:_\d{6})?\.(?:mp4|mkv|mkv\.json|png|jpg)")
"""What this module writes, and so all that may be asked for."""


class Folder:
    """The folder with what was kept. Made when something is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._given: deque[str] = deque(maxlen=100)
        """Names that were given out lately, whose files may not be there yet."""

    def fresh(self, stream: str) -> Path:
        """A path without ending, of which no file there begins. Raises SinkOpenError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkOpenError(f"cannot make the folder '{self.path}': {error.strerror}") from error
        name = f"{stream}_{datetime.now():%Y%m%d-%H%M%S}"
        taken = {found[1] for path in self.path.iterdir() if (found := _NAME.fullmatch(path.name.lstrip(".")))}
        with self._lock:
            names = (name if n == 1 else f"{name}-{n}" for n in itertools.count(1))
            fresh = next(name for name in names if name not in taken and name not in self._given)
            self._given.append(fresh)
        return self.path / fresh

    def files(self) -> list[Path]:
        """What was kept and is complete, newest first."""
        found = [p for p in self.path.glob("*") if _NAME.fullmatch(p.name) and p.is_file() and not p.is_symlink()]
        return sorted(found, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)

    def find(self, name: str) -> Path | None:
        """The file of that very name, or None; no name leads out of the folder."""
        return next((path for path in self.files() if path.name == name), None)


@dataclass(frozen=True, slots=True)
class Look:
    """How a recording is drawn."""

    style: str
    colormap: str


class RecorderSink(Sink):
    """Records while it is told to, into the sinks that `make` gives for a path without ending. Thread-safe.

    A recording that fails ends by itself and is told in `failure`; the stream goes on. What was recorded when the
    stream ends is kept, however that ends.
    """

    def __init__(self, folder: Folder, stream: str, make: Callable[[Path, Look], list[Sink]]) -> None:
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

    def start(self, look: Look) -> None:
        """Raises SinkOpenError; then nothing is recorded."""
        with self._lock:
            if self._writers:
                raise SinkOpenError("a recording is under way already; stop it first")
            if self._facts is None:
                raise SinkOpenError("the stream is not open; try again when it is live")
            self.failure, self._first_pts = "", None
            self._writers = _opened(self._make(self._folder.fresh(self._stream), look), *self._facts)

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

    def changed(self, info: StreamInfo) -> None:
        if self._facts is not None:
            self._facts = replace(info, origin=None), self._facts[1]
        self._each(lambda writer: writer.changed(info))

    def write(self, item: DepthFrame) -> None:
        if not self._writers:
            return
        frame = item.frame
        self._first_pts = frame.pts if self._first_pts is None else self._first_pts
        item = replace(item, frame=replace(frame, pts=frame.pts - self._first_pts))
        self._each(lambda writer: writer.write(item))

    def _each(self, action: Callable[[Sink], None]) -> None:
        with self._lock:
            try:
                for writer in self._writers:
                    action(writer)
                if any(writer.wants_stop for writer in self._writers):
                    writers, self._writers = self._writers, []
                    _close_all(writers)
            except SinkError as error:
                self._fail(error)

    def _fail(self, error: SinkError) -> None:
        writers, self._writers, self.failure = self._writers, [], str(error)
        self.notice(f"the recording of {self._stream} ended: {error}")
        for writer in writers:
            try:
                writer.close()
            except SinkError as another:
                self.notice(str(another))

    def close(self) -> None:
        if self._writers:
            self.stop()

    def discard(self) -> None:
        self.close()


def _opened(writers: list[Sink], info: StreamInfo, model: ModelInfo) -> list[Sink]:
    """All of them, or none."""
    for i, writer in enumerate(writers):
        try:
            writer.open(info, model)
        except SinkError:
            for begun in writers[:i]:
                begun.discard()
            raise
    return writers


def _close_all(writers: list[Sink]) -> None:
    failures: list[SinkError] = []
    for writer in writers:
        try:
            writer.close()
        except SinkError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def keep_snapshot(item: DepthFrame, folder: Folder, stream: str, look: Look) -> list[Path]:
    """Writes NAME.png (the picture), NAME_view.jpg (as shown) and NAME_depth.png (16 bit). Raises SinkError."""
    base = folder.fresh(stream)
    picture, view, depth = (base.with_name(base.name + end) for end in (".png", "_view.jpg", "_depth.png"))
    with complete_file(picture) as temporary:
        Pillow.fromarray(item.frame.image).save(temporary, compress_level=3)
    with complete_file(view) as temporary:
        Pillow.fromarray(render(item, style=look.style, colormap=look.colormap)).save(temporary, quality=92)  # type: ignore[arg-type]  # checked words
    write_depth_picture(depth, item.resized(), item.kind, text={"time": f"{item.frame.time:.6f}"})
    return [picture, view, depth]
