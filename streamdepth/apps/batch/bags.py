"""Bags of robots among the inputs of a batch: folders of ROS 2 and files, with or without a topic behind `#`."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from streamdepth.sources.rosbag import BAG_SUFFIXES, split_bag_address
from streamdepth.utils.file_patterns import local_path, match_files

_COMPRESSED = ".zst"


def is_bag(address: str) -> bool:
    """True if an address names one bag: a folder with metadata.yaml, or a file that ends as bags do."""
    if "://" in address or glob.has_magic(_split_topic(address)[0]):
        return False
    return split_bag_address(address) is not None


def list_bags(folder: str) -> list[str]:
    """Returns the paths of the bags in a folder, without those of its subfolders, sorted."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # reading it says what is wrong
        return []
    return [local_path(path) for name in names if _holds_bag(path := os.path.join(folder, name))]


def matching_bags(pattern: str) -> list[str]:
    """Returns the bags that match a pattern, sorted, each with the pattern's topic; empty for other addresses.

    A file inside the folder of a bag does not count as a bag.
    """
    path, topic = _split_topic(pattern)
    if "://" in pattern or not glob.has_magic(path) or os.path.exists(path):
        return []
    found = match_files(path, is_wanted=_holds_bag)
    folders = {bag for bag in found if os.path.isdir(bag)}
    return [f"{bag}{topic}" for bag in found if not any(str(p) in folders for p in Path(bag).parents)]


def bag_path(address: str) -> str:
    """Returns the path of the bag of an address, without its topic."""
    return _split_topic(address)[0]


def bag_names(addresses: Sequence[str]) -> list[str]:
    """Returns the path after which the outputs of each address are named.

    It has no `.zst`, and ends with the topic if several topics of one bag are read.
    """
    paths = [_split_topic(address) for address in addresses]
    count = Counter(path for path, _ in paths)
    names = [path.removesuffix(_COMPRESSED) for path, _ in paths]
    topics = [topic.removeprefix("#").replace("/", "_") if count[path] > 1 else "" for path, topic in paths]
    stems = [
        name[: len(name) - len(Path(name).suffix)] if topic else name for name, topic in zip(names, topics, strict=True)
    ]
    return [f"{stem}{topic}" for stem, topic in zip(stems, topics, strict=True)]


def bag_fingerprint(address: str) -> tuple[int, str] | None:
    """Returns the size in bytes and a text that changes with a bag's files; None where there is none."""
    path = Path(_split_topic(address)[0])
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        return None
    return sum(size for _, size, _ in states), hashlib.blake2b(repr(states).encode(), digest_size=10).hexdigest()


def _split_topic(address: str) -> tuple[str, str]:
    """Returns the path of a bag or of a pattern, and `#/topic` or ""."""
    path, separator, topic = address.rpartition("#/")
    return (path, f"#/{topic}") if separator else (address, "")


def _holds_bag(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "metadata.yaml"))
    return path.lower().endswith(BAG_SUFFIXES) and os.path.isfile(path)
