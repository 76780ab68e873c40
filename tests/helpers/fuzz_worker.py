"""Reads mutated media files or configurations in a process of its own, with a watchdog.

`python fuzz_worker.py KIND FOLDER` ends with 0 where each was read, or refused with a StreamDepthError. A hang ends it
by SIGALRM.
"""

from __future__ import annotations

import io
import random
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from helpers.media import moving, write_video
from PIL import Image

from streamdepth.config import load
from streamdepth.core.errors import StreamDepthError
from streamdepth.sources.file import FileSource
from streamdepth.sources.picture_file import read_picture

MEDIA, CONFIGURATIONS = 200, 100
_MAX_SECONDS = 20
_MAX_KIB = 1_500_000
"""Limit for the most memory that was in use, in KiB."""
_WORDS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x00\x00\x00", b"\x00\x01\x00\x00")
_TEXTS = (
    "0b_",
    "2020-99-99",
    "!!binary aGk=",
    "*a",
    "&a [*a]",
    "[[[[",
    "{",
    "9" * 5000,
    ".nan",
    "-.inf",
    "1e999",
    "\x00",
    "'",
)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Returns `data` with some bytes changed, cut off or repeated; headers are changed most often."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        end = min(len(changed), 600) if chance.random() < 0.6 else len(changed)
        position = chance.randrange(max(1, end))
        action = chance.randrange(5)
        if action == 0:
            changed[position : position + 1] = bytes([chance.randrange(256)])
        elif action == 1:
            word = chance.choice(_WORDS)
            changed[position : position + 4] = word
        elif action == 2:
            del changed[position : position + chance.randint(1, 40)]
        elif action == 3:
            changed[position:position] = changed[position : position + chance.randint(1, 400)]
        elif chance.random() < 0.3:
            del changed[len(changed) // 2 + position // 2 :]
    return bytes(changed)


def make_media(folder: Path) -> dict[str, bytes]:
    """Returns small files by name, one of each usual format."""
    image = Image.fromarray(moving(64, 48, 3))
    files = {}
    for kind, suffix, options in (
        *(("PNG", "png", {}), ("JPEG", "jpg", {}), ("JPEG", "progressive.jpg", {"progressive": True})),
        *(("WEBP", "webp", {}), ("WEBP", "lossless.webp", {"lossless": True}), ("TIFF", "tif", {})),
        *(
            ("TIFF", "lzw.tif", {"compression": "tiff_lzw"}),
            ("BMP", "bmp", {}),
            ("PPM", "ppm", {}),
            ("AVIF", "avif", {}),
        ),
    ):
        packed = io.BytesIO()
        image.save(packed, kind, **options)
        files[suffix] = packed.getvalue()
    packed = io.BytesIO()
    Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20).save(packed, "PNG")
    files["deep.png"] = packed.getvalue()
    for name, codec, pixels in (
        *(("a.mp4", "libx264", "yuv420p"), ("a.mkv", "libx264", "yuv420p"), ("a.ts", "libx264", "yuv420p")),
        *(("a.avi", "mjpeg", "yuvj420p"), ("a.mov", "png", "rgb24"), ("a.flv", "libx264", "yuv420p")),
    ):
        files[name] = write_video(folder / name, count=6, codec=codec, pixel_format=pixels).read_bytes()
    return files


def read_media(path: Path) -> None:
    """Reads the file as a picture and as a video, ten frames of it."""
    for read in (read_picture, _read_video):
        try:
            read(path)
        except StreamDepthError as error:
            print(error)  # noqa: T201


def _read_video(path: Path) -> None:
    with FileSource(path) as source:
        source.open()
        for _ in range(10):
            if (frame := source.read()) is None:
                return
            assert frame.image.ndim == 3


def read_configuration(path: Path) -> None:
    """Reads the file as settings."""
    try:
        load(path)
    except StreamDepthError as error:
        print(error)  # noqa: T201


def mutate_text(text: str, chance: random.Random) -> bytes:
    """Returns a configuration in which values, lines or bytes were changed."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        number = chance.randrange(len(lines))
        key = lines[number].partition(":")[0]
        lines[number] = chance.choice(
            (f"{key}: {chance.choice(_TEXTS)}", lines[number] * 2, "", f"  {lines[number]}", key)
        )
    data = "\n".join(lines).encode()
    return mutate(data, chance) if chance.random() < 0.3 else data


def _run(
    inputs: dict[str, bytes],
    change: Callable[[bytes, random.Random], bytes],
    read: Callable[[Path], None],
    count: int,
    folder: Path,
) -> None:
    for seed in range(count):
        chance = random.Random(seed)
        name = sorted(inputs)[seed % len(inputs)]
        path = folder / f"{seed}-{name}"
        path.write_bytes(change(inputs[name], chance))
        print(f"seed {seed}: {path}", flush=True)  # noqa: T201 - says where it ended
        signal.alarm(_MAX_SECONDS)
        read(path)
        signal.alarm(0)
        used = _peak_kib()
        assert used < _MAX_KIB, f"{used} KiB in use"
        path.unlink()


def _peak_kib() -> int:
    """Returns the most memory that this program had in use; `ru_maxrss` would count its parent's, before exec."""
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(match[1]) if match else 0


def main(kind: str, folder: Path) -> None:
    """Reads all mutated inputs of a kind: "media" or "configurations"."""
    if kind == "media":
        _run(make_media(folder), mutate, read_media, MEDIA, folder)
        return
    configs = Path(__file__).parents[2] / "configs"
    texts = {path.name: path.read_bytes() for path in configs.glob("*.yaml")}
    _run(texts, lambda data, chance: mutate_text(data.decode(), chance), read_configuration, CONFIGURATIONS, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
