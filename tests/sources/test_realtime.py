"""RealtimeSource: frames come no sooner than their timestamps say."""

from __future__ import annotations

import threading
import time

from streamdepth.sources.realtime import RealtimeSource
from streamdepth.testing import SyntheticSource


def test_a_file_takes_as_long_as_it_plays() -> None:
    source = RealtimeSource(SyntheticSource(count=10))
    assert source.open().is_live
    began = time.monotonic()
    frames = list(iter(source.read, None))
    assert time.monotonic() - began >= 9 / 30
    assert all(time.monotonic() - f.captured_at < 10 for f in frames)
    assert [f.index for f in frames] == list(range(10))


def test_what_may_not_be_dropped_is_no_live_stream() -> None:
    assert not RealtimeSource(SyntheticSource(count=10), may_drop=False).open().is_live
    assert RealtimeSource(SyntheticSource(count=10, is_live=True), may_drop=False).open().is_live


def test_a_live_source_keeps_its_own_pace() -> None:
    source = RealtimeSource(SyntheticSource(count=3000, is_live=True))
    source.open()
    began = time.monotonic()
    assert len(list(iter(source.read, None))) == 3000
    assert time.monotonic() - began < 90


def test_waiting_can_be_interrupted() -> None:
    class Slow(SyntheticSource):
        def read(self):
            self.index += 30 * 60 * (self.index > 0)
            return super().read()

    source = RealtimeSource(Slow(count=10_000))
    source.open()
    source.read()
    threading.Timer(0.1, source.interrupt).start()
    began = time.monotonic()
    assert source.read() is not None
    assert time.monotonic() - began < 30
