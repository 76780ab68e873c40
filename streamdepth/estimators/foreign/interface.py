"""The inputs, outputs and metadata of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_GRAPH_FIELD, _METADATA_FIELD = 7, 14
"""The numbers of `graph` and `metadata_props` in `ModelProto` (onnx.proto)."""
_MAX_METADATA_BYTES = 2**20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""The wire types of Protocol Buffers that an ONNX file uses."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output."""

    name: str
    shape: tuple[int | str, ...]
    """Sizes of the dimensions; those that are free have a name, or "?"."""
    type: str
    """Element type as numpy names it, such as `float32`."""

    def __str__(self) -> str:
        return f"{self.name} {self.type} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Interface:
    """The facts that a file tells of itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]

    @property
    def pictures(self) -> Port:
        """The input that takes pictures: the first with four or five dimensions, else the first."""
        return next((port for port in self.inputs if len(port.shape) in (4, 5)), self.inputs[0])


def read_metadata(path: Path) -> dict[str, str]:
    """Returns the metadata of an ONNX file without reading its weights; empty where the file has none or is damaged.

    The file is a Protocol Buffers message, whose fields are passed over by their lengths.
    """
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            while (field := _read_field(file, _METADATA_FIELD)) is not None:
                if field:
                    key, value = _read_pair(field)
                    found[key] = value
    except (OSError, ValueError, UnicodeDecodeError):
        return found
    return found


def is_whole_file(path: Path) -> bool:
    """Returns True if a file has a graph and ends where its last field ends.

    Half of a download, an empty file and a file of another format do not. The weights are passed over.
    """
    has_graph = False
    try:
        with path.open("rb") as file:
            while (head := _read_head(file)) is not None:
                number, length = head
                file.seek(length, 1)
                has_graph |= number == _GRAPH_FIELD and length > 0
            return has_graph and file.tell() == path.stat().st_size
    except (OSError, ValueError):
        return False


def _read_field(file: BinaryIO, wanted: int) -> bytes | None:
    """Reads the next field: its bytes if its number is `wanted`, b"" for others, None at the end. Raises ValueError."""
    head = _read_head(file)
    if head is None:
        return None
    number, length = head
    if number != wanted:
        file.seek(length, 1)
        return b""
    if length > _MAX_METADATA_BYTES:
        raise ValueError
    return file.read(length)


def _read_head(file: BinaryIO) -> tuple[int, int] | None:
    """Reads the number of the next field, and how many bytes of it follow; None at the end. Raises ValueError."""
    head = file.read(1)
    if not head:
        return None
    number, wire = divmod(_read_varint(file, head), 8)
    length = {_VARINT: 0, _FIXED64: 8, _FIXED32: 4}.get(wire, -1)
    if wire in (_VARINT, _BYTES):
        value = _read_varint(file, file.read(1))
        length = value if wire == _BYTES else 0
    if number < 1 or not 0 <= length < 2**62:
        raise ValueError
    return number, length


def _read_varint(file: BinaryIO, head: bytes) -> int:
    value = shift = 0
    while head and shift < 70:
        value |= (head[0] & 0x7F) << shift
        if head[0] < 0x80:
            return value
        head, shift = file.read(1), shift + 7
    raise ValueError


def _read_pair(entry: bytes) -> tuple[str, str]:
    """Reads a `StringStringEntryProto`: field 1 is the key, field 2 the value."""
    import io

    return _read_text(io.BytesIO(entry), 1), _read_text(io.BytesIO(entry), 2)


def _read_text(file: BinaryIO, number: int) -> str:
    while (field := _read_field(file, number)) is not None:
        if field:
            return field.decode()
    return ""
