from __future__ import annotations

import math

import pytest

from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, SyntheticSource


@pytest.mark.parametrize(
    ("is_live", "max_frames", "max_seconds", "expected"),
    [
        (False, None, None, 30),
        (False, 10, None, 10),
        (False, 50, 0.5, 15),
        (False, 12, 0.5, 12),
        (False, None, math.inf, 30),
        (True, None, None, None),
        (True, None, 0.5, 15),
        (True, 7, math.inf, 7),
    ],
)
def test_the_number_of_frames_that_a_source_announces(
    is_live: bool, max_frames: int | None, max_seconds: float | None, expected: int | None
) -> None:
    source = SyntheticSource(count=30, is_live=is_live)
    stream = Stream(source, make_stabilizer())
    assert stream.expected_frames(None, None) is None
    stream.set_info(source.open())
    assert stream.expected_frames(max_frames, max_seconds) == expected


def test_a_run_expects_the_frames_of_all_its_streams_or_none() -> None:
    streams = [Stream(SyntheticSource(count=count), make_stabilizer()) for count in (30, 4)]
    pipeline = Pipeline(streams, ConstantEstimator(), max_frames=10)
    streams[0].set_info(streams[0].source.open())
    streams[1].set_info(streams[1].source.open())
    assert pipeline.expected_frames == 14
    live = Stream(SyntheticSource(is_live=True), make_stabilizer())
    live.set_info(live.source.open())
    assert Pipeline([*streams, live], ConstantEstimator()).expected_frames is None
