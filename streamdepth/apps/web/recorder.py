"""The sink that records a running stream when the page or the API asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from streamdepth.apps.web.media_folder import MediaFolder
from streamdepth.core.errors import SinkOpenError, StreamDepthError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo


class RecorderSink(Sink):
    """A sink that writes files only between `start` and `stop`. Thread-safe.

    A recording that fails ends, with the reason in `failure`, and the stream goes on. When the stream ends, or is
    discarded, a recording that is under way is completed and kept.

    Args:
        folder: where recordings are written.
        stream: the stream's name, with which the file names begin.
        make_sinks: makes the sinks of a recording, given its path without suffix.
    """

    def __init__(
        self, folder: MediaFolder, stream: str, make_sinks: Callable[[Path, RenderOptions], list[Sink]]
    ) -> None:
        super().__init__()
        self._folder, self._stream, self._make_sinks = folder, stream, make_sinks
        self._lock = threading.Lock()
        self._facts: tuple[StreamInfo, ModelInfo] | None = None
        self._sinks: list[Sink] = []
        """The sinks of the recording that is under way."""
        self._first_pts: int | None = None
        self.recorded_seconds = 0.0
        """Length of what the recording has so far."""
        self.failure = ""
        """Why the last recording ended by itself; empty if it did not."""

    @property
    def is_recording(self) -> bool:
        """True while a recording is under way."""
        return bool(self._sinks)

    def start(self, options: RenderOptions) -> None:
        """Starts a recording. Raises SinkOpenError ("already-recording", "not-open" or that of a sink)."""
        with self._lock:
            if self._sinks:
                raise SinkOpenError("a recording is under way already; stop it first", code="already-recording")
            if self._facts is None:
                raise SinkOpenError("the stream is not open; try again when it is live", code="not-open")
            self.failure, self._first_pts, self.recorded_seconds = "", None, 0.0
            sinks = self._make_sinks(self._folder.new_base_path(self._stream), options)
            _open_all(sinks, *self._facts)
            self._sinks = sinks

    def stop(self) -> None:
        """Completes the recording's files. Raises SinkWriteError; SinkOpenError ("not-recording") without one."""
        with self._lock:
            sinks, self._sinks = self._sinks, []
        if not sinks:
            raise SinkOpenError("nothing is being recorded", code="not-recording")
        _close_all(sinks)

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        # without the sound of a file, which may be looped or paused
        self._facts = replace(info, file_path=None, track_feed=None), model

    def on_stream_changed(self, info: StreamInfo) -> None:
        with self._lock:
            if self._facts is not None:
                self._facts = replace(info, file_path=None, track_feed=None), self._facts[1]
            self._for_each_sink(lambda sink: sink.on_stream_changed(info))

    def on_write(self, item: DepthFrame) -> None:
        if not self._sinks:  # checked without the lock: the stream goes on while a recording is being opened
            return
        frame = item.frame
        with self._lock:  # a recording that starts meanwhile has another first frame
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            item = replace(item, frame=replace(frame, pts=frame.pts - self._first_pts))
            self.recorded_seconds = item.frame.time
            self._for_each_sink(lambda sink: sink.write(item))

    def _for_each_sink(self, action: Callable[[Sink], None]) -> None:
        """Calls `action` for each sink of the recording, and ends the recording if one fails. Needs the lock."""
        try:
            for sink in self._sinks:
                action(sink)
            if any(sink.wants_stop for sink in self._sinks):
                sinks, self._sinks = self._sinks, []
                _close_all(sinks)
        except (StreamDepthError, OSError) as error:  # an OSError where a folder or a disk has vanished
            self._fail(error)

    def _fail(self, error: StreamDepthError | OSError) -> None:
        sinks, self._sinks, self.failure = self._sinks, [], str(error)
        self.add_notice(f"the recording of {self._stream} ended: {error}")
        for sink in sinks:
            try:
                sink.close()
            except (StreamDepthError, OSError) as another:
                self.add_notice(str(another))

    def on_close(self) -> None:
        with self._lock:
            self._facts = None
            sinks, self._sinks = self._sinks, []
        try:
            _close_all(sinks)
        except StreamDepthError as error:
            self._fail(error)
            raise

    def on_discard(self) -> None:
        with suppress(StreamDepthError):  # it is in `failure`
            self.on_close()


def _open_all(sinks: list[Sink], info: StreamInfo, model: ModelInfo) -> None:
    """Opens all sinks; if one fails, discards those that are open, and raises its error."""
    for i, sink in enumerate(sinks):
        try:
            sink.open(info, model)
        except StreamDepthError:
            for opened in sinks[:i]:
                opened.discard()
            raise


def _close_all(sinks: list[Sink]) -> None:
    """Closes all sinks, and raises the first error after that."""
    errors: list[StreamDepthError] = []
    for sink in sinks:
        try:
            sink.close()
        except StreamDepthError as error:
            errors.append(error)
    if errors:
        raise errors[0]
