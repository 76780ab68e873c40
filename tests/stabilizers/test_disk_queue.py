"""The queue on disk of late stabilizers."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, ramp
from helpers.errors import raises_code

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import TwoSidedFilter
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.testing import SyntheticSource


def test_a_full_disk_is_an_error_that_names_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with raises_code(SinkWriteError, "temporary-storage", naming="TMPDIR"):
        list(TwoSidedFilter().push(depth_frame(0.0, ramp())))


def test_a_disk_queue_that_is_opened_again_and_again_leaves_nothing_behind() -> None:
    def live_finalizers() -> int:
        return sum(type(thing) is weakref.finalize and thing.alive for thing in gc.get_objects())

    queue, before = DiskQueue(), live_finalizers()
    source = SyntheticSource(count=20)
    source.open()
    for frame in iter(source.read, None):
        item = queue.put(DepthFrame(frame, np.ones((2, 2), np.float32), DepthKind.RELATIVE))
        np.testing.assert_array_equal(queue.take(item).frame.image, source.image_at(frame.index))
    assert live_finalizers() == before


@pytest.mark.parametrize("with_depth", [False, True])
def test_depth_and_its_confidence_come_back_as_they_were(with_depth: bool) -> None:
    items = [depth_frame(i / 10, ramp(i + 1)) for i in range(4)]
    items = [replace(item, confidence=item.depth / 9) if i % 2 else item for i, item in enumerate(items)]
    queue = DiskQueue(with_depth=with_depth)
    waiting = [queue.put(item) for item in items]
    for item, found in zip(items, map(queue.take, waiting), strict=True):
        np.testing.assert_array_equal(found.depth, item.depth)
        assert (found.confidence is None) == (item.confidence is None)
        if item.confidence is not None:
            np.testing.assert_array_equal(found.confidence, item.confidence)
    assert queue.bytes_stored == 0
