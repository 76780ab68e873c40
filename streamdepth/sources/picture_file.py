"""Reading of single pictures: from a file, from the web, or as a PIL image; and of depth stored as PNG."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from streamdepth.core.arrays import DepthMap, Image, Mask
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera import intrinsics_from_exif
from streamdepth.sources.black_bars import bars_notice
from streamdepth.sources.deep_samples import read_samples, row_slices
from streamdepth.sources.exr_picture import is_exr, read_exr
from streamdepth.sources.libav_picture import is_heic, read_heic
from streamdepth.sources.limits import MAX_SIDE_PX, check_picture_size
from streamdepth.sources.raw_photo import is_raw_photo, open_preview
from streamdepth.sources.sample_levels import SampleLevels, to_eight_bits
from streamdepth.sources.transparency import composite, transparency_notice
from streamdepth.sources.untrusted_picture import map_picture_errors, open_picture
from streamdepth.sources.web_picture import download_picture
from streamdepth.utils.redact import redact

_ORIENTATION = 0x0112
"""EXIF's tag of the orientation."""
_PAGES_REMARK = "has several pages, and the first is read; save the others as files to read them"
_FORMATS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), ("JPEG", "MPO")),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    **dict.fromkeys((".heic", ".heif"), ("HEIF",)),
    **dict.fromkeys((".ppm", ".pgm"), ("PPM",)),
    **{f".{name.lower()}": (name,) for name in ("PNG", "WEBP", "GIF", "AVIF", "EXR")},
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"), ()),
}
"""Suffix -> the formats that are usual in such files."""


class LoadedPicture(NamedTuple):
    """A decoded picture with what its file says about it."""

    pixels: Image
    """(H, W, 3) uint8 RGB, upright."""
    valid: Mask | None
    """(H, W), False for transparent pixels, or for black bars; None if there are none."""
    intrinsics: Intrinsics | None
    """The camera, where EXIF has the focal length."""
    file_format: str = ""
    """Format by the file's content, such as PNG, JPEG, HEIF or EXR; "" for a picture that comes from no file."""
    levels: SampleLevels | None = None
    """How samples of more than 8 bits became 8."""
    remarks: tuple[str, ...] = ()
    """What the user should know about the reading of the file, each to be read after the picture's name."""
    has_bars: bool = False
    """True where `valid` excludes black bars."""

    def notices(self, name: str) -> list[str]:
        """Returns notices about how the picture `name` was changed for display."""
        found = []
        if self.valid is not None:
            found.append(bars_notice(name, self.valid) if self.has_bars else transparency_notice(name))
        found += [f"{name} {remark}" for remark in self.remarks]
        if self.levels is not None and (text := self.levels.notice(name)):
            found.append(text)
        usual = _FORMATS.get(Path(name).suffix.lower())
        if usual is not None and self.file_format and self.file_format not in usual and "://" not in name:
            found.append(f"{name} is {self.file_format} by its content, whatever its name says, and read as that")
        return found


def read_picture(picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX) -> Image:
    """Returns a picture as (H, W, 3) uint8 RGB, upright as its EXIF says.

    Gray and colors of 10 to 16 bits, and gray of floating point, are stretched to 8 bits (`SampleLevels`), OpenEXR's
    linear light becomes sRGB, transparent parts become neutral gray, and an animation gives its first picture. Raises
    SourceOpenError, or SourceTimeoutError when a server does not answer.

    Args:
        picture: a path, an http(s) address or a PIL image.
    """
    return load_picture(picture, max_side_px=max_side_px).pixels


def load_picture(
    picture: str | Path | Pillow.Image, *, max_side_px: int = MAX_SIDE_PX, levels: SampleLevels | None = None
) -> LoadedPicture:
    """Returns the pixels of `read_picture`, the mask of opaque ones, and EXIF's camera. Raises the same errors.

    Args:
        picture: a path, an http(s) address or a PIL image.
        max_side_px: the largest side that is read.
        levels: shared by the pictures of a sequence.
    """
    if not isinstance(picture, (str, Path, Pillow.Image)):
        raise ConfigError(
            f"a picture is a path, an http(s) address or a PIL image, not a {type(picture).__name__}; "
            "PIL.Image.fromarray makes one of an array in RGB",
            code="not-a-picture",
        )
    data = b""
    name = "the picture" if isinstance(picture, Pillow.Image) else redact(str(picture))
    if isinstance(picture, Pillow.Image):
        check_picture_size(name, *picture.size, max_side_px)
        opened = picture
    else:
        data = _read_bytes(picture, name)
        if is_exr(data):
            exr = read_exr(data, name, max_side_px)
            return LoadedPicture(exr.pixels, exr.valid, None, "EXR", remarks=exr.remarks)
        if is_heic(data) and not _register_heif():
            return LoadedPicture(read_heic(data, name, max_side_px), None, None, "HEIF")
        if is_raw_photo(data):
            return _load_preview(data, name, max_side_px)
        opened = open_picture(data, name, max_side_px=max_side_px)
    with map_picture_errors(name):
        levels = levels or SampleLevels()
        exif, file_format = opened.getexif(), opened.format or ""
        has_more_pages = file_format == "TIFF" and opened.tag_v2.next != 0  # type: ignore[attr-defined]
        if data:
            opened = read_samples(opened, data, name, levels)
        upright = opened if opened.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(opened)
        pixels, valid = _to_rgb(upright, levels)
        camera = intrinsics_from_exif(exif, pixels.shape[1], pixels.shape[0])
        return LoadedPicture(pixels, valid, camera, file_format, levels, (_PAGES_REMARK,) * has_more_pages)


