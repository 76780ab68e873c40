"""Endless recording in segments: a new file after a given number of seconds, each complete by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av

from streamdepth.core.errors import SinkOpenError, StreamDepthError
from streamdepth.core.sink import Sink
from streamdepth.core.threads import WorkerThread
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.core.wording import switch
from streamdepth.core.wrappers import WrappedSink
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.temporary_files import remove_abandoned_segments, sidecar_path
from streamdepth.sinks.video import VideoSink
from streamdepth.utils.containers import open_media_file
from streamdepth.utils.numbering import find_numbered_files, has_number_field, insert_number, next_number

_COMPLETION_TIMEOUT_SECONDS = 600.0


class SegmentedSink(WrappedSink):
    """Writes NAME_000000.mp4, NAME_000001.mp4 and so on, each by an inner sink of its own.

        sink = SegmentedSink("cam.mp4", VideoSink, seconds=600)

    - A segment ends with the first frame that is later than `seconds` on the source's clock, counted from the very
      first frame, and where the stream comes back with another size or rate.
    - A segment is completed on a thread of its own while the next one is already being written, since that takes
      seconds for a long file, and a live stream does not wait. A killed process loses the segment that it was writing,
      and the one before only if that was not complete yet.
    - Segments of a file's video begin at 0, and have no sound.

    Args:
        path: with %06d where the number is to stand; without it, the number is put at the end of the name.
        make: makes the inner sink for the path of one segment.
        resume: continues a live stream's recording after its last segment; unfinished files of killed processes are
            removed.

    Raises:
        SinkOpenError: from `open`; also where segments exist already ("exists"), unless `overwrite` or `resume`, and
            where another process writes them ("in-use").
        SinkWriteError: from `write`, `on_stream_changed` and `close`; the segments before are kept.
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
        """The number of the segment being written."""
        self._stream: tuple[StreamInfo, ModelInfo] | None = None
        self._completion: _Completion | None = None
        self._first_time: float | None = None
        self._interval: int | None = None
        """The interval of `seconds` that the current segment's frames lie in; None before its first frame."""

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._number = self._first_number(info)
        self._stream, self._first_time = (replace(info, file_path=None, track_feed=None), model), None
        self._open_segment()
        if isinstance(self.inner, VideoSink) and _has_sound(info):
            self.add_notice("segments have no sound; a file without --segment keeps it")

    def _first_number(self, info: StreamInfo) -> int:
        check_output(self.pattern)
        if self.resume:
            if not info.is_live:
                raise SinkOpenError(
                    f"{info.name} is not live and would begin anew; use {switch('--overwrite')} instead of "
                    f"{switch('--resume')}",
                    code="not-live",
                )
            remove_abandoned_segments(self.pattern)
            return next_number(self.pattern)
        for existing in sorted(find_numbered_files(self.pattern) + find_numbered_files(sidecar_path(self.pattern))):
            if not self.overwrite:
                raise SinkOpenError(
                    f"'{existing}' exists already; use {switch('--resume')} to go on after the last one, "
                    f"{switch('--overwrite')}, or choose another name",
                    code="exists",
                )
            check_output(existing, overwrite=self.overwrite, input_path=info.file_path)
        return 0

    def check(self) -> None:
        self._make(self.pattern).check()

    def _open_segment(self) -> None:
        assert self._stream is not None
        self.inner, self._interval = None, None
        self.set_inner(self._make(self.pattern.with_name(insert_number(self.pattern.name, self._number))))
        super().on_open(*self._stream)

    def on_write(self, item: DepthFrame) -> None:
        if self._first_time is None:
            self._first_time = item.frame.time
        interval = int((item.frame.time - self._first_time) // self.seconds)
        if self._interval not in (None, interval):
            self._begin_next_segment()
        self._interval = interval
        super().on_write(item)

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self._stream is None:
            return
        self._stream = replace(info, file_path=None, track_feed=None), self._stream[1]
        self._begin_next_segment()

    def _begin_next_segment(self) -> None:
        """Begins the next segment, or the current one anew if it has no frames yet."""
        self._wait_for_completion()
        inner = self.inner
        if inner is not None and self._interval is None:
            inner.discard()
        elif inner is not None:
            self._completion = _Completion(inner)
            self._number += 1
        self._open_segment()

    def _wait_for_completion(self) -> None:
        completion, self._completion = self._completion, None
        if completion is not None:
            completion.wait()

    def on_close(self) -> None:
        following = self._number + (self._interval is not None)
        try:
            self._wait_for_completion()
        finally:
            super().on_close()
        if next_number(self.pattern) > following:
            self.add_notice(
                f"older segments stay where they are, from '{insert_number(self.pattern.name, following)}' on"
            )

    def on_discard(self) -> None:
        """Discards the segment that is being written; earlier ones are complete and are kept."""
        try:
            self._wait_for_completion()
        except StreamDepthError as error:
            self.add_notice(str(error))
        super().on_discard()

    @property
    def bytes_to_finish(self) -> int:
        completing = self._completion.sink.bytes_to_finish if self._completion else 0
        return completing + super().bytes_to_finish


class _Completion:
    """The completion of a segment on a thread of its own."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._error: BaseException | None = None
        self._worker = WorkerThread("segment", sink.close, self._on_end)
        self._worker.start()

    def _on_end(self, error: BaseException | None) -> None:
        self._error = error

    def wait(self) -> None:
        """Waits for the end. Raises what `close` raised, and StuckThreadError after ten minutes."""
        self._worker.join(time.monotonic() + _COMPLETION_TIMEOUT_SECONDS)
        if self._error is not None:
            raise self._error


def _has_sound(info: StreamInfo) -> bool:
    if info.file_path is None:
        return info.track_feed is not None and info.track_feed.has_tracks
    try:
        with open_media_file(info.file_path) as container:
            return bool(container.streams.audio)
    except (av.FFmpegError, OSError):  # the source reports what is wrong with the file
        return False
