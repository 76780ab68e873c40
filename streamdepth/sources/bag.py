"""An open bag: a folder or a file of ROS 2, also compressed, an MCAP of any recorder, or a bag of ROS 1."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Generator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2.metadata import dump_qos_v9
from rosbags.typesys import Stores, get_typestore

from streamdepth.core.recorded_topics import RecordedTopic
from streamdepth.sources.mcap_bag import McapBag

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

ZSTD_SUFFIX = ".zst"
"""Suffix of compressed files."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Bag:
    """A bag with the methods of rosbags' `AnyReader`; it also reads bags that `AnyReader` refuses.

    A compressed file is unpacked into a temporary folder, which is removed by `close`. Messages that rosbag2 compressed
    one by one are unpacked, too, where their file comes without its metadata.yaml.
    """

    def __init__(self, path: Path) -> None:
        self.connections: list[Connection] = []
        self._folder: TemporaryDirectory[str] | None = None
        try:
            file = self._unpack(path) if path.suffix.lower() == ZSTD_SUFFIX else path
            self._reader = _open_reader(file)
        except BaseException:
            self._remove_folder()
            raise
        self.connections = list(self._reader.connections)

    def _unpack(self, path: Path) -> Path:
        self._folder = TemporaryDirectory(prefix="streamdepth-bag-", ignore_cleanup_errors=True)
        unpacked = Path(self._folder.name, path.stem)
        with _open_zstd(path) as packed, unpacked.open("wb") as target:
            shutil.copyfileobj(packed, target)
        return unpacked

    def _remove_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    @property
    def end_time(self) -> int:
        """The time after the last message by the recorder's clock, nanoseconds."""
        return int(self._reader.end_time)

    def messages(
        self, connections: Collection[Connection] = (), start: int | None = None, stop: int | None = None
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        """Yields (connection, nanoseconds by the recorder's clock, bytes) of each message from `start` until `stop`."""
        yield from self._reader.messages(connections, start, stop)

    def deserialize(self, data: bytes, message_type: str) -> Any:
        """Returns the message. Raises many errors for data that is damaged."""
        if bytes(data[:4]) == _ZSTD_MAGIC:  # CDR begins with a zero
            data = _unpack_zstd(bytes(data))
        return self._reader.deserialize(data, message_type)

    @property
    def _is_ros1(self) -> bool:
        return any(getattr(c.ext, "serialization_format", "ros1") == "ros1" for c in self.connections)

    @cached_property
    def _ros2_types(self) -> Any:
        """The bag's types with ROS 2's header, which has no sequence number."""
        header = "std_msgs/msg/Header"
        types = {**self._reader.typestore.fielddefs, header: get_typestore(Stores.ROS2_HUMBLE).fielddefs[header]}
        store = get_typestore(Stores.EMPTY)
        store.register(types)
        return store

    def as_cdr(self, data: bytes, message_type: str) -> bytes:
        """Returns a message as ROS 2 serializes it."""
        if self._is_ros1:
            return bytes(self._ros2_types.ros1_to_cdr(data, message_type))
        return _unpack_zstd(bytes(data)) if bytes(data[:4]) == _ZSTD_MAGIC else bytes(data)

    def recorded_topic(self, connection: Connection) -> RecordedTopic:
        """Returns a topic with its type as ROS 2 defines it."""
        name, definition = connection.msgtype, connection.msgdef
        if definition.format == MessageDefinitionFormat.IDL:
            encoding, text = "ros2idl", definition.data
        elif definition.format == MessageDefinitionFormat.MSG and not self._is_ros1:
            encoding, text = "ros2msg", definition.data
        else:
            encoding, text = "ros2msg", self._ros2_types.generate_msgdef(name, ros_version=2)[0]
        qos = getattr(connection.ext, "offered_qos_profiles", None) or []
        metadata = {"offered_qos_profiles": dump_qos_v9(qos)} if qos else {}
        return RecordedTopic(connection.topic, name, encoding, text.encode(), "cdr", metadata)

    def close(self) -> None:
        """Closes the files."""
        self.connections = []
        self._reader.close()
        self._remove_folder()


def _open_reader(path: Path) -> Any:
    if path.suffix.lower() == ".mcap" and path.is_file():
        reader: Any = McapBag(path)
    else:
        default = Stores.ROS1_NOETIC if path.suffix == ".bag" else Stores.ROS2_HUMBLE
        reader = AnyReader([path], default_typestore=get_typestore(default))
    reader.open()
    return reader


def _open_zstd(path: Path) -> IO[bytes]:
    import zstandard  # it comes with the package mcap

    found: IO[bytes] = zstandard.open(path, "rb")
    return found


def _unpack_zstd(data: bytes) -> bytes:
    import zstandard

    unpacked: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return unpacked
