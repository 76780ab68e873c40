"""HEIC photos of several tiles, as telephones write them (ISO/IEC 23008-12), with HEVC by PyAV."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_tiled_heic(path: Path, image: np.ndarray, tile: int = 64, *, quarter_turns: int = 0) -> Path:
    """Writes (H, W, 3) uint8 as a grid of square tiles, to be turned counter-clockwise when it is shown."""
    height, width = image.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(image, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
    tiles = [
        _encode(padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile])
        for y in range(rows)
        for x in range(columns)
    ]
    grid_id, count = len(tiles) + 1, len(tiles)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    ipco = [
        tiles[0][0],
        _full("ispe", struct.pack(">II", tile, tile)),
        _full("ispe", struct.pack(">II", width, height)),
    ]
    ipco.append(_box("irot", bytes([quarter_turns])))
    of_tiles = [struct.pack(">HBBB", i + 1, 2, 0x81, 2) for i in range(count)]  # the decoder's settings are essential
    ipma = struct.pack(">I", count + 1) + b"".join(of_tiles) + struct.pack(">HBBB", grid_id, 2, 3, 0x84)
    infos = [(i + 1, b"hvc1", 1) for i in range(count)] + [(grid_id, b"grid", 0)]
    infe = [_full("infe", struct.pack(">HH", i, 0) + kind + b"\0", 2, hidden) for i, kind, hidden in infos]
    iref = _box("dimg", struct.pack(f">HH{count}H", grid_id, count, *range(1, count + 1)))

    def meta(first_offset: int) -> bytes:
        iloc, offset = struct.pack(">HH", 0x4400, count + 1), first_offset
        for i, (_, data) in enumerate(tiles):
            iloc += struct.pack(">HHHHII", i + 1, 0, 0, 1, offset, len(data))
            offset += len(data)
        iloc += struct.pack(">HHHHII", grid_id, 1, 0, 1, 0, len(grid))
        return _full(
            "meta",
            _full("hdlr", struct.pack(">I4s12x", 0, b"pict") + b"\0")
            + _full("pitm", struct.pack(">H", grid_id))
            + _full("iinf", struct.pack(">H", len(infe)) + b"".join(infe))
            + _full("iref", iref)
            + _box("iprp", _box("ipco", b"".join(ipco)) + _full("ipma", ipma))
            + _full("iloc", iloc, 1)
            + _box("idat", grid),
        )

    start = _box("ftyp", b"heic\0\0\0\0mif1heic")
    offset = len(start) + len(meta(0)) + 8
    path.write_bytes(start + meta(offset) + _box("mdat", b"".join(data for _, data in tiles)))
    return path


def _encode(tile: np.ndarray) -> tuple[bytes, bytes]:
    """Returns the box with the decoder's settings, and the coded picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        settings = "crf=4:bframes=0:keyint=1:log-level=none"
        stream = container.add_stream("libx265", rate=25, options={"x265-params": settings})
        stream.width, stream.height, stream.pix_fmt = tile.shape[1], tile.shape[0], "yuv420p"
        stream.codec_context.codec_tag = "hvc1"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile), "rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            packet.pts = packet.dts = 0
            container.mux(packet)
    data = file.getvalue()
    at = data.index(b"hvcC") - 4
    with av.open(io.BytesIO(data)) as container:
        packet = next(container.demux(video=0))
        return data[at : at + int.from_bytes(data[at : at + 4], "big")], bytes(packet)


def _box(kind: str, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind.encode()) + content


def _full(kind: str, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + content)
