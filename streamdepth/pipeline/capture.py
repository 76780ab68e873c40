"""The first step of each stream: its source is opened and read, and its states are recorded."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from streamdepth.core.buffer import FrameBuffer
from streamdepth.core.errors import ConfigError
from streamdepth.core.states import StateChange, StreamState
from streamdepth.core.types import Frame
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import CapturedFrame, Stream
from streamdepth.utils.redact import redact_text

_log = logging.getLogger(__name__)

_INTERRUPT_POLL_SECONDS = 0.2


class Capture:
    """Reads the frames of one stream into a buffer.

    Args:
        stream_index: the stream's number in the pipeline.
        stream: the stream.
        stats: gets the number of frames and the time it takes to read them.
        max_frames: ends the stream after so many frames.
        max_seconds: ends the stream after so much time of the source's clock.
    """

    def __init__(
        self, stream_index: int, stream: Stream, stats: Stats, *, max_frames: int | None, max_seconds: float | None
    ) -> None:
        self.stream_index, self.stream, self._stats = stream_index, stream, stats
        self._max_frames, self._max_seconds = max_frames, max_seconds
        self._count = 0
        self._first_time: float | None = None
        """The source's clock at the first frame, in seconds."""
        self._offset: tuple[int, int] | None = None
        """Index and pts of the first frame of a source that drops unread frames."""
        stream.source.states.add_listener(self._log_change)

    def _log_change(self, change: StateChange) -> None:
        is_trouble = change.state in (StreamState.STALLED, StreamState.RECONNECTING)
        reason = f": {change.reason}" if change.reason else ""
        _log.log(logging.WARNING if is_trouble else logging.INFO, "%s %s%s", self.stream.title, change.state, reason)

    def open(self, *, wait: bool = False) -> bool:
        """Opens the source; with `wait`, one that may come later. Returns False if interrupted meanwhile.

        Raises SourceError, and ConfigError (code `offline-on-live`) for a live stream with a stabilizer for files.
        """
        source = self.stream.source
        source.states.enter(StreamState.CONNECTING)
        try:
            info = source.wait_until_open() if wait else source.open()
            if info is None:
                return False
            self.stream.set_info(info)
            self._check_stabilizer()
        except Exception as error:
            self.end(error)
            raise
        return True

    def _check_stabilizer(self) -> None:
        if self.stream.is_live and self.stream.stabilizer.is_offline:
            raise ConfigError(
                f"'{self.stream.title}' is live, and offline smoothing and the range per-shot are for files; use "
                "smooth default and range auto",
                code="offline-on-live",
            )

    def run(self, buffer: FrameBuffer[CapturedFrame], model_is_ready: threading.Event) -> None:
        """Reads until the end, a limit, or until `buffer` is closed. Raises SourceError.

        A live stream begins when the model is ready: frames before that are discarded, so that its first frame is
        fresh. They are not counted and leave no gap: numbers and times begin with that first frame.
        """
        frame = self._wait_for_model(model_is_ready) if self.stream.needs_low_latency else None
        while self._count != self._max_frames:
            began = time.monotonic()
            frame = frame or self.stream.source.read()
            if frame is None or self._is_past_the_end(frame):
                return
            self._stats.durations["decode"].add(time.monotonic() - began)
            self.stream.source.states.enter(StreamState.LIVE)
            if changed := self.stream.source.take_changed_info():
                self.stream.set_info(changed)
            self._count += 1
            self._stats.count("read", stream_index=self.stream_index)
            if not self._put(buffer, frame):
                self._stats.count("stopped", stream_index=self.stream_index)
                return
            frame = None

    def _put(self, buffer: FrameBuffer[CapturedFrame], frame: Frame) -> bool:
        assert self.stream.info is not None
        if self._offset is not None and any(self._offset):
            index, pts = self._offset
            frame = replace(frame, index=frame.index - index, pts=frame.pts - pts)
        return buffer.put(CapturedFrame(self.stream_index, frame, self.stream.info), self.stream_index)

    def _is_past_the_end(self, frame: Frame) -> bool:
        """True if `max_seconds` have passed since the first frame, which is remembered here."""
        if self._first_time is None:
            self._first_time = frame.time
            self._offset = (frame.index, frame.pts) if self.stream.source.drops_unread_frames else None
        return self._max_seconds is not None and frame.time - self._first_time >= self._max_seconds

    def _wait_for_model(self, model_is_ready: threading.Event) -> Frame | None:
        """Waits for the model; a source that drops unread frames is read meanwhile, and its fresh frame returned."""
        source = self.stream.source
        while source.drops_unread_frames and not model_is_ready.is_set():
            frame = source.read()
            if frame is None or model_is_ready.is_set():
                return frame
        while not (model_is_ready.wait(_INTERRUPT_POLL_SECONDS) or source.interrupted.is_set()):
            pass
        return None

    def end(self, error: BaseException | None) -> None:
        """Records how the stream ended: regularly, or with an error."""
        state = StreamState.FAILED if error else StreamState.ENDED
        self.stream.source.states.enter(state, redact_text(str(error)) if error else "")