def _load_preview(data: bytes, name: str, max_side_px: int) -> LoadedPicture:
    """Returns the preview within a raw photo, turned as the photo says, with the photo's camera."""
    opened, exif = open_preview(data, name, max_side_px)
    with map_picture_errors(name):
        opened.getexif().setdefault(_ORIENTATION, exif.get(_ORIENTATION, 1))
        pixels, valid = _to_rgb(ImageOps.exif_transpose(opened), SampleLevels())
        height, width = pixels.shape[:2]
        remark = f"is a raw photo, and the preview of {width}x{height} px that it holds is read"
        return LoadedPicture(pixels, valid, intrinsics_from_exif(exif, width, height), remarks=(remark,))


def read_picture_file(path: Path) -> Pillow.Image:
    """Returns a picture as it is stored, its pixels decoded. Raises SourceOpenError."""
    picture = open_picture(_read_bytes(path, str(path)), str(path))
    with map_picture_errors(str(path)):
        picture.load()
    return picture


def read_depth_png(path: Path, values_per_meter: float) -> DepthMap | None:
    """Returns (H, W) float32 meters of a gray PNG of 8 or 16 bits, NaN where it is 0; None where there is no file.

    Raises SourceOpenError.
    """
    if not os.path.isfile(path):
        return None
    opened = read_picture_file(path)
    if not opened.mode.startswith(("I", "L")):
        raise SourceOpenError(
            f"'{path}' is a picture in colors ({opened.mode}); depth is a gray PNG of 16 bits", code="not-depth"
        )
    values = np.asarray(opened, np.float32)
    return np.where(values > 0, values / np.float32(values_per_meter), np.float32(np.nan))


def _register_heif() -> bool:
    """Lets Pillow read HEIC, also of several tiles, where the extra `heic` is installed; returns whether it is."""
    try:
        import pi_heif
    except ImportError:
        return False
    pi_heif.register_heif_opener()
    return True


def _to_rgb(picture: Pillow.Image, levels: SampleLevels) -> tuple[Image, Mask | None]:
    """Returns RGB, and the mask of opaque pixels; None where all are.

    Converts a few rows at a time: a photo of 200 megapixels has 0.8 GB in Pillow, and each copy as much again.
    """
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        low, high = levels.fit(values)
        for rows in row_slices(picture.height, picture.width):
            pixels[rows] = to_eight_bits(values[rows], low, high)[..., None]
        return pixels, None
    picture.load()
    valid: Mask | None = None
    for rows in row_slices(picture.height, picture.width):
        part = picture.crop((0, rows.start, picture.width, rows.stop))
        if part.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in part.info:
            part = part.convert("RGBA")
        if part.mode != "RGBA":
            pixels[rows] = np.asarray(part.convert("RGB"))
            continue
        pixels[rows], opaque = composite(np.asarray(part))
        if opaque is not None:
            valid = np.ones(pixels.shape[:2], np.bool_) if valid is None else valid
            valid[rows] = opaque
    return pixels, valid


def is_web_address(address: str) -> bool:
    """True for an http or https address."""
    return address.lower().startswith(("http://", "https://"))


def _read_bytes(address: str | Path, name: str) -> bytes:
    """Returns the content of a file, not empty; only a text may be an http(s) address, a Path is always a file."""
    is_on_web = isinstance(address, str) and is_web_address(address)
    data = download_picture(str(address), name) if is_on_web else _read_file(address, name)
    if not data:
        raise SourceOpenError(f"{name} is empty (0 bytes)", code="empty")
    return data


def _read_file(address: str | Path, name: str) -> bytes:
    if not str(address):
        raise SourceOpenError("the picture's name is empty; give a path or an http link", code="empty")
    try:
        return Path(address).read_bytes()
    except FileNotFoundError as error:
        raise SourceOpenError(
            f"{name} does not exist; check the spelling and the current folder", code="not-found"
        ) from error
    except IsADirectoryError as error:
        raise SourceOpenError(f"{name} is a folder, not a picture", code="is-folder") from error
    except PermissionError as error:
        raise SourceOpenError(f"{name} may not be read; check its permissions", code="no-permission") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceOpenError(f"{name[:200]} cannot be read: {reason}; check the path", code="not-found") from error
