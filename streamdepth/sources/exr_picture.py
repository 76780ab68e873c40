"""Reading of OpenEXR pictures: linear light that becomes sRGB, with the facts of the file's header."""

from __future__ import annotations

import struct
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image, Mask
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.masks import shrink_mask
from streamdepth.core.resize import shrink
from streamdepth.sources.libav_picture import decode_frame
from streamdepth.sources.limits import check_picture_size
from streamdepth.sources.transparency import BACKGROUND, valid_where_opaque

_MAGIC = b"\x76\x2f\x31\x01"
_MULTIPART = 0x10
"""Flag in the second byte of the version."""
_SAMPLE_TYPES = ("uint", "half", "float")
_CHROMATICITIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""x and y of red, green, blue and white by BT.709, which are those of sRGB, and of files that state none."""
_SAME_CHROMATICITY = 0.002
_LARGEST_ASPECT = 8
_LINEAR_BACKGROUND = ((BACKGROUND / 255 + 0.055) / 1.055) ** 2.4
"""The background of transparent pictures in linear light."""


class ExrPicture(NamedTuple):
    """The pixels of an OpenEXR file, and what was done to them."""

    pixels: Image
    """(H, W, 3) uint8 in sRGB (IEC 61966-2-1), with square pixels."""
    valid: Mask | None
    """(H, W), False for transparent pixels; None if all are opaque."""
    remarks: tuple[str, ...]
    """What the user should know, each to be read after the picture's name."""


def is_exr(data: bytes) -> bool:
    """True for the content of an OpenEXR file."""
    return data.startswith(_MAGIC)


def read_exr(data: bytes, name: str, max_side_px: int) -> ExrPicture:
    """Returns the first part of an OpenEXR file, whose values are linear light, as sRGB.

    The colors are taken as premultiplied by alpha, as OpenEXR defines them. Light above 1 is clipped, NaN becomes
    black. Raises SourceOpenError: "undecodable", "unknown-pixels" for a file without channels of light, or "too-large".
    """
    try:
        parts = _headers(data)
        for window in ("dataWindow", "displayWindow"):
            left, top, right, bottom = struct.unpack("<4i", parts[0][window])
            check_picture_size(name, max(0, right - left + 1), max(0, bottom - top + 1), max_side_px)
        channels = _channels(parts[0]["channels"])
        aspect, remarks = _pixel_aspect(parts[0]), _remarks(parts)
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise SourceOpenError(f"the header of the OpenEXR file {name} is damaged", code="undecodable") from error
    frame = _decode(data, name, channels)
    pixels, valid = _to_rgb(_planes(frame))
    width = max(1, round(frame.width * aspect)) if _is_plausible(aspect) else frame.width
    if width != frame.width:
        check_picture_size(name, width, frame.height, max_side_px)
        pixels = shrink(pixels, width, frame.height)
        valid = None if valid is None else shrink_mask(valid, width, frame.height)
    return ExrPicture(pixels, valid, remarks)


def _decode(data: bytes, name: str, channels: dict[str, str]) -> av.VideoFrame:
    """Returns the first part, in floating point. Raises SourceOpenError, with the reason that the channels give."""
    message = (
        f"the OpenEXR file {name} is damaged, or of a kind that cannot be read; save it anew as scan lines of R, G and "
        "B, half or float, with ZIP compression"
    )
    try:
        frame = decode_frame(data, name, "exr_pipe", message)
        if not any(kind in frame.format.name for kind in ("f16", "f32")):
            raise SourceOpenError(message, code="undecodable")
        return frame
    except SourceOpenError as error:
        if refusal := _refusal(name, channels):
            raise refusal from error
        raise


def _headers(data: bytes) -> list[dict[str, bytes]]:
    """Returns the attributes of each part by their names. Raises IndexError or ValueError if they are cut off."""
    parts: list[dict[str, bytes]] = []
    position, is_multipart = 8, bool(data[5] & _MULTIPART)
    while True:
        attributes: dict[str, bytes] = {}
        while data[position]:  # an empty name ends a header
            name_end = data.index(b"\0", position)
            size_at = data.index(b"\0", name_end + 1) + 1
            start = size_at + 4
            end = start + int.from_bytes(data[size_at:start], "little")
            attributes[data[position:name_end].decode("latin-1")] = data[start:end]
            position = end
        position += 1
        if attributes:
            parts.append(attributes)
        if not (is_multipart and attributes):  # an empty header ends those of several parts
            return parts


