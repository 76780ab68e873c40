"""MCAP files of any recorder, with the interface of rosbags' `AnyReader`.

rosbags reads files whose header has ROS 2's profile and whose types are named as rosbag2 does it. Other recorders leave
the profile empty, name types `pkg/Image` as ROS 1 did, leave definitions out, or mix ROS messages with others: all of
this is read here.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcap.reader import SeekingReader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros1msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
_ENCODINGS = ("cdr", "ros1")
_IDL_SEPARATOR = "=" * 80 + "\nIDL: "


class McapBag:
    """The ROS messages of one MCAP file; other messages are left out.

    Messages come in the order of the recorder's clock if the file has an index, otherwise in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.start_time = self.end_time = 0
        """The first time by the recorder's clock, and the one after the last, nanoseconds."""
        self.typestore: Typestore = get_typestore(Stores.EMPTY)
        self._has_index = False
        self._is_ros1: dict[str, bool] = {}

    def open(self) -> None:
        """Reads the topics and types. Raises McapError, OSError and others for a file that is damaged."""
        with self.path.open("rb") as stream:
            summary = SeekingReader(stream).get_summary()
        self._has_index = bool(summary and summary.chunk_indexes)
        if summary is not None and summary.channels and summary.statistics:
            schemas, channels, statistics = summary.schemas, summary.channels, summary.statistics
            counts = dict(statistics.channel_message_counts)
            self.start_time, self.end_time = statistics.message_start_time, statistics.message_end_time + 1
        else:
            schemas, channels, counts = self._scan()
        definitions = {channel.id: _definition(schemas.get(channel.schema_id)) for channel in channels.values()}
        self.connections = [
            Connection(
                id=channel.id,
                topic=channel.topic,
                msgtype=ros_type_name(schemas[channel.schema_id].name),
                msgdef=definitions[channel.id],
                digest="",
                msgcount=counts.get(channel.id, 0),
                ext=ConnectionExtRosbag2(
                    serialization_format=channel.message_encoding,
                    offered_qos_profiles=_quality_of_service(channel),
                ),
                owner=self,
            )
            for channel in channels.values()
            if channel.message_encoding in _ENCODINGS and channel.schema_id in schemas
        ]
        self._is_ros1 = {c.msgtype: c.ext.serialization_format == "ros1" for c in self.connections}
        self.typestore = _typestore(self.connections, is_ros1=any(self._is_ros1.values()))

    def _scan(self) -> tuple[dict[int, Schema], dict[int, Channel], dict[int, int]]:
        """Reads a whole file without a summary; returns its schemas, channels, and the number of messages of each."""
        schemas, channels, counts = dict[int, Schema](), dict[int, Channel](), dict[int, int]()
        times = list[int]()
        with self.path.open("rb") as stream:
            for record in StreamReader(stream).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    counts[record.channel_id] = counts.get(record.channel_id, 0) + 1
                    times = [min([record.log_time, *times]), max([record.log_time, *times])]
        if times:
            self.start_time, self.end_time = times[0], times[1] + 1
        return schemas, channels, counts

    def messages(
        self, connections: Collection[Connection] = (), start: int | None = None, stop: int | None = None
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        """Yields (connection, nanoseconds by the recorder's clock, bytes) of each message from `start` until `stop`.

        Without connections, the messages of all topics are yielded.
        """
        wanted = {connection.id: connection for connection in connections or self.connections}
        with self.path.open("rb") as stream:
            for record in self._records(stream, {c.topic for c in wanted.values()}, start, stop):
                if record.channel_id in wanted:
                    yield wanted[record.channel_id], record.log_time, record.data

    def _records(
        self, stream: Any, topics: set[str], start: int | None, stop: int | None
    ) -> Generator[Message, None, None]:
        if self._has_index:
            reader = SeekingReader(stream, validate_crcs=True)
            yield from (
                message for _, _, message in reader.iter_messages(topics, starting_at=start, ending_before=stop)
            )
            return
        for record in StreamReader(stream, validate_crcs=True).records:
            if isinstance(record, Message) and (start or 0) <= record.log_time < (2**64 if stop is None else stop):
                yield record

    def deserialize(self, data: bytes, message_type: str) -> Any:
        """Returns the message. Raises many errors for data that is damaged."""
        if self._is_ros1.get(message_type):
            return self.typestore.deserialize_ros1(data, message_type)
        return self.typestore.deserialize_cdr(data, message_type)

    def close(self) -> None:
        """Forgets the topics; files are open only while messages are read."""
        self.connections = []


def ros_type_name(name: str) -> str:
    """Returns ROS 2's name `pkg/msg/Type` for a type that is spelled `pkg/Type` or `pkg::msg::dds_::Type_`."""
    parts = [part for part in name.replace("::", "/").split("/") if part != "dds_"]
    package, type_name = parts[0], parts[-1]
    kind = parts[1] if len(parts) > 2 else "msg"
    return f"{package}/{kind}/{type_name.removesuffix('_')}" if len(parts) > 1 else name


def _quality_of_service(channel: Channel) -> list[Any]:
    try:
        return list(parse_qos(channel.metadata.get("offered_qos_profiles", "")))
    except Exception:  # it is YAML that any recorder wrote; pictures are read without it
        return []


def _definition(schema: Schema | None) -> MessageDefinition:
    if schema is None or not schema.data.strip() or schema.encoding not in _FORMATS:
        return MessageDefinition(MessageDefinitionFormat.NONE, "")
    return MessageDefinition(_FORMATS[schema.encoding], schema.data.decode("utf-8", "replace"))


def _typestore(connections: list[Connection], *, is_ros1: bool) -> Typestore:
    """Returns the types that the file defines, and ROS's own definitions of the others."""
    types: dict[str, Any] = {}
    for connection in connections:
        if connection.msgdef.format == MessageDefinitionFormat.MSG:
            types.update(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        elif connection.msgdef.format == MessageDefinitionFormat.IDL:
            parts = connection.msgdef.data.split(_IDL_SEPARATOR)
            for part in [part.partition("\n")[2] for part in parts[1:]] or parts:
                types.update(get_types_from_idl(part))
    if any(connection.msgtype not in types for connection in connections):
        usual = get_typestore(Stores.ROS1_NOETIC if is_ros1 else Stores.ROS2_HUMBLE)
        types = {**usual.fielddefs, **types}
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store
