"""The base classes: what a stage gets from them without writing it itself."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import NoReturn

import numpy as np
import pytest

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, Frame, ModelInfo, StreamInfo
from streamdepth.core.wrappers import LazyEstimator, WrappedSink, WrappedSource
from streamdepth.testing import ConstantEstimator, FailingSink, RecordingSink, SyntheticSource

INFO, MODEL = StreamInfo("a", 64, 48), ModelInfo("m", DepthKind.RELATIVE)
FRAME = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0, Fraction(1), 0.0)
ITEM = DepthFrame(FRAME, np.ones((24, 32), np.float32), DepthKind.RELATIVE)


def write_one(sink: Sink) -> None:
    sink.open(INFO, MODEL)
    sink.write(ITEM)
    sink.close()


class TestSink:
    def test_it_is_open_between_open_and_close(self) -> None:
        sink = RecordingSink()
        states = [sink.is_open]
        sink.open(INFO, MODEL)
        states.append(sink.is_open)
        sink.close()
        assert [*states, sink.is_open] == [False, True, False]

    def test_writing_before_open_and_after_close_is_an_error(self) -> None:
        sink = RecordingSink()
        for action in (lambda: None, lambda: (sink.open(INFO, MODEL), sink.close())):
            action()
            with pytest.raises(SinkWriteError) as error:
                sink.write(ITEM)
            assert error.value.code == "not-open"

    def test_close_and_discard_are_idempotent_and_only_the_first_counts(self) -> None:
        sink = RecordingSink()
        sink.close()
        sink.discard()
        assert (sink.closed, sink.discarded) == (False, False)
        sink.open(INFO, MODEL)
        sink.close()
        sink.discard()
        assert (sink.closed, sink.discarded) == (True, False)

    @pytest.mark.parametrize("fail_at", ["open", 0, "close"])
    def test_a_failure_discards_the_output(self, fail_at) -> None:
        sink = FailingSink(fail_at)
        with pytest.raises((SinkOpenError, SinkWriteError)):
            write_one(sink)
        assert sink.discarded
        assert not sink.is_open

    def test_a_failure_of_discarding_hides_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        class Stubborn(FailingSink):
            def on_discard(self) -> NoReturn:
                raise RuntimeError("cannot discard")

        sink = Stubborn(0)
        sink.open(INFO, MODEL)
        with pytest.raises(SinkWriteError):
            sink.write(ITEM)
        assert "cannot discard" in caplog.text

    @pytest.mark.parametrize("error", [None, ValueError("mine")])
    def test_it_is_a_context_manager(self, error: Exception | None) -> None:
        sink = RecordingSink()
        try:
            with sink:
                sink.open(INFO, MODEL)
                sink.write(ITEM)
                if error:
                    raise error
        except ValueError:
            assert error is not None
        assert (sink.closed, sink.discarded) == (error is None, error is not None)

    def test_one_hook_makes_a_sink(self) -> None:
        class Counter(Sink):
            count = 0

            def on_write(self, item: DepthFrame) -> None:
                self.count += 1

        with Counter() as sink:
            sink.open(INFO, MODEL)
            sink.write(ITEM)
            sink.on_idle()
        assert sink.count == 1


class TestWrappedSink:
    def test_it_overrides_every_hook_and_property_of_a_sink(self) -> None:
        finished = {"open", "write", "close", "discard", "is_open", "is_complete", "add_notice"}
        names = {name for name, _ in inspect.getmembers(Sink) if not name.startswith("_")}
        attributes = {"can_drop_frames", "needs_calling_thread"}
        assert names - finished - attributes <= set(vars(WrappedSink))

    def test_it_forwards_everything(self) -> None:
        stalls: list[float] = []
        inner = RecordingSink(
            can_drop_frames=True,
            needs_calling_thread=True,
            stop_after=1,
            on_stall=lambda _, seconds: stalls.append(seconds),
        )
        sink = WrappedSink(inner)
        assert (sink.can_drop_frames, sink.needs_calling_thread, sink.wants_stop) == (True, True, False)
        sink.open(INFO, MODEL)
        sink.on_stream_changed(INFO)
        sink.write(ITEM)
        sink.on_stalled(ITEM, 2.0)
        sink.on_idle()
        inner.add_notice("look")
        assert (inner.info, inner.model, inner.items) == (INFO, MODEL, [ITEM])
        assert (inner.changes, stalls, inner.idle_count) == ([(0, INFO)], [2.0], 1)
        assert (sink.wants_stop, sink.bytes_to_finish, sink.notices) == (True, 0, ["look"])
        sink.close()
        assert (inner.closed, inner.discarded) == (True, False)

    def test_it_discards_when_the_other_fails(self) -> None:
        inner = FailingSink(0)
        sink = WrappedSink(inner)
        sink.open(INFO, MODEL)
        with pytest.raises(SinkWriteError):
            sink.write(ITEM)
        assert inner.discarded
        assert not sink.is_open


def test_a_wrapped_source_reads_the_other_and_shares_its_counters() -> None:
    inner = SyntheticSource(count=2, sizes={1: (32, 24)})
    with WrappedSource(inner) as source:
        assert source.open() == inner.info
        assert [source.read().index, source.read().index, source.read()] == [0, 1, None]
        assert source.take_changed_info().width == 32
        assert source.undelivered is inner.undelivered
        source.interrupt()
        assert inner.interrupted.is_set()
    assert not inner.is_open


def test_a_lazy_estimator_loads_once_at_its_first_use_and_closes_what_it_has_loaded() -> None:
    loaded: list[ConstantEstimator] = []

    def load() -> ConstantEstimator:
        loaded.append(ConstantEstimator())
        return loaded[-1]

    with LazyEstimator(load) as estimator:
        estimator.close()
        assert not loaded
        assert estimator.submit([FRAME]).result()[0].depth.shape == (24, 32)
        assert estimator.info.name == "constant"
        assert estimator.loaded() is loaded[0]
    assert len(loaded) == 1
    assert loaded[0].closed
