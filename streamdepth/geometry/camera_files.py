"""Reading of files with cameras: YAML, JSON, OpenCV's FileStorage as YAML or XML, and KITTI's and COLMAP's texts."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera_formats import FileCamera, cameras_in, cameras_in_text
from streamdepth.utils.strict_yaml import load_yaml

_log = logging.getLogger(__name__)
_MAX_BYTES = 2**26
_KNOWN = (
    "known are ROS's camera_info, OpenCV's FileStorage, Kalibr's camchain, EuRoC's sensor.yaml, ORB-SLAM's settings, "
    "camodocal, Basalt, KITTI's calib.txt, NeRF's transforms.json, Open3D's intrinsics, COLMAP's cameras.txt, and "
    "plain fx, fy, cx, cy, width, height"
)


def read_camera_file(path: Path, size: tuple[int, int] | None = None) -> Intrinsics:
    """Reads a camera from a file of any layout in `camera_formats`.

    Args:
        path: the file; `file#name` chooses one of several cameras, such as `camchain.yaml#cam1` or `calib.txt#P0`.
        size: (width, height) of the pictures in px, for files that do not say theirs.

    Raises:
        ConfigError: for a file that cannot be read ("unreadable"), is no camera ("bad-camera"), has no camera of that
            name ("no-such-camera"), or does not say its size where `size` is None ("no-size").
    """
    file, name = _split_name(path)
    try:
        cameras = _read_cameras(file)
        camera = _choose(cameras, name, path)
        if camera.size is None and size is None:
            raise ConfigError(f"'{path}' does not say the size of its pictures", code="no-size")
        return camera.at_size(*(size or (0, 0)))
    except OSError as error:
        raise ConfigError(f"cannot read the camera '{file}': {error.strerror}", code="unreadable") from error
    except (KeyError, IndexError, ValueError, TypeError, OverflowError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"'{file}' is no camera ({reason}); {_KNOWN}", code="bad-camera") from error


def _split_name(path: Path) -> tuple[Path, str | None]:
    file, separator, name = str(path).rpartition("#")
    return (Path(file), name) if separator and not path.exists() else (path, None)


def _choose(cameras: dict[str, FileCamera], name: str | None, path: Path) -> FileCamera:
    if not cameras:
        raise ValueError("there is no camera_matrix, intrinsics or fx in it")
    if name is not None and name not in cameras:
        raise ConfigError(f"'{path}' has no camera '{name}'; it has {', '.join(cameras)}", code="no-such-camera")
    first = next(iter(cameras))
    if name is None and len(cameras) > 1:
        others = ", ".join(list(cameras)[1:])
        _log.warning(
            "'%s' has several cameras: %s is used; others are chosen by '%s#NAME': %s", path, first, path, others
        )
    return cameras[name or first]


def _read_cameras(path: Path) -> dict[str, FileCamera]:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES >> 20} MiB")
    text = path.read_text(encoding="utf-8-sig")
    start = text.lstrip()[:5]
    if start.startswith("<"):
        return cameras_in(_read_xml(text))
    if start.startswith("{"):
        return cameras_in(_read_json(text))
    if found := cameras_in_text(text):
        return found
    fields = _read_yaml(text)
    return cameras_in(fields) if isinstance(fields, dict) else {}


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        return _read_yaml(text)  # YAML's own braces


def _read_yaml(text: str) -> Any:
    """Returns the first document of a YAML text, also of OpenCV's, which has a header and types of its own."""
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("%") or lines[0].rstrip() == "---"):
        del lines[0]
    first = re.split(r"^---", "\n".join(lines), maxsplit=1, flags=re.MULTILINE)[0]
    try:
        return load_yaml(re.sub(r"!!opencv-[\w-]+|!<tag:yaml.org,2002:opencv-[\w-]+>", "", first))
    except yaml.YAMLError as error:
        raise ValueError(f"it is not valid YAML: {' '.join(str(error).split())}") from error


def _read_xml(text: str) -> dict[str, Any]:
    """Returns the values of OpenCV's FileStorage as XML."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("XML with definitions of its own is not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not valid XML: {error}") from error
    return {child.tag: _xml_value(child) for child in root}


def _xml_value(element: ElementTree.Element) -> Any:
    children = {child.tag: _xml_value(child) for child in element}
    return children or (element.text or "").strip().strip('"')
