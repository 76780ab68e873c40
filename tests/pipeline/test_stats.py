from __future__ import annotations

import json

import numpy as np
import pytest

from streamdepth.pipeline.report import Report
from streamdepth.pipeline.stats import Histogram, Stats


def test_percentiles_are_those_of_the_samples() -> None:
    samples = np.random.default_rng(0).lognormal(-4, 1, 5000)
    histogram = Histogram()
    for seconds in samples:
        histogram.add(seconds)
    for percent in (50, 95, 99):
        assert histogram.percentile(percent) == pytest.approx(np.percentile(samples, percent), rel=0.03)


def test_nothing_timed_is_nothing_said() -> None:
    assert Histogram().percentile(50) is None
    assert Stats().latency_ms() == {}


def test_extremes_do_not_fail() -> None:
    histogram = Histogram()
    for seconds in (0.0, -1.0, 1e-9, 1e9):
        histogram.add(seconds)
    assert histogram.percentile(1) == pytest.approx(1e-6, rel=0.05)


def test_a_report_is_json() -> None:
    report = Report(read=3, written=2, dropped={"undecodable": 1}, latency_ms={"infer": {"p50": 1.0}})
    assert json.loads(json.dumps(report.as_json()))["dropped"] == {"undecodable": 1}
