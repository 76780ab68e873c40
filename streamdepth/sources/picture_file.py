"""Reading of single pictures: from a file, from the web, or as a PIL image; and of depth stored as PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera import intrinsics_from_exif
from streamdepth.sources.limits import MAX_SIDE_PX, check_picture_size
from streamdepth.sources.web_picture import download_picture
from streamdepth.utils.redact import redact


def read_picture(picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX) -> Image:
    """Returns a picture as (H, W, 3) uint8 RGB, upright as its EXIF says.

    Pixels of 16 bits or floating point are brought to 8 bits, transparency is left out, and of an animation the first
    picture is taken. Raises SourceOpenError, or SourceTimeoutError when a server does not answer.

    Args:
        picture: a path, an http(s) address or a PIL image.
    """
    return read_picture_and_intrinsics(picture, max_side_px=max_side_px)[0]


def read_picture_and_intrinsics(
    picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX
) -> tuple[Image, Intrinsics | None]:
    """Returns what `read_picture` does, and the intrinsics where EXIF has the focal length. Raises the same errors."""
    if not isinstance(picture, (str, Path, Pillow.Image)):
        raise ConfigError(
            f"a picture is a path, an http(s) address or a PIL image, not a {type(picture).__name__}; "
            "PIL.Image.fromarray makes one of an array in RGB",
            code="not-a-picture",
        )
    name = "the picture" if isinstance(picture, Pillow.Image) else redact(str(picture))
    with _map_pillow_errors(name):
        opened = picture if isinstance(picture, Pillow.Image) else Pillow.open(_read_bytes(str(picture), name))
        check_picture_size(name, *opened.size, max_side_px)
        pixels = _to_rgb(ImageOps.exif_transpose(opened))
        return pixels, intrinsics_from_exif(opened.getexif(), pixels.shape[1], pixels.shape[0])


def read_depth_png(path: Path, values_per_meter: float) -> DepthMap | None:
    """Returns (H, W) float32 metres of a gray PNG of 8 or 16 bits, NaN where it is 0; None where there is no file.

    Raises SourceOpenError.
    """
    if not path.is_file():
        return None
    with _map_pillow_errors(str(path)):
        opened = Pillow.open(path)
        if not opened.mode.startswith(("I", "L")):
            raise SourceOpenError(
                f"'{path}' is a picture in colours ({opened.mode}); depth is a gray PNG of 16 bits", code="not-depth"
            )
        values = np.asarray(opened, np.float32)
    return np.where(values > 0, values / np.float32(values_per_meter), np.float32(np.nan))


@contextmanager
def _map_pillow_errors(name: str) -> Iterator[None]:
    """Raises each of Pillow's many errors as a SourceOpenError."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise SourceOpenError(
            f"{name} is not a picture of a known format; give PNG, JPEG, WebP, TIFF...; videos are for "
            "`streamdepth convert`",
            code="unknown-format",
        ) from error
    except Pillow.DecompressionBombError as error:
        raise SourceOpenError(
            f"{name} has more pixels than Pillow allows; make it smaller first ({error})", code="too-large"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, Warning) as error:
        raise SourceOpenError(
            f"{name} cannot be decoded, it is damaged or cut off: {error}", code="undecodable"
        ) from error


def _to_rgb(picture: Pillow.Image) -> Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return np.repeat(_to_eight_bits(np.asarray(picture, np.float64))[..., None], 3, axis=2)
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")
    return np.array(picture.convert("RGB"))


def _to_eight_bits(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Converts gray levels 0..65535, or 0..1 as in floating-point pictures, to uint8; NaN becomes black."""
    top = 1.0 if values.max(initial=0, where=np.isfinite(values)) <= 1 else 65535.0
    return np.nan_to_num(np.clip(values * (255 / top) + 0.5, 0, 255)).astype(np.uint8)


def is_web_address(address: str) -> bool:
    """True for an http or https address."""
    return address.lower().startswith(("http://", "https://"))


def _read_bytes(address: str, name: str) -> io.BytesIO:
    if is_web_address(address):
        return download_picture(address, name)
    if not address:
        raise SourceOpenError("the picture's name is empty; give a path or an http link", code="empty")
    try:
        data = Path(address).read_bytes()
    except FileNotFoundError as error:
        raise SourceOpenError(
            f"{name} does not exist; check the spelling and the current folder", code="not-found"
        ) from error
    except IsADirectoryError as error:
        raise SourceOpenError(f"{name} is a folder, not a picture", code="is-folder") from error
    except PermissionError as error:
        raise SourceOpenError(f"{name} may not be read; check its permissions", code="no-permission") from error
    if not data:
        raise SourceOpenError(f"{name} is empty (0 bytes)", code="empty")
    return io.BytesIO(data)
