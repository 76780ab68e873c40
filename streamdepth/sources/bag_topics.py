"""Topics of a bag, as they were recorded, to be copied into another recording."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.recorded_topics import RecordedMessage, RecordedTopic, RecordedTopics
from streamdepth.sources.bag_reader import describe_topics, open_bag
from streamdepth.utils.printable import error_message

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag


class BagTopics(RecordedTopics):
    """The topics of a bag whose names match patterns, such as `/tf*`; messages of ROS 1 become those of ROS 2.

    Args:
        path: the bag.
        patterns: names with `*` and `?`; one matching is enough.
    """

    def __init__(self, path: Path, patterns: Sequence[str]) -> None:
        self.path, self.patterns = path, tuple(patterns)
        self._bag: Bag | None = None
        self._connections: list[Connection] = []

    def open(self) -> list[RecordedTopic]:
        self.close()
        self._bag = bag = open_bag(self.path)
        self._connections = [
            connection
            for connection in bag.connections
            if any(fnmatch.fnmatchcase(connection.topic, pattern) for pattern in self.patterns)
        ]
        if not self._connections:
            described = describe_topics(bag)
            self.close()
            raise SourceOpenError(
                f"no topic of '{self.path}' matches {', '.join(self.patterns)}; {described}", code="no-topic"
            )
        try:
            return [bag.recorded_topic(connection) for connection in self._connections]
        except Exception as error:  # rosbags has no common error for damaged definitions
            self.close()
            raise SourceOpenError(
                f"the types of '{self.path}' cannot be read: {error_message(error)}", code="damaged"
            ) from error

    def messages(self) -> Iterator[RecordedMessage]:
        if self._bag is None:
            return
        index = {connection.id: i for i, connection in enumerate(self._connections)}
        try:
            for connection, log_ns, data in self._bag.messages(self._connections):
                yield RecordedMessage(index[connection.id], log_ns, self._bag.as_cdr(data, connection.msgtype))
        except Exception as error:  # rosbags has no common error for damaged bags
            raise SourceLostError(
                f"the topics of '{self.path}' cannot be copied to their end: {error_message(error)}", code="damaged"
            ) from error

    def close(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.close()