def _channels(attribute: bytes) -> dict[str, str]:
    """Returns the type of each channel's samples: uint, half or float."""
    found, position = {}, 0
    while attribute[position]:
        end = attribute.index(b"\0", position)
        found[attribute[position:end].decode("latin-1")] = _SAMPLE_TYPES[attribute[end + 1]]
        position = end + 17
    return found


def _pixel_aspect(header: dict[str, bytes]) -> float:
    """Returns width / height of a pixel, as the file states it."""
    return float(struct.unpack("<f", header["pixelAspectRatio"])[0])


def _is_plausible(aspect: float) -> bool:
    return 1 / _LARGEST_ASPECT <= aspect <= _LARGEST_ASPECT


def _remarks(parts: list[dict[str, bytes]]) -> tuple[str, ...]:
    """Returns what of the file is not shown as it is stored."""
    found = ["is taken for linear light, and shown as sRGB"]
    if not _is_plausible(aspect := _pixel_aspect(parts[0])):
        found.append(f"states the pixel aspect ratio {aspect:g}, which is implausible; pixels are taken as square")
    stated = parts[0].get("chromaticities")
    if stated and not np.allclose(struct.unpack("<8f", stated), _CHROMATICITIES, rtol=0, atol=_SAME_CHROMATICITY):
        found.append("has other primaries than sRGB, and its colors are not converted; convert them to BT.709 first")
    if len(parts) > 1:
        found.append(f"has {len(parts)} parts, and the first is read; save the others as files to read them")
    return tuple(found)


def _refusal(name: str, channels: dict[str, str]) -> SourceOpenError | None:
    """Returns the error of a file whose channels are no picture, and what to do about it; None for a picture."""
    shown = {key: kind for key, kind in channels.items() if key in ("R", "G", "B", "Y", "A")}
    layers = sorted({key.rpartition(".")[0] for key in channels if "." in key})
    if "Y" not in shown and not {"R", "G", "B"} <= set(shown):
        has = (
            f"has its channels in layers ({', '.join(layers)})" if layers else f"has the channels {', '.join(channels)}"
        )
        reason = f"{has}, and none named R, G and B, or Y; write those of the picture with these names"
    elif len(set(shown.values())) > 1:
        types = ", ".join(f"{key} {kind}" for key, kind in shown.items())
        reason = f"has channels of different types ({types}); write all as half or all as float"
    elif "uint" in shown.values():
        reason = "has whole numbers (uint) for colors; write them as half or float"
    else:
        return None
    return SourceOpenError(f"the OpenEXR file {name} {reason}", code="unknown-pixels")


def _planes(frame: av.VideoFrame) -> dict[str, npt.NDArray[np.float32]]:
    """Returns (H, W) linear light of each channel: Y or R, G and B, with or without A."""
    kind = np.float16 if "f16" in frame.format.name else np.float32
    if frame.format.name.startswith("ya"):
        order, step = ["YA"], 2
    else:
        order, step = list("GBRA" if frame.format.is_rgb else "Y")[: len(frame.planes)], 1
    found: dict[str, npt.NDArray[np.float32]] = {}
    for keys, plane in zip(order, frame.planes, strict=True):
        values = np.frombuffer(memoryview(plane), kind).reshape(frame.height, -1)[:, : frame.width * step]
        found |= {key: values[:, i::step].astype(np.float32) for i, key in enumerate(keys)}
    return found


def _to_rgb(planes: dict[str, npt.NDArray[np.float32]]) -> tuple[Image, Mask | None]:
    colors = ["Y"] if "Y" in planes else ["R", "G", "B"]
    valid: Mask | None = None
    behind = np.zeros((), np.float32)
    if "A" in planes:
        alpha = np.clip(np.nan_to_num(planes["A"]), 0, 1)
        behind = np.asarray((1 - alpha) * _LINEAR_BACKGROUND, np.float32)
        valid = valid_where_opaque(np.rint(alpha * 255).astype(np.uint8))
    levels = [_to_srgb(np.nan_to_num(planes[key]) + behind) for key in colors]
    return np.dstack(levels * (3 // len(levels))), valid


def _to_srgb(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    light = np.clip(linear, 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: npt.NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return levels
