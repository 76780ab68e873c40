"""The conversion of one file of a batch, from its input to its outputs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import SourceError, StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.system_libraries import missing_system_library
from streamdepth.core.types import DepthFrame
from streamdepth.pipeline.report import Report
from streamdepth.sinks.temporary_files import remove_abandoned_files
from streamdepth.utils.redact import redact_text

_log = logging.getLogger(__name__)

OnProgress = Callable[[float], None]
"""A callback that gets the share of a file that is converted, 0 to 1, again and again."""


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """The report or the error of one file's conversion, or both if it failed half-way."""

    report: Report | None = None
    """Frames and times, also of a conversion that failed half-way; None if it never started."""
    error: str = ""
    """The message of the error; empty if there was none."""
    error_class: str = ""
    """The name of the error's class; empty if there was no error, or one that streamdepth does not raise on purpose."""

    @classmethod
    def failed(cls, error: Exception, report: Report | None = None) -> ConversionResult:
        """Makes the result of a conversion that ended with `error`.

        Any error that streamdepth does not raise on purpose is presented as an internal one.
        """
        error = missing_system_library(error) or error
        is_expected = isinstance(error, StreamDepthError)
        text = str(error) if is_expected else f"internal error, please report it: {type(error).__name__}: {error}"
        return cls(report, redact_text(" ".join(text.split())), type(error).__name__ if is_expected else "")


def convert_file(settings: Settings, estimator: Estimator, on_progress: OnProgress) -> ConversionResult:
    """Runs the pipeline of `settings`, which name one source, and removes what killed runs left beside its outputs.

    An error is part of the result and never raised, so that one file cannot end the conversion of others.
    """

    def on_written(_: DepthFrame) -> None:
        if (expected := pipeline.expected_frames) is not None:
            on_progress(min(1.0, pipeline.stats["written"] / max(1, expected)))

    report = None
    try:
        for path in (settings.outputs.video, settings.outputs.depth):
            if path is not None and path.parent.is_dir():
                remove_abandoned_files(path)
        with factory.open_pipeline(settings, on_written, estimator=estimator) as pipeline:
            try:
                report = pipeline.run()
            except SourceError:
                report = pipeline.report()  # the outputs hold all frames before the error
                raise
        if not report.written:
            raise SourceError(f"{settings.source[0]} gave no frame", code="no-frames")
    except Exception as error:
        _log.debug("%s failed", settings.source[0], exc_info=True)
        return ConversionResult.failed(error, report)
    return ConversionResult(report)
