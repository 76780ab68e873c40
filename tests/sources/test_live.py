"""States and reconnects of LiveSource, with scripted connections."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.buffer import FrameBuffer
from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import StreamInfo
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.sources import live
from streamdepth.sources.decoder import DecodedFrame
from streamdepth.sources.live import LiveSource
from streamdepth.sources.pausable import PausableSource
from streamdepth.sources.realtime import RealtimeSource
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink
from streamdepth.utils.backoff import Backoff

MS = Fraction(1, 1000)


class FakeConnection:
    """Gives `count` frames, then calls `on_empty`, and ends unless that has added to `remaining`."""

    def __init__(
        self,
        count: int = 3,
        on_empty: Callable[[], None] = lambda: None,
        *,
        size: tuple[int, int] = (8, 6),
        fps: int = 100,
        failure: Exception | None = None,
    ) -> None:
        self.remaining, self.on_empty, self.size, self.fps, self.failure = count, on_empty, size, fps, failure
        self.closed = threading.Event()

    def read(self) -> DecodedFrame | None:
        if not self.remaining:
            self.on_empty()
        if not self.remaining:
            return None
        self.remaining -= 1
        width, height = self.size
        return DecodedFrame(np.zeros((height, width, 3), np.uint8), None, MS, time.monotonic())

    def close(self) -> None:
        self.closed.set()


class ScriptedSource(LiveSource[FakeConnection]):
    """A source whose attempts to connect follow a script of connections and errors; the last one repeats."""

    permanent: tuple[type[Exception], ...] = ()

    def __init__(
        self, *script: FakeConnection | Exception, timeout_seconds: float = 0.3, reconnect_seconds: float = 20.0
    ) -> None:
        super().__init__("scripted", timeout_seconds=timeout_seconds, reconnect_seconds=reconnect_seconds)
        self.script = list(script)

    def _connect(self) -> FakeConnection:
        what = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(what, Exception):
            raise what
        return what

    def _stream_info(self, connection: FakeConnection) -> StreamInfo:
        return StreamInfo(self.name, *connection.size, fps=Fraction(connection.fps), is_live=True, time_base=MS)

    def _is_permanent(self, error: Exception, attempts: int) -> bool:
        return isinstance(error, self.permanent)

    def _explain(self, error: Exception) -> str:
        return str(error)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes waits as short as jitter may make them, and grace times short."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    monkeypatch.setattr(live, "_GRACE_SECONDS", 0.2)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event for connections that hang; it is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def states(source: LiveSource[FakeConnection]) -> list[str]:
    return [change.state.value for change in source.states.changes]


def read(source: LiveSource[FakeConnection], count: int) -> list[float]:
    times = []
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        times.append(frame.time)
    return times


def source_with_one_short_timeout(*script: FakeConnection) -> ScriptedSource:
    """Returns a source whose timeout is long again after a loss, so that a test may shorten it for one connection."""
    source = ScriptedSource(*script, timeout_seconds=30)
    source.states.add_listener(
        lambda change: setattr(source, "timeout_seconds", 30) if change.state == "reconnecting" else None
    )
    return source


def test_a_stream_that_ends_comes_back_and_its_clock_goes_on() -> None:
    away = SourceOpenError("not yet")
    source = ScriptedSource(FakeConnection(), away, away, FakeConnection(10))
    source.open()
    times = read(source, 8)
    assert times == sorted(set(times))
    assert states(source) == ["closed", "connecting", "live", "reconnecting", "live"]
    assert source.reconnects == 1
    assert source.states.changes[3].reason == "the stream ended"
    source.close()
    assert source.state.value == "ended"
    assert source.read() is None


def test_a_loss_is_entered_with_its_reason() -> None:
    source = ScriptedSource(FakeConnection(failure=OSError("the cable broke")), FakeConnection(10))
    source.open()
    read(source, 5)
    assert source.states.changes[3].reason == "the cable broke"
    source.close()


def test_a_permanent_error_fails_at_once() -> None:
    source = ScriptedSource(FakeConnection(), SourceOpenError("wrong password"))
    source.permanent = (SourceOpenError,)
    source.open()
    with raises_code(SourceLostError, "source-lost", naming="3 frames.*wrong password"):
        read(source, 4)
    assert states(source)[-2:] == ["reconnecting", "failed"]
    assert source.read() is None


def test_attempts_end_after_the_limit() -> None:
    source = ScriptedSource(FakeConnection(), SourceOpenError("away"), reconnect_seconds=0.2)
    source.open()
    with raises_code(SourceLostError, "source-lost", naming=r"0\.2 seconds \(\d+ attempts\): away"):
        read(source, 4)
    assert source.state.value == "failed"
    assert "away" in source.states.current.reason


def test_never_reconnect() -> None:
    source = ScriptedSource(FakeConnection(), FakeConnection(), reconnect_seconds=0)
    source.open()
    with raises_code(SourceLostError, "source-lost"):
        read(source, 4)


def test_a_reader_that_takes_long_to_end_after_an_error_is_not_taken_for_one_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close = FrameBuffer.close

    def close_slowly(self: FrameBuffer[object], *how: object) -> None:
        close(self, *how)  # type: ignore[arg-type]
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.05)

    monkeypatch.setattr(FrameBuffer, "close", close_slowly)
    monkeypatch.setattr(live, "_GRACE_SECONDS", 30)
    source = ScriptedSource(SourceOpenError("no"))
    with pytest.raises(SourceOpenError, match="no"):
        source.open()
    assert source.states.abandoned_readers == 0


@pytest.mark.parametrize("error", [SourceOpenError("no"), SourceTimeoutError("late")])
def test_a_first_connection_that_fails_is_an_error_at_once(error: SourceError) -> None:
    source = ScriptedSource(error)
    with pytest.raises(type(error), match=str(error)):
        source.open()
    assert states(source) == ["closed", "connecting", "failed"]
    assert source.read() is None


def test_a_camera_that_comes_later_is_waited_for() -> None:
    source = ScriptedSource(SourceOpenError("away"), SourceOpenError("away"), SourceOpenError("busy"), FakeConnection())
    info = source.wait_until_open()
    assert info is not None
    read(source, 3)
    assert [(c.state.value, c.reason) for c in source.states.changes[1:]] == [
        ("connecting", ""),
        ("connecting", "away"),
        ("live", ""),
    ]
    assert source.reconnects == 0
    source.close()


def test_waiting_for_a_camera_ends_by_refusal_by_the_limit_or_by_interruption() -> None:
    refused = ScriptedSource(SourceOpenError("wrong password"))
    refused.permanent = (SourceOpenError,)
    with raises_code(SourceOpenError, "source-open", naming="wrong password"):
        refused.wait_until_open()
    never = ScriptedSource(SourceOpenError("away"), reconnect_seconds=0.2)
    with raises_code(SourceOpenError, "source-open", naming=r"0\.2 seconds \(\d+ attempts\): away"):
        never.wait_until_open()
    assert (never.state.value, refused.state.value) == ("failed", "failed")
    waiting = ScriptedSource(SourceOpenError("away"), reconnect_seconds=60)
    timer = threading.Timer(0.1, waiting.interrupt)
    timer.start()
    assert waiting.wait_until_open() is None
    timer.join()
    waiting.close()
    assert waiting.state.value == "ended"


def test_an_interruption_before_opening_holds() -> None:
    source = ScriptedSource(SourceOpenError("away"), reconnect_seconds=math.inf)
    for _ in range(2):
        source.interrupt()
        with raises_code(SourceOpenError, "interrupted"):
            source.open()
        assert source.wait_until_open() is None
        source.close()


def pipeline_of(*sources: Source, waits: bool = False) -> Pipeline:
    streams = [Stream(source, make_stabilizer(), [RecordingSink()]) for source in sources]
    return Pipeline(streams, ConstantEstimator(), wait_for_sources=waits)


@pytest.mark.parametrize(
    "wrap", [lambda source: source, lambda source: PausableSource(RealtimeSource(source), lambda: False)]
)
def test_stopping_before_the_run_ends_it_though_no_camera_is_there(wrap: Callable[[Source], Source]) -> None:
    """Ctrl-C stops a pipeline while its model loads."""
    pipeline = pipeline_of(wrap(ScriptedSource(SourceOpenError("away"), reconnect_seconds=math.inf)), waits=True)
    pipeline.stop()
    assert pipeline.run().read == 0


def test_stopping_while_sources_are_opened_opens_no_more_of_them(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [ScriptedSource(FakeConnection(), timeout_seconds=60) for _ in range(3)]
    asked: list[ScriptedSource] = []
    pipeline = pipeline_of(*silent)

    def hang(source: ScriptedSource) -> FakeConnection:
        asked.append(source)
        pipeline.stop()
        released.wait(60)
        return FakeConnection()

    monkeypatch.setattr(ScriptedSource, "_connect", hang)
    with raises_code(SourceOpenError, "interrupted"):
        pipeline.run()
    assert asked == silent[:1]
    assert [source.state.value for source in silent] == ["failed", "ended", "ended"]
    released.set()


def test_the_states_of_a_run_are_recorded() -> None:
    source = ScriptedSource(FakeConnection(10), reconnect_seconds=0)
    with pytest.raises(SourceLostError):
        pipeline_of(source).run()
    assert states(source) == ["closed", "connecting", "live", "failed"]


@pytest.mark.slow
def test_a_stall_is_noticed_and_passes() -> None:
    """Two intervals and a second pass without a frame, and the longer timeout does not."""
    stalled, connection = threading.Event(), FakeConnection(3)

    def wait() -> None:
        assert stalled.wait(20)
        connection.remaining = 5

    connection.on_empty = wait
    source = ScriptedSource(connection, timeout_seconds=15)
    source.states.add_listener(lambda change: stalled.set() if change.state == "stalled" else None)
    source.open()
    read(source, 5)
    assert states(source) == ["closed", "connecting", "live", "stalled", "live"]
    assert source.reconnects == 0
    source.close()


def test_an_error_that_comes_as_a_stall_is_noticed_is_raised(released: threading.Event) -> None:
    source = ScriptedSource(FakeConnection(on_empty=lambda: released.wait(60)))  # type: ignore[arg-type,return-value]
    source.open()
    read(source, 3)
    assert source._reader is not None
    frames = source._reader._frames
    take = frames.take

    def taken_just_before(**how: float) -> list[DecodedFrame]:
        items = take(**how)
        frames.close(SourceLostError("the picture cannot be converted"))
        released.set()
        return items

    frames.take = taken_just_before  # type: ignore[method-assign,assignment]
    with pytest.raises(SourceLostError, match="cannot be converted"):
        source.read()
    assert source.reconnects == 0


def test_a_reader_that_hangs_is_abandoned_and_counted(released: threading.Event) -> None:
    hung = FakeConnection(on_empty=lambda: released.wait(60))  # type: ignore[arg-type,return-value]
    source = source_with_one_short_timeout(hung, FakeConnection(10))
    source.open()
    read(source, 3)
    source.timeout_seconds = 0.3
    read(source, 3)
    assert states(source) == ["closed", "connecting", "live", "stalled", "reconnecting", "live"]
    assert source.states.abandoned_readers == 1
    source.close()
    assert not hung.closed.is_set()
    released.set()
    assert hung.closed.wait(20), "the thread that comes back closes its connection and ends"


def test_opening_that_hangs_is_abandoned(released: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ScriptedSource(FakeConnection())
    monkeypatch.setattr(ScriptedSource, "_connect", lambda self: released.wait(60) and FakeConnection())
    with raises_code(SourceTimeoutError, "source-timeout"):
        source.open()
    assert source.states.abandoned_readers == 1


def test_each_failure_leaves_one_thread_at_most(released: threading.Event) -> None:
    connections = [FakeConnection(on_empty=lambda: released.wait(60)) for _ in range(3)]  # type: ignore[arg-type,return-value]
    source = source_with_one_short_timeout(*connections, FakeConnection(5))
    before = threading.active_count()
    source.open()
    for _ in connections:
        read(source, 3)
        source.timeout_seconds = 0.05
    read(source, 3)
    assert source.states.abandoned_readers == 3
    assert threading.active_count() - before <= 4
    source.close()


def test_another_size_is_reported_once_with_its_first_frame() -> None:
    source = ScriptedSource(FakeConnection(2), FakeConnection(2), FakeConnection(10, size=(16, 12)))
    info = source.open()
    read(source, 4)
    assert source.take_changed_info() is None
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (12, 16, 3)
    changed = source.take_changed_info()
    assert changed is not None
    assert (changed.width, changed.height, changed.time_base, changed.is_live) == (16, 12, info.time_base, True)
    read(source, 2)
    assert source.take_changed_info() is None
    source.close()


@pytest.mark.parametrize(("fps", "is_reported"), [(104, False), (50, True)])
def test_another_rate_is_reported_unless_it_is_nearly_the_same(fps: int, is_reported: bool) -> None:
    source = ScriptedSource(FakeConnection(2), FakeConnection(10, fps=fps))
    source.open()
    read(source, 3)
    assert bool(source.take_changed_info()) is is_reported
    source.close()


def test_interrupt_ends_a_wait_for_a_picture_and_one_for_a_connection(released: threading.Event) -> None:
    away = SourceOpenError("away")
    for source in (
        ScriptedSource(FakeConnection(on_empty=lambda: released.wait(60)), timeout_seconds=60),  # type: ignore[arg-type,return-value]
        ScriptedSource(FakeConnection(), away, reconnect_seconds=60),
    ):
        source.open()
        read(source, 3)
        timer = threading.Timer(0.2, source.interrupt)
        timer.start()
        assert source.read() is None
        timer.join()
        source.close()


def test_waits_double_with_full_jitter_up_to_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: asked.append((low, high)) or low)
    backoff = Backoff()
    for _ in range(8):
        backoff.next_wait_seconds()
    assert asked == [(0, 0.5), (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 30), (0, 30)]
    for seconds in (0.9, 9.9, 10.0):
        backoff.note_connection(seconds)
        asked.clear()
        backoff.next_wait_seconds()
        backoff.next_wait_seconds()
        assert [longest for _, longest in asked] == {0.9: [30, 30], 9.9: [0.5, 30], 10.0: [0.5, 1]}[seconds]


def test_a_stream_that_comes_and_goes_is_asked_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: asked.append(high) or low)
    source = ScriptedSource(*[FakeConnection(1) for _ in range(5)])
    source.open()
    read(source, 5)
    assert asked == [0.5, 1, 2, 4]
    source.close()
