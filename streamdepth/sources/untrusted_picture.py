"""Opening of pictures that anybody may have made: few formats, and limits that are checked before anything is decoded.

Every picture that streamdepth reads comes through `open_picture`. Pillow alone would try some 40 formats, of which
PostScript is run as a program, and some decoders allocate gigabytes for a header of 30 bytes.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image as Pillow
from PIL import ImageFile, UnidentifiedImageError

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.limits import MAX_PIXELS, MAX_SIDE_PX, check_picture_size

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "HEIF", "DIB")
"""Pillow's names of the formats that are opened, where a reader is installed; all others are refused."""
MAX_SCANS = 100
"""Limit for the scans of a JPEG; a progressive one has about ten, and each costs as much time as a whole picture."""

_MAX_SCANNED_PIXELS = 4_000_000_000
"""Limit for the scans of a JPEG times its pixels: some 5 seconds of decoding."""
_MAX_PIXELS_BY_FORMAT = {"WEBP": 2**26, "AVIF": 2**26}
"""Lower limits for formats whose decoders hold several copies of the whole picture."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
"""Tags of TIFF."""


def open_picture(
    data: bytes | memoryview, name: str, *, max_side_px: int = MAX_SIDE_PX, formats: Sequence[str] = PICTURE_FORMATS
) -> ImageFile.ImageFile:
    """Returns a picture whose header has been read and checked, and whose pixels have not been decoded yet.

    Args:
        data: the content of the whole file.
        name: the picture's name in messages.
        formats: a part of PICTURE_FORMATS.

    Raises:
        SourceOpenError: "unknown-format", "too-large" by a side or by the number of pixels, "too-many-scans",
            "unknown-pixels", or "undecodable".
    """
    with map_picture_errors(name):
        found = _format_of(data, formats)
        if found == "WEBP":  # its decoder allocates pictures as soon as it is opened
            _check_size(name, _webp_size(data), found, max_side_px)
        picture: ImageFile.ImageFile = Pillow.OPEN[found][0](io.BytesIO(data), "")
        _check_size(name, picture.size, found, max_side_px)
        if found == "JPEG":
            check_scans(data, name, picture.size)
        if found == "TIFF":
            tags = picture.tag_v2  # type: ignore[attr-defined]
            _check_size(name, (int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_HEIGHT, 0))), found, max_side_px)
        return picture


def check_scans(data: bytes | memoryview, name: str, size: tuple[int, int] = (0, 0)) -> None:
    """Raises SourceOpenError ("too-many-scans") for a JPEG whose decoding takes too long. Cheap; nothing is decoded."""
    scans = count_scans(data)
    if scans > MAX_SCANS or scans * size[0] * size[1] > _MAX_SCANNED_PIXELS:
        raise SourceOpenError(
            f"{name} is a JPEG of {scans} scans, which would take very long to decode; at most {MAX_SCANS} are read, "
            "and fewer of large pictures; save it anew",
            code="too-many-scans",
        )


_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
"""A marker of JPEG (ITU-T T.81, B.1.1.3) that begins a segment or ends the picture."""
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE = b"\xda", b"\xd9", b"\xd8"


def count_scans(data: bytes | memoryview) -> int:
    """Returns the number of scans of a JPEG, by its markers; a thumbnail within its metadata does not count.

    What follows the end of the picture does not count either.
    """
    scans, position = 0, 0
    while scans <= 1 << 20 and (marker := _MARKER.search(data, position)):
        position = marker.end()
        if marker[1] == _END_OF_IMAGE:
            break
        if marker[1] == _START_OF_IMAGE:
            continue
        scans += marker[1] == _START_OF_SCAN
        # The two bytes of the length are a part of it; a decoder that resynchronizes would go on behind them, too.
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    return scans


class _PillowLimit:
    """Pillow's limit of pixels, lifted while we read a picture: it refuses photos of 200 megapixels.

    It is one for the whole process, and some formats ask for it when they are opened or decoded; ours is checked then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._before: int | None = None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Lifts the limit within the block; it is back when the last of all threads has left."""
        with self._lock:
            if not self._readers:
                self._before, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    Pillow.MAX_IMAGE_PIXELS = self._before


_pillow_limit = _PillowLimit()


def _format_of(data: bytes | memoryview, formats: Sequence[str]) -> str:
    """Returns the format of a file by its first bytes. Raises UnidentifiedImageError."""
    Pillow.preinit()
    if not all(name in Pillow.OPEN for name in formats):
        Pillow.init()
    prefix = bytes(data[:16])
    for name in formats:
        if name in Pillow.OPEN:
            accept = Pillow.OPEN[name][1]
            answer = accept(prefix) if accept else False
            if answer and not isinstance(answer, str):  # a text says which package is missing
                return name
    raise UnidentifiedImageError


def _check_size(name: str, size: tuple[int, int], picture_format: str, max_side_px: int) -> None:
    check_picture_size(name, *size, max_side_px, _MAX_PIXELS_BY_FORMAT.get(picture_format, MAX_PIXELS))


def _webp_size(data: bytes | memoryview) -> tuple[int, int]:
    """Returns (width, height) from the header of a WebP file (RFC 9649). Raises ValueError where there is none."""
    header = bytes(data[:30])
    kind = header[12:16]
    if kind == b"VP8X" and len(header) == 30:
        return 1 + int.from_bytes(header[24:27], "little"), 1 + int.from_bytes(header[27:30], "little")
    if kind == b"VP8L" and len(header) >= 25 and header[20] == 0x2F:
        bits = int.from_bytes(header[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and header[23:26] == b"\x9d\x01\x2a":
        return (int.from_bytes(header[26:28], "little") & 0x3FFF, int.from_bytes(header[28:30], "little") & 0x3FFF)
    raise ValueError("its WebP header is incomplete")


@contextmanager
def map_picture_errors(name: str) -> Iterator[None]:
    """Raises each of Pillow's many errors as a SourceOpenError, and leaves limits to us."""
    try:
        with _pillow_limit.lifted():
            yield
    except UnidentifiedImageError as error:
        raise SourceOpenError(
            f"{name} is not a picture of a known format; give PNG, JPEG, WebP, TIFF, BMP or GIF; videos are for "
            "`streamdepth convert`",
            code="unknown-format",
        ) from error
    except MemoryError as error:
        raise SourceOpenError(
            f"{name} needs more memory than there is; make it smaller first", code="too-large"
        ) from error
    except Pillow.DecompressionBombError as error:
        raise SourceOpenError(f"{name} has more pixels than is allowed ({error})", code="too-large") from error
    except SourceOpenError:
        raise
    except Exception as error:  # damaged data makes Pillow raise nearly anything: struct.error, RuntimeError...
        if "unknown pixel mode" in str(error):
            raise SourceOpenError(
                f"{name} has pixels of a kind that is not read; save it with 8 or 16 bits a color",
                code="unknown-pixels",
            ) from error
        raise SourceOpenError(
            f"{name} cannot be decoded, it is damaged or cut off: {error}", code="undecodable"
        ) from error
