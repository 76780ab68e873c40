"""The contract of the outputs that get the depth and events of zones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.sinks.zones.records import ZoneRecord


class ZoneOutput(ABC):
    """Stores or sends records of zones. A call of `write` never waits for a network."""

    name: str
    """The target in messages to people, without credentials."""

    required_packages: Sequence[OptionalPackage] = ()
    """Optional packages that it cannot do without."""

    def check(self) -> None:
        """Raises SinkOpenError if it is already known that `open` would fail."""

    @abstractmethod
    def open(self, stream: str, on_notice: Callable[[str], None]) -> None:
        """Begins the output.

        Args:
            stream: name of the stream.
            on_notice: takes a sentence that a user should read, also from another thread.

        Raises:
            SinkOpenError: if it cannot be started; `close` is not called then.
        """

    @abstractmethod
    def write(self, records: Sequence[ZoneRecord]) -> None:
        """Writes the records of one frame, in order. Raises SinkWriteError."""

    @abstractmethod
    def close(self) -> None:
        """Completes the output, within a few seconds. Raises SinkWriteError, also where records were not delivered."""


def is_event(record: ZoneRecord) -> bool:
    """True for the record of an event, entered or left; False for the values of a frame."""
    return record["type"] != "values"


def undelivered_error(count: int, name: str) -> SinkWriteError:
    """Returns the error of an output whose last events could not be delivered."""
    return SinkWriteError(
        f"{count} messages on zones were not delivered to {name}; look if it is reachable and accepts them",
        code="undelivered",
    )
