"""Recording without end: a new file after each so many seconds, each complete by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av

from streamdepth.core.errors import SinkOpenError, SinkWriteError, StreamDepthError
from streamdepth.core.interfaces import Sink
from streamdepth.core.threads import WorkerThread
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import check_output, file_url
from streamdepth.sinks.temporary_files import remove_abandoned_segments, sidecar_path
from streamdepth.sinks.video import VideoSink
from streamdepth.utils.numbering import find_numbered_files, has_number_field, insert_number, next_number

_LONGEST_CLOSING_SECONDS = 600.0


class SegmentedSink(Sink):
    """Writes NAME_000000.mp4, NAME_000001.mp4... by one inner sink each.

    - A segment ends with the first frame that is later than `seconds` on the source's clock, counted from the first
      frame of all, and where the stream comes back with another size or rate (`changed`).
    - It is completed while the next one is written already, on a thread of its own: that takes seconds for a long
      file, and a live stream does not wait. So a killed process loses the segment it was writing, and the one before
      only where that was not completed yet.
    - Every segment of a file's video begins at 0 or as its inner sink does without a file, and has no sound.

    Args:
        path: with %06d where the number stands; without one, it is put at the end of the name.
        make: the inner sink for the path of one segment.
        resume: a live stream goes on after the last segment that is there; what a killed process left unfinished is
            removed.

    Raises:
        SinkOpenError: from `open`; also where segments exist already, unless `overwrite` or `resume`, and where another
            process writes them.
        SinkWriteError: from `write`, `changed` and `close`; the segments before are kept.
    """

    def __init__(
        self,
        path: str | Path,
        make: Callable[[Path], Sink],
        *,
        seconds: float,
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        super().__init__()
        path = Path(path)
        self.pattern = path if has_number_field(path.name) else path.with_name(f"{path.stem}_%06d{path.suffix}")
        self.seconds, self.overwrite, self.resume = seconds, overwrite, resume
        self._make = make
        self._number = 0
        self._stream: tuple[StreamInfo, ModelInfo] | None = None
        self._sink: Sink | None = None
        self._closing: _Closing | None = None
        self._first: float | None = None
        self._part: int | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._number = self._first_number(info)
        self._stream, self._first = (replace(info, origin=None), model), None
        self._begin()
        if isinstance(self._sink, VideoSink) and info.origin is not None and _has_sound(info.origin):
            self.add_notice("segments have no sound; a file without --segment keeps it")

    def _first_number(self, info: StreamInfo) -> int:
        check_output(self.pattern)
        if self.resume:
            if not info.is_live:
                raise SinkOpenError(
                    f"{info.name} is not live and would begin anew; use --overwrite instead of --resume"
                )
            remove_abandoned_segments(self.pattern)
            return next_number(self.pattern)
        for existing in sorted(find_numbered_files(self.pattern) + find_numbered_files(sidecar_path(self.pattern))):
            if not self.overwrite:
                raise SinkOpenError(
                    f"'{existing}' exists already; use --resume to go on after the last one, --overwrite "
                    "(overwrite=True), or choose another name"
                )
            check_output(existing, overwrite=self.overwrite, origin=info.origin)
        return 0

    def _begin(self) -> None:
        assert self._stream is not None
        sink = self._make(self.pattern.with_name(insert_number(self.pattern.name, self._number)))
        sink.notices = self.notices
        sink.open(*self._stream)
        self._sink, self._part = sink, None

    def write(self, item: DepthFrame) -> None:
        if self._sink is None:
            raise SinkWriteError(f"'{self.pattern}' is not open; call open first")
        if self._first is None:
            self._first = item.frame.time
        part = int((item.frame.time - self._first) // self.seconds)
        if self._part not in (None, part):
            self._roll()
        self._part = part
        self._sink.write(item)

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self._stream is None:
            return
        self._stream = replace(info, origin=None), self._stream[1]
        self._roll()

    def _roll(self) -> None:
        """Begins the next segment, or the same one anew where it has no frames yet."""
        self._end_closing()
        sink, self._sink = self._sink, None
        if sink is not None and self._part is None:
            sink.discard()
        elif sink is not None:
            self._closing = _Closing(sink)
            self._number += 1
        self._begin()

    def _end_closing(self) -> None:
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.wait()

    def close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            self.discard()
            return
        following = self._number + (self._part is not None)
        try:
            self._end_closing()
        finally:
            sink.close()
        if next_number(self.pattern) > following:
            self.add_notice(
                f"older segments stay where they are, from '{insert_number(self.pattern.name, following)}' on"
            )

    def discard(self) -> None:
        """Gives up the segment that is being written; the ones before are complete, and stay."""
        sink, self._sink = self._sink, None
        try:
            self._end_closing()
        except StreamDepthError as error:
            self.add_notice(str(error))
        if sink is not None:
            sink.discard()

    @property
    def bytes_to_finish(self) -> int:
        closing = self._closing.sink.bytes_to_finish if self._closing else 0
        return closing + (self._sink.bytes_to_finish if self._sink else 0)

    @property
    def wants_stop(self) -> bool:
        return self._sink is not None and self._sink.wants_stop


class _Closing:
    """A segment that is being completed on a thread of its own."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._error: BaseException | None = None
        self._worker = WorkerThread("segment", sink.close, self._ended)
        self._worker.start()

    def _ended(self, error: BaseException | None) -> None:
        self._error = error

    def wait(self) -> None:
        """Raises what `close` raised, and StuckThreadError after ten minutes."""
        self._worker.join(time.monotonic() + _LONGEST_CLOSING_SECONDS)
        if self._error is not None:
            raise self._error


def _has_sound(path: Path) -> bool:
    try:
        with av.open(file_url(path), metadata_errors="replace") as container:
            return bool(container.streams.audio)
    except (av.FFmpegError, OSError):  # what is wrong with it, its source says
        return False
