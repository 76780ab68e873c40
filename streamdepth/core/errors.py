"""Everything streamdepth raises on purpose.

    StreamDepthError
    ├── ConfigError              a setting, a flag or an argument is wrong
    ├── MissingDependencyError   an optional package is not installed; the message has the pip line
    ├── SourceError              frames cannot be had
    │   ├── SourceOpenError      not found, not readable, no video in it
    │   ├── SourceTimeoutError   opened or read for too long
    │   └── SourceLostError      ended before its end; what came before was delivered
    ├── EstimatorError           depth cannot be had
    │   ├── ModelLoadError       unknown name, weights missing or not allowed
    │   └── InferenceError       the network failed on a picture
    └── SinkError                results cannot be stored or shown
        ├── SinkOpenError        exists already, not writable, unknown format
        └── SinkWriteError       encoder failed, server gone
            └── DiskFullError    no room left, or too little to go on

Every message says what was given, what is allowed and what to try.
"""

from __future__ import annotations


class StreamDepthError(Exception):
    """The root of the tree."""


class ConfigError(StreamDepthError):
    """A setting, a flag or an argument is wrong."""


class MissingDependencyError(StreamDepthError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the package {package}; try: pip install "streamdepth[{extra}]"')
        self._made_of = package, extra, purpose

    def __reduce__(self) -> tuple[type[MissingDependencyError], tuple[str, str, str]]:
        """So that it can pass from one process to another."""
        return type(self), self._made_of


class SourceError(StreamDepthError):
    """Frames cannot be had."""


class SourceOpenError(SourceError):
    """Not found, not readable, or no video in it."""


class SourceTimeoutError(SourceError):
    """The source did not answer in time."""


class SourceLostError(SourceError):
    """The source ended before its end; what came before was delivered."""


class EstimatorError(StreamDepthError):
    """Depth cannot be had."""


class ModelLoadError(EstimatorError):
    """The name is unknown, or weights are missing or not allowed."""


class InferenceError(EstimatorError):
    """The network failed on a picture."""


class SinkError(StreamDepthError):
    """Results cannot be stored or shown."""


class SinkOpenError(SinkError):
    """The output exists already, cannot be written, or has an unknown format."""


class SinkWriteError(SinkError):
    """The encoder failed, or a server went away."""


class DiskFullError(SinkWriteError):
    """The disk is full; or nearly so, and a recording was ended with all its files complete."""
