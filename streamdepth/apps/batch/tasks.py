"""The tasks of a batch: each input file with its own settings, and outputs whose names mirror the inputs'."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from streamdepth import factory
from streamdepth.apps.batch.bags import bag_path, is_bag
from streamdepth.apps.batch.inputs import (
    absolute,
    common_folder,
    fixed_folder,
    is_inside,
    matching_files,
    may_exist,
    name_of_missing_file,
    stands_for_files,
    unique_names,
)
from streamdepth.config import Settings, result_values, table
from streamdepth.core.errors import ConfigError
from streamdepth.factory.naming import NAME_FIELD, is_shared_output
from streamdepth.sinks.standard_output import STANDARD_OUTPUT
from streamdepth.utils import storage
from streamdepth.utils.numbering import find_numbered_files, has_number_field
from streamdepth.utils.redact import redact

_PHOTO_SUFFIXES = {"output": ".jpg", "depth_out": ".png"}
"""The suffixes for photos that differ from `_OUTPUT_SUFFIXES`."""
_NUMBERED_PICTURES = (".png", ".exr", ".npz")
_OUTPUT_SUFFIXES = {"output": ".mp4", "depth_out": ".mkv", "points": "_%06d.ply", "mesh": "_%06d.glb"}
"""Settings that name a folder in a batch -> what the names of the files in it end with."""
NUMBERED_OUTPUTS = ("points", "mesh")
"""Outputs that are a numbered file for every N-th frame; they exist on local disks only."""
_FILE_SETTINGS = ("model", "camera_info", "sparse")
"""Settings that may name a file, whose content changes the outputs."""


@dataclass(frozen=True, slots=True)
class ConversionTask:
    """One file to convert."""

    name: str
    """Path of its outputs below their folders, without a suffix; unique within a batch."""
    source: str
    """Path or address of the file."""
    settings: Settings
    """The settings of this file alone, with the full paths of its outputs."""

    @property
    def output_paths(self) -> list[Path]:
        """Paths of all outputs; of a numbered output, its pattern."""
        return [path for path in _output_paths(self.settings).values() if path is not None]

    @property
    def output_addresses(self) -> dict[str, str]:
        """Setting -> path or address of that output; of a numbered output, its pattern."""
        paths = _output_paths(self.settings)
        return {setting: storage.address_from_path(path) for setting, path in paths.items() if path is not None}

    def existing_numbered_files(self) -> list[Path]:
        """Returns the files of all numbered outputs that exist now."""
        addresses = self.output_addresses
        patterns = [Path(address) for setting, address in addresses.items() if is_numbered(setting, address)]
        return [file for pattern in patterns if pattern.parent.is_dir() for file in find_numbered_files(pattern)]


def is_batch(settings: Settings) -> bool:
    """True if the sources are files to be converted one by one: several files, a pattern or a folder of media.

    Pictures alone are photos, one by one, where the outputs are folders, and frames of one stream otherwise.
    """
    outputs = settings.outputs
    has_others = outputs.push or outputs.publish or settings.zones.outputs
    if outputs.window or has_others or settings.realtime or not settings.source:
        return False
    if settings.streams or len(settings.names) > 1 or len(settings.robot.mount) > 1:
        return False  # cameras of one robot, which belong together
    if len(settings.source) > 1 and outputs.depth is not None and is_shared_output(outputs.depth):
        return False
    has_folders = _has_folder_outputs(settings)
    patterns = [stands_for_files(address, has_folders) for address in settings.source]
    are_photos_files = has_folders and len(patterns) > 1
    bags = [bag_path(address) for address in settings.source if is_bag(address)]
    are_recordings = len(set(bags)) == len(bags)  # topics of one bag are the cameras of one robot, at the same time
    are_files = all(
        is_pattern
        or (are_recordings if is_bag(address) else factory.is_video_file(address))
        or (are_photos_files and factory.is_picture(address))
        for is_pattern, address in zip(patterns, settings.source, strict=True)
    )
    is_many = are_files and (len(patterns) > 1 or any(patterns))
    if is_many and outputs.video == STANDARD_OUTPUT:
        raise ConfigError(
            "the output - is standard output, which takes one video; give one source, or a folder", code="conflict"
        )
    return is_many


def is_numbered(setting: str, address: str) -> bool:
    """True if an output is a numbered file for each frame; its address is a pattern then."""
    name = PurePosixPath(address)
    return setting in NUMBERED_OUTPUTS or (name.suffix.lower() in _NUMBERED_PICTURES and has_number_field(name.name))


def _has_folder_outputs(settings: Settings) -> bool:
    """True if there are outputs, and all of them are folders or hold {name}."""
    paths = [path for path in _output_paths(settings).values() if path is not None]
    return bool(paths) and all(
        (not path.suffix and path != STANDARD_OUTPUT) or NAME_FIELD in str(path) for path in paths
    )


def find_tasks(settings: Settings) -> list[ConversionTask]:
    """Returns a task for each file that the settings' sources match, in the order of their names, each file once.

    Files inside an output folder are left out: they are results. A source without a wildcard that does not exist gets
    a task as well, which fails alone.

    Raises:
        ConfigError: if an output is not a folder, or all files lie inside an output folder ("inside-output").
        SourceOpenError: if nothing matches a pattern ("not-found").
    """
    folders, addresses = output_folders(settings), settings.source
    sources: dict[str, str] = {}
    for source in (s for address in addresses for s in matching_files(address)):
        sources.setdefault(absolute(source), source)
    inputs = [s for s in sources.values() if not any(is_inside(s, folder) for folder in folders.values())]
    if sources and not inputs:
        raise ConfigError(
            f"all that matches {', '.join(map(redact, settings.source))} lies inside an output folder, where results "
            "would be taken for videos the next time; choose another folder for the outputs",
            code="inside-output",
        )
    existing = [source for source in inputs if may_exist(source)]
    root = common_folder([fixed_folder(address) for address in addresses if may_exist(address)])
    names = dict(zip(existing, unique_names(existing, root), strict=True))
    for source in inputs:
        names.setdefault(source, name_of_missing_file(source, names.values()))
    return [ConversionTask(names[source], source, _task_settings(settings, source, names[source])) for source in inputs]


def output_folders(settings: Settings) -> dict[str, Path]:
    """Returns setting -> output folder. Raises ConfigError, with the code "not-a-folder" if an output is a file."""
    if settings.outputs.segment:
        raise ConfigError("segments are for streams without an end; leave --segment out for files", code="segment")
    folders = {name: path for name, path in _output_paths(settings).items() if path is not None}
    if settings.outputs.ply_every and not (settings.outputs.points or settings.outputs.mesh):
        folders["points"] = Path()
    for name, path in folders.items():
        if NAME_FIELD in str(path):
            outer = itertools.takewhile(lambda part: NAME_FIELD not in part, path.parts)
            folders[name] = Path(*outer)
        elif path.suffix:
            raise ConfigError(
                f"several files need a folder to write to, not the file '{path}'; or put {{name}} where the name of "
                f"each is to stand, such as '{path.with_name('{name}' + path.suffix)}'",
                code="not-a-folder",
            )
    return folders


def settings_fingerprint(settings: Settings) -> str:
    """Returns a hash that is equal for settings with the same results; files that they name count by size and time."""
    values = result_values(settings)
    for name in _FILE_SETTINGS:
        value = table()[name].value(settings)
        for path in () if value is None else (str(value), str(value).rpartition("#")[0]):  # file#camera, too
            if path and Path(path).exists():
                values[f"{name}'s file"] = storage.fingerprint(path, ConfigError)
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=10).hexdigest()


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Returns the settings that change results and are not at their defaults."""
    return result_values(settings, only_changed=True)


def _output_paths(settings: Settings) -> dict[str, Path | None]:
    """Returns setting -> path of every output that names a folder in a batch; None where it is not wanted."""
    return {name: table()[name].value(settings) for name in _OUTPUT_SUFFIXES}


def _task_settings(settings: Settings, source: str, name: str) -> Settings:
    suffixes = _OUTPUT_SUFFIXES | _PHOTO_SUFFIXES if factory.is_picture(source) else _OUTPUT_SUFFIXES
    paths = {setting: path for setting, path in _output_paths(settings).items() if path is not None}
    if settings.outputs.ply_every and not (settings.outputs.points or settings.outputs.mesh):
        paths["points"] = Path()
    outputs: dict[str, Any] = {
        setting: Path(str(path).replace(NAME_FIELD, name))
        if NAME_FIELD in str(path)
        else path / f"{name}{suffixes[setting]}"
        for setting, path in paths.items()
    }
    return settings.replace(**outputs, source=(source,), stats=None, cluster=None)
