"""The errors that streamdepth raises on purpose.

    StreamDepthError
    ├── ConfigError              a setting, a flag or an argument is wrong
    ├── MissingDependencyError   an optional package is not installed; the message has the pip line
    │   └── MissingSystemLibraryError   a package needs a library of the system, such as libGL.so.1, that is not there
    ├── SourceError              frames cannot be read
    │   ├── SourceOpenError      not found, not readable, no video in it
    │   ├── SourceTimeoutError   opened or read for too long
    │   └── SourceLostError      the stream broke off; the frames before were delivered
    ├── EstimatorError           depth cannot be computed
    │   ├── ModelLoadError       unknown name, weights missing or not allowed
    │   └── InferenceError       the network failed on a picture
    └── SinkError                results cannot be stored or shown
        ├── SinkOpenError        exists already, not writable, unknown format
        └── SinkWriteError       encoder failed, server gone
            └── DiskFullError    no room left, or too little to go on

Every message says what was given, what is allowed and what to try. Programs and tests rely on an error's class and on
its `code`, a short word that stays the same, and never on the message.
"""

from __future__ import annotations

from typing import ClassVar


class StreamDepthError(Exception):
    """The base class of every error that streamdepth raises on purpose.

    Args:
        message: one line for people.
        code: a short, stable word for programs, such as "not-found"; the default is the class's own.
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code


class ConfigError(StreamDepthError):
    """A setting, a flag or an argument is wrong."""

    default_code = "config"


class MissingDependencyError(StreamDepthError):
    """An optional package is not installed."""

    default_code = "missing-dependency"

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the package {package}; try: pip install "streamdepth[{extra}]"')
        self._arguments = package, extra, purpose

    def __reduce__(self) -> tuple[type[MissingDependencyError], tuple[str, ...]]:
        """Makes the error picklable, to pass from one process to another."""
        return type(self), self._arguments


class MissingSystemLibraryError(MissingDependencyError):
    """A package is installed, but the system lacks a shared library that it needs, such as libGL.so.1."""

    default_code = "missing-system-library"

    def __init__(self, message: str) -> None:
        StreamDepthError.__init__(self, message)

    def __reduce__(self) -> tuple[type[MissingSystemLibraryError], tuple[str, ...]]:
        """Makes the error picklable, to pass from one process to another."""
        return type(self), (str(self),)


class SourceError(StreamDepthError):
    """Frames cannot be read."""

    default_code = "source"


class SourceOpenError(SourceError):
    """The source was not found, cannot be read, or has no video in it."""

    default_code = "source-open"


class SourceTimeoutError(SourceError):
    """The source did not answer in time."""

    default_code = "source-timeout"


class SourceLostError(SourceError):
    """The stream broke off before its end; the frames before were delivered."""

    default_code = "source-lost"


class EstimatorError(StreamDepthError):
    """Depth cannot be computed."""

    default_code = "model"


class ModelLoadError(EstimatorError):
    """The model's name is unknown, or its weights are missing or not allowed."""

    default_code = "model-load"


class InferenceError(EstimatorError):
    """The network failed on a picture."""

    default_code = "inference"


class SinkError(StreamDepthError):
    """Results cannot be stored or shown."""

    default_code = "sink"


class SinkOpenError(SinkError):
    """The output exists already, cannot be written, or has an unknown format."""

    default_code = "sink-open"


class SinkWriteError(SinkError):
    """An encoder failed, a file cannot be written, or a server went away."""

    default_code = "sink-write"


class DiskFullError(SinkWriteError):
    """The disk is full; or nearly full, and a recording was ended with all its files complete."""

    default_code = "disk-full"
