"""What a fleet of files is: each file with its own settings, and outputs whose names mirror the inputs'."""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.utils import storage
from streamdepth.utils.numbering import find_numbered_files, unused_name
from streamdepth.utils.redact import redact

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".ogv", ".3gp", ".mxf", ".vob", ".y4m", ".h264", ".h265", ".hevc", ".264", ".265"),
)
"""What a pattern that names no ending takes."""

_OUTPUTS = {"output": ".mp4", "depth_out": ".mkv", "points": "_%06d.ply", "mesh": "_%06d.glb"}
"""Settings that are folders for a fleet, with what the names in them end in."""
NUMBERED = ("points", "mesh")
"""Of these, what is a file for each of some frames; only here, not elsewhere."""
_NOT_THE_RESULTS = {*_OUTPUTS, "source", "stats", "overwrite", "threads", "throughput", "max_side", "cluster"}
_NOT_THE_RESULTS |= {"allow_partial", "accept_license", "allow_pickle", "network", "camera", "min_free_mb", "resume"}
_NOT_THE_RESULTS |= {"window", "pace", "push", "publish", "web", "wait_for_sources", "hold_last"}
"""Settings that do not change what comes out of a file."""
_FILES = ("model", "camera_info", "sparse")


@dataclass(frozen=True, slots=True)
class Job:
    """One file to convert."""

    name: str
    """Of its outputs below their folders, without an ending; of a fleet no two are the same."""
    source: str
    """The file's address."""
    settings: Settings
    """Of this file alone, with its outputs in full."""

    @property
    def paths(self) -> list[Path]:
        """Of all outputs, of numbered ones the pattern."""
        return [path for setting in _OUTPUTS if (path := getattr(self.settings, setting)) is not None]

    @property
    def outputs(self) -> dict[str, str]:
        """Setting -> address of what is there when it is done; of NUMBERED ones the files' pattern."""
        paths = {setting: getattr(self.settings, setting) for setting in _OUTPUTS}
        return {setting: storage.address_from_path(path) for setting, path in paths.items() if path is not None}

    @property
    def numbered(self) -> list[Path]:
        """The files that are there of all NUMBERED outputs."""
        patterns = (Path(address) for setting, address in self.outputs.items() if setting in NUMBERED)
        return [file for pattern in patterns if pattern.parent.is_dir() for file in find_numbered_files(pattern)]


def is_fleet(settings: Settings) -> bool:
    """Whether the sources are files to be converted one by one: several, or a pattern of videos."""
    if settings.window or settings.pace or settings.push or settings.publish or not settings.source:
        return False
    patterns = [is_pattern(_in_folder(address)) for address in settings.source]
    are_files = all(p or factory.is_file(address) for p, address in zip(patterns, settings.source, strict=True))
    return are_files and (len(patterns) > 1 or any(patterns))


def is_pattern(address: str) -> bool:
    """Whether it stands for videos; patterns of pictures stand for one stream."""
    if not glob.has_magic(address) or ("://" in address and not storage.is_remote(address)):
        return False
    if not storage.is_remote(address) and (os.path.exists(address) or factory.is_picture(address)):
        return False
    return bool(_ending(address)) or any(_is_video(found) for found in storage.find_files(address, SourceOpenError))


def find(settings: Settings) -> list[Job]:
    """All files, each once, in the order of their names. Raises ConfigError and SourceOpenError, also when there are
    none.
    """
    folders, wanted = output_folders(settings), [_in_folder(address) for address in settings.source]
    sources: dict[str, str] = {}
    for source in (s for address in wanted for s in _matches(address)):
        sources.setdefault(_whole(source), source)
    outside = [s for s in sources.values() if not any(_is_inside(s, folder) for folder in folders.values())]
    if sources and not outside:
        raise ConfigError(
            f"all that matches {', '.join(map(redact, settings.source))} lies inside an output folder, where results "
            "would be taken for videos the next time; choose another folder for the outputs"
        )
    here = [source for source in outside if _is_there(source)]
    names = dict(zip(here, _names(here, _root([_fixed(a) for a in wanted if _is_there(a)])), strict=True))
    for source in outside:
        names.setdefault(source, _name_of_missing(source, names.values()))
    return [Job(names[source], source, _settings_of(settings, source, names[source], folders)) for source in outside]


