"""Pictures: one file, a folder, a pattern, or one from the web."""

from __future__ import annotations

import glob
import io
import mimetypes
import re
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError, SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, Intrinsics, StreamInfo
from streamdepth.geometry.camera import intrinsics_from_exif
from streamdepth.sources.decoder import MAX_SIDE_PX, check_picture_size
from streamdepth.sources.skip_counter import SkipCounter
from streamdepth.utils.numbering import number_glob
from streamdepth.utils.redact import redact, redact_text

PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".tif", ".tiff"),
    *(".webp", ".gif", ".avif", ".ppm", ".pgm"),
)
"""How the names of files end that count as pictures, in lower case."""

_MOST_BYTES = 256 * 2**20
_TIMEOUT_SECONDS = 10.0


class ImagesSource(Source):
    """Pictures as a stream of `fps` frames per second, in natural order (9 before 10).

    `pattern`: a picture, a folder, a glob (`shots/*.jpg`), a numbered name (`%06d.png`) or an http(s) address. Later
    pictures are scaled to the size of the first. Those that cannot be read are counted in `lost["undecodable"]`, and
    after all others `read` raises SourceLostError.
    """

    def __init__(self, pattern: str | Path, *, fps: float | Fraction = 30, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__()
        self.pattern, self.fps, self.max_side_px = str(pattern), fps, max_side_px
        self._name = redact(self.pattern)
        self._waiting: Iterator[tuple[int, Image]] = iter(())
        self._first: tuple[int, Image] | None = None
        self._time_base = Fraction(1)
        self._index = self._total = 0
        self._skipped = SkipCounter(self, f"pictures of {self._name}")
        self._camera: Intrinsics | None = None

    def open(self) -> StreamInfo:
        self._release()
        addresses = _addresses(self.pattern)
        self._index, self._total = 0, len(addresses)
        if len(addresses) == 1:
            self._waiting = iter([(0, self._picture(addresses[0]))])
        else:
            self._waiting = self._pictures(addresses)
        self._first = next(self._waiting, None)
        if self._first is None:
            self._skipped.count = 0
            raise SourceOpenError(f"none of the {self._total} pictures of {self._name} can be read")
        height, width = self._first[1].shape[:2]
        camera = self._camera
        rate = Fraction(self.fps).limit_denominator(1001)
        self._time_base = 1 / rate
        return StreamInfo(
            self._name,
            width,
            height,
            fps=rate,
            frame_count=len(addresses),
            time_base=self._time_base,
            intrinsics=camera,
        )

    def _picture(self, address: str) -> Image:
        image, self._camera = read_picture_and_camera(address, max_side_px=self.max_side_px)
        return image

    def _pictures(self, addresses: list[str]) -> Iterator[tuple[int, Image]]:
        size: tuple[int, int] | None = None
        for position, address in enumerate(addresses):
            try:
                image = self._picture(address)
            except SourceError as error:
                self._skipped.note(str(error))
                continue
            size = size or (image.shape[1], image.shape[0])
            yield position, self._fitted(image, size)

    def _fitted(self, image: Image, size: tuple[int, int]) -> Image:
        if image.shape[1::-1] == size:
            return image
        self.add_notice(f"the pictures of {self._name} differ in size; all are scaled to {size[0]}x{size[1]} px")
        return np.array(Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC))

    def read(self) -> Frame | None:
        picture, self._first = self._first or next(self._waiting, None), None
        if picture is None:
            if self._release():
                raise SourceLostError(
                    f"{self._index} of {self._total} pictures of {self._name} could be read; the others are damaged"
                )
            return None
        position, image = picture
        index, self._index = self._index, self._index + 1
        return Frame(image, index, position, self._time_base, time.monotonic(), self._name)

    def _release(self) -> int:
        """Returns how many pictures were skipped."""
        self._waiting, self._first = iter(()), None
        return self._skipped.settle()

    def close(self) -> None:
        self._release()
        super().close()


def read_picture(picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX) -> Image:
    """A path, an http(s) address or a PIL image -> (H, W, 3) uint8 RGB, upright as its EXIF says.

    16-bit and floating-point pictures are brought to 8 bits, transparency is left out, of an animation the first
    picture is taken. Raises SourceOpenError, or SourceTimeoutError when a server does not answer.
    """
    return read_picture_and_camera(picture, max_side_px=max_side_px)[0]


