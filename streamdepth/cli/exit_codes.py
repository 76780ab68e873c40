"""The exit code of each kind of error."""

from __future__ import annotations

from streamdepth.core.errors import (
    ConfigError,
    DiskFullError,
    EstimatorError,
    MissingDependencyError,
    SinkError,
    SourceError,
    StreamDepthError,
)

INTERRUPTED = 130
"""The exit code after Ctrl-C when nothing was written."""

_EXIT_CODES: tuple[tuple[type[StreamDepthError], int], ...] = (
    (ConfigError, 2),
    (MissingDependencyError, 2),
    (SourceError, 3),
    (EstimatorError, 4),
    (DiskFullError, 6),
    (SinkError, 5),
    (StreamDepthError, 1),
)
"""Error class -> exit code, subclasses before their bases: the first that fits counts."""


def exit_code(error: type[StreamDepthError]) -> int:
    """Returns the exit code of a command that ends with an error of this class."""
    return next(code for kind, code in _EXIT_CODES if issubclass(error, kind))
