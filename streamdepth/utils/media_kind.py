"""Tells pictures, videos and other files apart by their content, and lists those of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

MediaKind = Literal["picture", "video"]

_PICTURES = re.compile(
    rb"\x89PNG|\xff\xd8\xff|RIFF....WEBP|II[*+]\0|MM\0[*+]|BM.{4}\0\0\0\0|\x76\x2f\x31\x01|P[2356]\s"
    rb"|....ftyp(?:heic|heix|heim|heis|mif1|avif|avis)",
    re.DOTALL,
)
_VIDEOS = re.compile(
    rb"....ftyp(?!M4A|M4B)|....(?:moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xba\xb3]|FLV\x01"
    rb"|\x30\x26\xb2\x75|\x06\x0e\x2b\x34|YUV4MPEG2|GIF8|DKIF|\.RMF|OggS",
    re.DOTALL,
)
_AUDIO_SUFFIXES = (".mka", ".m4a", ".m4b", ".ogg", ".oga", ".opus", ".mp3", ".wav", ".flac", ".aac")
_TS_PACKET = 188
_WEBP_ANIMATION = 0x02
"""Flag of the extended header (RFC 9649, 2.7)."""
_CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini")
_ARTWORK = re.compile(
    r"(?:.*[-. _])?(?:poster|cover|folder|fanart|backdrop|banner|thumb|thumbnail|landscape|logo|clearlogo|clearart"
    r"|disc|discart|keyart|characterart|albumart)\d*"
)
"""Names of artwork in the libraries of Kodi, Jellyfin, Plex and Windows."""


def is_clutter(name: str) -> bool:
    """True for files that systems create: hidden ones, such as macOS's `._NAME`, and folders' settings."""
    return name.startswith(".") or name.lower() in _CLUTTER


def media_kind(path: str | Path) -> MediaKind | None:
    """Returns the kind of a file by its first bytes; None for other files and for one that cannot be read.

    A pipe is not looked into, because its bytes come once; neither are devices and folders.
    """
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            head = file.read(2 * _TS_PACKET + 16)
    except OSError:
        return None
    if _PICTURES.match(head):
        return "picture"
    is_stream = any(head[at : at + 1] == b"G" == head[at + step : at + step + 1] for at, step in ((0, 188), (4, 192)))
    is_audio = str(path).lower().endswith(_AUDIO_SUFFIXES)
    return "video" if (_VIDEOS.match(head) or is_stream) and not is_audio else None


def is_animation(path: str | Path) -> bool:
    """True for a file that is an animated PNG, WebP or AVIF by its content; pipes are not looked into."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(33)
            if head.startswith(b"\x89PNG"):
                return _has_animation_chunk(file)
    except OSError:
        return False
    is_webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return (is_webp and bool(head[20] & _WEBP_ANIMATION)) or head[4:12] == b"ftypavis"


def _has_animation_chunk(file: BinaryIO) -> bool:
    """True if acTL is among the chunks of a PNG before its first pixels; `file` stands behind the header."""
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False


@dataclass(slots=True)
class FolderMedia:
    """The media in a folder, sorted by name, without those of its subfolders."""

    videos: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Names of subfolders, of artwork beside videos, and of other files that are not media; clutter is not listed."""


def folder_media(folder: str, video_suffixes: tuple[str, ...] = ()) -> FolderMedia:
    """Returns the media in a folder; a picture that is a video's poster or thumbnail is left out.

    Args:
        folder: its path.
        video_suffixes: a file with one of these and unknown content counts as a damaged video.
    """
    found = FolderMedia()
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # reading it says what is wrong
        names = []
    for name in names:
        path = os.path.join(folder, name)
        if is_clutter(name):
            continue
        kind = media_kind(path)
        if kind is None and os.path.isfile(path) and name.lower().endswith(video_suffixes):
            kind = "video"
        {"video": found.videos, "picture": found.pictures, None: found.left_out}[kind].append(path)
    artwork = set(_artwork(found))
    found.pictures = [path for path in found.pictures if path not in artwork]
    found.left_out = [os.path.basename(path) for path in sorted([*found.left_out, *artwork])]
    return found


def _artwork(media: FolderMedia) -> Iterator[str]:
    """Yields the pictures that are artwork of videos beside them; a phone's live photo beside its .mov is not."""
    stems = {Path(video).stem.lower() for video in media.videos if not video.lower().endswith(".mov")}
    for picture in media.pictures:
        stem = Path(picture).stem.lower()
        if media.videos and (_ARTWORK.fullmatch(stem) or stem in stems):
            yield picture
