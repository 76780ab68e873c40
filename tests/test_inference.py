"""What the worker between inbox and outlets does with models that return before the work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from streamdepth.pipeline import Pipeline, Stream
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource
from streamdepth.types import Estimate, Frame


class Asynchronous(ConstantEstimator):
    """Tells when work was begun and when it was asked for, by the first frame's index."""

    def __init__(self, at_once: int = 2) -> None:
        super().__init__()
        self.events: list[tuple[str, int]] = []
        self._at_once = at_once

    @property
    def at_once(self) -> int:
        return self._at_once

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        index = frames[0].index
        self.events.append(("begun", index))

        def wait() -> list[Estimate]:
            self.events.append(("done", index))
            return self.estimate(frames)

        return wait

    @property
    def most_under_way(self) -> int:
        most = under_way = 0
        for what, _ in self.events:
            under_way += 1 if what == "begun" else -1
            most = max(most, under_way)
        return most


def _run(source: SyntheticSource, estimator: ConstantEstimator, batch: int = 1) -> list[int]:
    sink = RecordingSink()
    Pipeline([Stream(source, make_stabilizer("off"), [sink])], estimator, batch=batch).run()
    return [item.frame.index for item in sink.items]


@pytest.mark.parametrize(("batch", "at_once"), [(1, 2), (4, 2), (1, 3)])
def test_a_file_has_the_next_batches_begun_before_the_last_is_asked_for(batch: int, at_once: int) -> None:
    estimator = Asynchronous(at_once)
    assert _run(SyntheticSource(count=22), estimator, batch) == list(range(22))
    assert [index for what, index in estimator.events if what == "done"] == list(range(0, 22, batch))
    assert estimator.most_under_way == at_once
    assert [len(b) for b in estimator.batches] == [batch] * (22 // batch) + [22 % batch] * bool(22 % batch)


def test_a_live_frame_is_taken_when_the_model_is_free_and_not_before() -> None:
    estimator = Asynchronous()
    indices = _run(SyntheticSource(count=40, is_live=True, delay_seconds=0.001), estimator)
    assert indices == sorted(set(indices))
    assert indices[-1] == 39
    assert estimator.most_under_way == 1


def test_a_model_that_remembers_sees_a_frame_after_the_one_before_was_handed_on() -> None:
    estimator = Asynchronous(at_once=1)
    assert _run(SyntheticSource(count=9), estimator) == list(range(9))
    assert estimator.events == [(what, i) for i in range(9) for what in ("begun", "done")]
