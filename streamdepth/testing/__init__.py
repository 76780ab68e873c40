"""Fakes for tests of programs that use streamdepth, and for its own.

A scene with exact depth, a model without weights, a sink that remembers everything, and variants that fail on purpose.
They are configured by arguments; a callback such as `before_read` may wait for an event or raise an error.
"""

from streamdepth.testing.estimators import ConstantEstimator, FailingEstimator
from streamdepth.testing.sinks import FailingSink, RecordingSink
from streamdepth.testing.sources import FailingSource, SyntheticSource

__all__ = [
    "ConstantEstimator",
    "FailingEstimator",
    "FailingSink",
    "FailingSource",
    "RecordingSink",
    "SyntheticSource",
]
