"""An ONNX file as it lies on disk: whether it is whole, and its metadata, without a runtime and without its weights.

Such a file is a message of Protocol Buffers (`ModelProto` of onnx.proto), whose fields can be skipped by their lengths.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from streamdepth.core.errors import ModelLoadError

_GRAPH_FIELD, _METADATA_FIELD = 7, 14
"""The numbers of `graph` and `metadata_props` in `ModelProto` (onnx.proto)."""
_MAX_METADATA_BYTES = 2**20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""The wire types of Protocol Buffers that an ONNX file uses."""
_OTHER_FILES = (
    (b"version https://git-lfs", "a pointer of Git LFS; `git lfs pull` brings the file"),
    (b"<", "a web page; download the file itself"),
)
"""How files begin that people have in the place of an ONNX file, and a description of them."""


def read_metadata(path: Path) -> dict[str, str]:
    """Returns the metadata of an ONNX file without reading its weights; empty where the file has none or is damaged.

    >>> read_metadata(Path("depth.onnx"))
    {'author': 'somebody'}
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


def check_whole(path: Path) -> None:
    """Raises ModelLoadError with the code "damaged" for a file that is not a whole ONNX file."""
    if is_whole_file(path):
        return
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    for beginning, text in _OTHER_FILES:
        if head.startswith(beginning):
            raise ModelLoadError(f"'{path}' is no ONNX file but {text}", code="damaged")
    raise ModelLoadError(
        f"'{path}' is no ONNX file, or a part of one ({path.stat().st_size} bytes); download or export it anew",
        code="damaged",
    )


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
    return _read_text(io.BytesIO(entry), 1), _read_text(io.BytesIO(entry), 2)


def _read_text(file: BinaryIO, number: int) -> str:
    while (field := _read_field(file, number)) is not None:
        if field:
            return field.decode()
    return ""
