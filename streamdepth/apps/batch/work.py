"""One file of a fleet, from its input to its outputs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import SourceError, StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthFrame
from streamdepth.pipeline.stats import Report
from streamdepth.sinks.temporary import remove_leftovers
from streamdepth.utils.redact import redact_text

_log = logging.getLogger(__name__)

Moved = Callable[[float], None]
"""Gets the share of a file that is done, 0 to 1, again and again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    report: Report | None = None
    """What was done, also where it failed; None when nothing was."""
    error: str = ""
    kind: str = ""
    """The error's class."""

    @classmethod
    def failed(cls, error: Exception, report: Report | None = None) -> Outcome:
        """Any error; one that streamdepth did not raise on purpose is a fault of its own, and says so."""
        is_known = isinstance(error, StreamDepthError)
        text = str(error) if is_known else f"internal error, please report it: {type(error).__name__}: {error}"
        return cls(report, redact_text(" ".join(text.split())), type(error).__name__ if is_known else "")


def convert(settings: Settings, estimator: Estimator, moved: Moved = lambda _: None) -> Outcome:
    """Runs the pipeline of `settings`, which name one source. Raises no Exception: one file is not in others' way.

    What killed runs left beside its outputs is removed first.
    """

    def on_written(_: DepthFrame) -> None:
        if (expected := pipeline.expected_frames) is not None:
            moved(min(1.0, pipeline.stats["written"] / max(1, expected)))

    report = None
    try:
        for path in (settings.output, settings.depth_out):
            if path is not None and path.parent.is_dir():
                remove_leftovers(path)
        with factory.pipeline(settings, on_written, estimator=estimator) as pipeline:
            try:
                report = pipeline.run()
            except SourceError:
                report = pipeline.report()  # what came before is complete in the outputs
                raise
        if not report.written:
            raise SourceError(f"{settings.source[0]} gave no frame")
    except Exception as error:
        _log.debug("%s failed", settings.source[0], exc_info=True)
        return Outcome.failed(error, report)
    return Outcome(report)
