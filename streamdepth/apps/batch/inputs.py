"""The input files of a batch: those of folders and patterns, and the names of their outputs."""

from __future__ import annotations

import glob
import itertools
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from streamdepth import factory
from streamdepth.apps.batch.bags import bag_names, bag_path, is_bag, list_bags, matching_bags
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.utils import storage
from streamdepth.utils.file_patterns import local_path
from streamdepth.utils.media_kind import folder_media
from streamdepth.utils.numbering import unused_name
from streamdepth.utils.redact import redact

_log = logging.getLogger(__name__)
_SHOWN_NAMES = 8

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".ogv", ".3gp", ".mxf", ".vob", ".y4m", ".h264", ".h265", ".hevc", ".264", ".265"),
)
"""Suffixes of the files that are taken from a folder, or matched by a pattern without a suffix."""


def stands_for_files(address: str, has_folder_outputs: bool) -> bool:
    """True for a folder or a pattern of files to convert one by one."""
    if not _is_local_folder(address):
        is_pattern = bool(matching_bags(address)) or _is_video_pattern(address)
        return is_pattern or (has_folder_outputs and _is_photo_pattern(address))
    media = folder_media(address, VIDEO_SUFFIXES)
    return bool(media.videos) or bool(list_bags(address)) or (has_folder_outputs and bool(media.pictures))


def _is_video_pattern(address: str) -> bool:
    """True if `address` is a pattern of video files; a pattern of pictures is one stream and not a batch."""
    if not glob.has_magic(address) or ("://" in address and not storage.is_remote(address)):
        return False
    if not storage.is_remote(address) and (os.path.exists(address) or factory.is_picture(address)):
        return False
    return bool(_literal_suffix(address)) or any(
        _is_video(found) for found in storage.find_files(address, SourceOpenError)
    )


def _is_photo_pattern(address: str) -> bool:
    """True for a pattern of local files that asks for pictures, or finds some where it has no suffix."""
    if not glob.has_magic(address) or "://" in address or os.path.exists(address):
        return False
    if _literal_suffix(address):
        return factory.is_picture(address)
    return any(map(factory.is_picture, storage.find_files(address, SourceOpenError)))


def _is_local_folder(address: str) -> bool:
    try:
        return (
            not storage.is_remote(address) and "://" not in address and os.path.isdir(address) and not is_bag(address)
        )
    except ValueError:
        return False


def matching_files(address: str) -> list[str]:
    """Returns the files of a folder or a pattern, or the address itself. Raises SourceOpenError if nothing matches."""
    if _is_local_folder(address):
        media, bags = folder_media(address, VIDEO_SUFFIXES), list_bags(address)
        bag_files = {os.path.basename(bag) for bag in bags}
        if left_out := [name for name in media.left_out if name not in bag_files]:
            shown = ", ".join(left_out[:_SHOWN_NAMES]) + (", ..." if len(left_out) > _SHOWN_NAMES else "")
            _log.warning("left out of %s, %d: %s", redact(address), len(left_out), shown)
        return sorted([*map(local_path, (*media.videos, *media.pictures)), *bags])
    bags = matching_bags(address)
    if is_bag(address) or not (bags or _is_video_pattern(address) or _is_photo_pattern(address)):
        return [address]
    found = storage.find_files(address, SourceOpenError)
    found = (
        found if _literal_suffix(address) else [path for path in found if _is_video(path) or factory.is_picture(path)]
    )
    found = sorted({*found, *bags})
    if not found:
        raise SourceOpenError(
            f"no video matches {redact(address)}; quote patterns, and check the spelling and the current folder "
            f"({Path.cwd()})",
            code="not-found",
        )
    return found


def _is_video(address: str) -> bool:
    return PurePosixPath(address).suffix.lower() in VIDEO_SUFFIXES


def _literal_suffix(pattern: str) -> str:
    """Returns the suffix that a pattern asks for, or "" if the suffix has wildcards."""
    suffix = PurePosixPath(pattern).suffix
    return "" if glob.has_magic(suffix) else suffix


def may_exist(address: str) -> bool:
    """False for a local file that does not exist; its folder must not change the names of other files' outputs."""
    return glob.has_magic(address) or storage.is_remote(address) or os.path.exists(bag_path(address))


def is_inside(address: str, folder: Path) -> bool:
    """True if a file lies in this folder; the current folder contains none in this sense."""
    if folder == Path():
        return False
    parent = absolute(storage.address_from_path(folder))
    return absolute(address).startswith(parent.rstrip("/") + "/")


def absolute(address: str) -> str:
    """Returns the absolute path of a local file with forward slashes; a remote address is unchanged."""
    return address if storage.is_remote(address) else Path(os.path.abspath(address)).as_posix()


def fixed_folder(address: str) -> str:
    """Returns the deepest folder that contains every file of a pattern, or the folder of a file."""
    if _is_local_folder(address):
        return absolute(address)
    folders = absolute(bag_path(address)).split("/")[:-1]
    if glob.has_magic(address) and not os.path.exists(address):
        folders = list(itertools.takewhile(lambda part: not glob.has_magic(part), folders))
    return "/".join(folders)


def common_folder(folders: Sequence[str]) -> str:
    """Returns the deepest folder above all of them. Raises ConfigError ("mixed-storage") for different storages."""
    storages = {folder.rpartition("://")[0] for folder in folders}
    if len(storages) > 1:
        raise ConfigError(
            "the files lie in different places, here and elsewhere; convert them one place at a time",
            code="mixed-storage",
        )
    levels = zip(*(folder.split("/") for folder in folders), strict=False)
    return "/".join(names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, levels))


def unique_names(sources: Sequence[str], root: str) -> Iterator[str]:
    """Yields each source's path below `root`, without its suffix unless another source would get the same name."""
    bags = [source for source in sources if is_bag(source)]
    renamed = dict(zip(bags, bag_names(bags), strict=True))
    paths = [absolute(renamed.get(source, source)).removeprefix(root).lstrip("/") for source in sources]
    stems = [
        path if os.path.isdir(bag_path(s)) else os.path.splitext(path)[0]
        for path, s in zip(paths, sources, strict=True)
    ]
    count, full_names = Counter(stems), set(paths)
    for path, stem in zip(paths, stems, strict=True):
        yield path if count[stem] > 1 or stem in full_names else stem


def name_of_missing_file(source: str, taken: Collection[str]) -> str:
    """Returns a name for the manifest, without folders: a missing file has no outputs that would need one."""
    name = absolute(source).strip("/").replace("/", "_")
    return unused_name(name, taken)