def output_folders(settings: Settings) -> dict[str, Path]:
    """Setting -> folder. Raises ConfigError where it is a file."""
    if settings.segment:
        raise ConfigError("segments are for streams without an end; leave --segment out for files")
    values = {name: getattr(settings, name) for name in _OUTPUTS}
    folders = {name: path for name, path in values.items() if path is not None}
    if settings.ply_every and not (settings.points or settings.mesh):
        folders["points"] = Path()
    for path in folders.values():
        if path.suffix:
            raise ConfigError(f"several files need a folder to write to, not the file '{path}'")
    return folders


def fingerprint(settings: Settings) -> str:
    """Equal for settings that give the same results; files that they name count by size and time."""
    values = settings.model_dump(mode="json", exclude=_NOT_THE_RESULTS)
    for name in _FILES:
        if (value := getattr(settings, name)) is not None and Path(value).exists():
            values[f"{name}'s file"] = storage.fingerprint(str(value), ConfigError)
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=10).hexdigest()


def chosen(settings: Settings) -> dict[str, Any]:
    """What of the settings is not as usual and changes results, for people."""
    return settings.model_dump(mode="json", exclude=_NOT_THE_RESULTS, exclude_defaults=True)


def _settings_of(settings: Settings, source: str, name: str, folders: dict[str, Path]) -> Settings:
    own = {key: folder / f"{name}{_OUTPUTS[key]}" for key, folder in folders.items()}
    return settings.model_copy(update={**own, "source": (source,), "stats": None, "cluster": None})


def _is_there(address: str) -> bool:
    """Whether its folder counts: a name that is misspelt changes no other's output. Patterns have matched by then."""
    return glob.has_magic(address) or storage.is_remote(address) or os.path.exists(address)


def _name_of_missing(source: str, taken: Collection[str]) -> str:
    """It will have no outputs, and needs no folder: only its failure is told under this name."""
    name = _whole(source).strip("/").replace("/", "_")
    return unused_name(name, taken)


def _in_folder(address: str) -> str:
    """A folder with videos and without pictures as a pattern; everything else as it is."""
    if storage.is_remote(address) or not os.path.isdir(address):
        return address
    names = os.listdir(address)
    has_pictures = any(factory.is_picture(os.path.join(address, name)) for name in names)
    return os.path.join(glob.escape(address), "*") if not has_pictures and any(map(_is_video, names)) else address


def _matches(address: str) -> list[str]:
    """Raises SourceOpenError for a pattern that nothing matches. A name that is not there fails in its turn, alone."""
    if not is_pattern(address):
        return [address]
    found = storage.find_files(address, SourceOpenError)
    found = found if _ending(address) else [path for path in found if _is_video(path)]
    if not found:
        raise SourceOpenError(
            f"no video matches {redact(address)}; quote patterns, and check the spelling and the current folder "
            f"({Path.cwd()})"
        )
    return found


def _is_video(address: str) -> bool:
    return PurePosixPath(address).suffix.lower() in VIDEO_SUFFIXES


def _ending(pattern: str) -> str:
    """The suffix that a pattern asks for, without magic in it."""
    suffix = PurePosixPath(pattern).suffix
    return "" if glob.has_magic(suffix) else suffix


def _is_inside(address: str, folder: Path) -> bool:
    if folder == Path():
        return False
    whole = _whole(storage.address_from_path(folder))
    return _whole(address).startswith(whole.rstrip("/") + "/")


def _whole(address: str) -> str:
    """With all its folders."""
    return address if storage.is_remote(address) else Path(os.path.abspath(address)).as_posix()


def _fixed(address: str) -> str:
    """The folder that all files of a pattern are in, or that of a file."""
    folders = _whole(address).split("/")[:-1]
    if is_pattern(address):
        folders = list(itertools.takewhile(lambda part: not glob.has_magic(part), folders))
    return "/".join(folders)


def _root(folders: Sequence[str]) -> str:
    """The deepest folder above all. Raises ConfigError for different storages."""
    places = {folder.rpartition("://")[0] for folder in folders}
    if len(places) > 1:
        raise ConfigError("the files lie in different places, here and elsewhere; convert them one place at a time")
    levels = zip(*(folder.split("/") for folder in folders), strict=False)
    return "/".join(names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, levels))


def _names(sources: Sequence[str], root: str) -> Iterator[str]:
    """Where each lies below `root`, without its ending unless that is, or names, another one too."""
    below = [_whole(source).removeprefix(root).lstrip("/") for source in sources]
    stems = [path[: len(path) - len(PurePosixPath(path).suffix)] for path in below]
    count, whole = Counter(stems), set(below)
    yield from (path if count[stem] > 1 or stem in whole else stem for path, stem in zip(below, stems, strict=True))