def read_picture_and_camera(
    picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX
) -> tuple[Image, Intrinsics | None]:
    """The picture as `read_picture` gives it, and its camera where EXIF tells the focal length. Raises as that does."""
    if not isinstance(picture, (str, Path, Pillow.Image)):
        raise ConfigError(
            f"a picture is a path, an http(s) address or a PIL image, not a {type(picture).__name__}; "
            "PIL.Image.fromarray makes one of an array in RGB"
        )
    name = "the picture" if isinstance(picture, Pillow.Image) else redact(str(picture))
    with _explained(name):
        opened = picture if isinstance(picture, Pillow.Image) else Pillow.open(_bytes_of(str(picture), name))
        check_picture_size(name, *opened.size, max_side_px)
        pixels = _rgb(ImageOps.exif_transpose(opened))
        return pixels, intrinsics_from_exif(opened.getexif(), pixels.shape[1], pixels.shape[0])


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Pillow's many ways to fail as one error."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise SourceOpenError(
            f"{name} is not a picture of a known format; give PNG, JPEG, WebP, TIFF...; videos are for "
            "`streamdepth convert`"
        ) from error
    except Pillow.DecompressionBombError as error:
        raise SourceOpenError(f"{name} has more pixels than Pillow allows; make it smaller first ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, Warning) as error:
        raise SourceOpenError(f"{name} cannot be decoded, it is damaged or cut off: {error}") from error


def _rgb(picture: Pillow.Image) -> Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return np.repeat(_eight_bits(np.asarray(picture, np.float64))[..., None], 3, axis=2)
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")
    return np.array(picture.convert("RGB"))


def _eight_bits(values: npt.NDArray[np.float64]) -> Image:
    """Grey levels 0..65535, or 0..1 as floating-point pictures have them -> uint8. What is unknown (NaN) is black."""
    top = 1.0 if values.max(initial=0, where=np.isfinite(values)) <= 1 else 65535.0
    return np.nan_to_num(np.clip(values * (255 / top) + 0.5, 0, 255)).astype(np.uint8)


def read_depth_png(path: Path, values_per_meter: float) -> DepthMap | None:
    """(H, W) float32 metres of a gray PNG of 8 or 16 bits, NaN where it is 0; None where there is no such file.

    Raises SourceOpenError.
    """
    if not path.is_file():
        return None
    with _explained(str(path)):
        opened = Pillow.open(path)
        if not opened.mode.startswith(("I", "L")):
            raise SourceOpenError(f"'{path}' is a picture in colours ({opened.mode}); depth is a gray PNG of 16 bits")
        values = np.asarray(opened, np.float32)
    return np.where(values > 0, values / np.float32(values_per_meter), np.float32(np.nan))


def _has_videos(folder: Path) -> bool:
    return any((mimetypes.guess_type(path.name)[0] or "").startswith("video/") for path in folder.iterdir())


def _addresses(pattern: str) -> list[str]:
    if _is_web(pattern) or Path(pattern).is_file():
        return [pattern]
    path = Path(pattern)
    if path.is_dir():
        found = [str(p) for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()]
        if not found:
            hint = "; give one of its videos, or all of them to `streamdepth convert`" if _has_videos(path) else ""
            raise SourceOpenError(f"the folder {path} holds no pictures ({', '.join(PICTURE_SUFFIXES)}){hint}")
    else:
        wanted = number_glob(pattern)
        found = [p for p in glob.glob(wanted, recursive=True) if Path(p).is_file()]
        if not found:
            hint = "no file matches it" if any(c in wanted for c in "*?[") else "it does not exist"
            raise SourceOpenError(
                f"{redact(pattern)} gives no picture: {hint}; check the spelling and the current folder"
            )
    return sorted(found, key=_natural)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """A sorting key by which 9 comes before 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name)]


def _is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def _bytes_of(address: str, name: str) -> io.BytesIO:
    if _is_web(address):
        return _fetched(address, name)
    if not address:
        raise SourceOpenError("the picture's name is empty; give a path or an http link")
    path = Path(address)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SourceOpenError(f"{name} does not exist; check the spelling and the current folder") from error
    except IsADirectoryError as error:
        raise SourceOpenError(f"{name} is a folder, not a picture") from error
    except PermissionError as error:
        raise SourceOpenError(f"{name} may not be read; check its permissions") from error
    if not data:
        raise SourceOpenError(f"{name} is empty (0 bytes)")
    return io.BytesIO(data)


def _request(address: str) -> urllib.request.Request:
    """urllib does not understand `user:password@`; it becomes the header that it stands for."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "streamdepth"})
    if user:
        request.add_unredirected_header("Authorization", "Basic " + b64encode(unquote(user).encode()).decode())
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The password goes along to where the same host sends, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if request and new.netloc == old.netloc and new.scheme in (old.scheme, "https"):
            request.unredirected_hdrs.update(req.unredirected_hdrs)
        return request


def _fetched(address: str, name: str) -> io.BytesIO:
    try:
        opener = urllib.request.build_opener(_Redirects)
        with opener.open(_request(address), timeout=_TIMEOUT_SECONDS) as answer:
            data = answer.read(_MOST_BYTES + 1)
    except TimeoutError:
        raise SourceTimeoutError(f"{name} did not answer within {_TIMEOUT_SECONDS:g} seconds") from None
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceOpenError(f"{name} cannot be fetched: {error.code} {error.reason}") from None
    except (OSError, ValueError, HTTPException) as error:
        # `from None`: some of these errors quote the address, and with it a password.
        reason = getattr(error, "reason", None) or type(error).__name__
        raise SourceOpenError(f"{name} cannot be fetched: {redact_text(str(reason))}; check the address") from None
    if len(data) > _MOST_BYTES:
        raise SourceOpenError(f"{name} is larger than the {_MOST_BYTES // 2**20} MiB allowed for one picture")
    return io.BytesIO(data)
