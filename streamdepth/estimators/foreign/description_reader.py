"""Reads descriptions of ONNX files: YAML files, mappings, and texts such as `kind=metric`, checked key by key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.foreign.confidence import Confidence
from streamdepth.estimators.foreign.description import FOCAL, KINDS, Scale, Size, Threshold, description_error
from streamdepth.estimators.foreign.interface import LAYOUTS
from streamdepth.utils.strict_yaml import load_yaml

_GRAY_LEVELS = 255.0
_COMPARISON = re.compile(r"\s*([^\s<>=]+)\s*(?:>=?\s*([-+.\deE]+))?\s*")


def parse_description(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the fields of `Description` that a mapping gives, checked.

    where: the file or the setting, for messages. Raises ConfigError with the code "bad-description".

    >>> parse_description({"kind": "metric", "scale": "focal_px / 300", "size": "long 504"}, "depth.yaml")["size"]
    Size(width=504, height=504, bounds='long')
    """
    parsed = {}
    for key, value in given.items():
        if key not in _PARSERS:
            raise description_error(
                where, f"it has no key {key!r}{_nearest(str(key))}; allowed are {', '.join(_PARSERS)}"
            )
        try:
            parsed[key] = _PARSERS[key](value)
        except (ValueError, TypeError, OverflowError) as error:
            raise description_error(where, f"{key} is {_short(value)}, and {error}") from error
    return parsed


def read_description(path: Path) -> dict[str, Any]:
    """Returns the checked fields of a description's YAML file. Raises ConfigError ("not-found", "bad-description")."""
    try:
        given = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no description '{path}'; write kind: {' | '.join(KINDS)} into it", code="not-found"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise description_error(f"'{path}'", f"it cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(given, Mapping):
        raise description_error(
            f"'{path}'", f"it is no mapping; write lines such as kind: inverse, with {', '.join(_PARSERS)}"
        )
    return parse_description(given, f"'{path}'")


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Returns the checked fields of texts such as `kind=metric`. Raises ConfigError with the code "bad-description"."""
    return parse_description({k.strip(): v for k, v in (t.split("=", 1) for t in texts)}, "the setting description")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, list(_PARSERS), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _choice(*allowed: str, upper: bool = False) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = str(value).upper() if upper else str(value).lower()
        if text not in allowed:
            raise ValueError(f"allowed are {', '.join(allowed)}")
        return text

    return parse


def _name(value: Any) -> str:
    if isinstance(value, (bool, float, Mapping, list)) or value is None or not str(value).strip():
        raise ValueError("it is a name")
    return str(value).strip()


def _scale(value: Any) -> Scale:
    """Reads a product such as `focal_px / 300`: numbers, focal_px, and at most one output of the file."""
    number, focal_power, output = 1.0, 0, None
    parts = ["*", *re.split(r"([*/])", str(value))]
    for sign, factor in zip(parts[::2], parts[1::2], strict=True):
        name, power = factor.strip(), -1 if sign == "/" else 1
        if name == FOCAL:
            focal_power += power
        elif _is_number(name):
            number *= float(name) ** power
        elif re.fullmatch(r"[A-Za-z_][\w.:-]*", name) and power == 1 and output is None:
            output = name
        else:
            raise ValueError(f"allowed is a product such as 0.5, {FOCAL} / 300 or the name of an output")
    if not (math.isfinite(number) and number > 0):
        raise ValueError("its number has to be greater than 0")
    return Scale(number, focal_power, output)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def _numbers(value: Any) -> list[float]:
    parts = re.split(r"[,\s]+", value.strip(" []()")) if isinstance(value, str) else value
    return [float(v) for v in (parts if isinstance(parts, (list, tuple)) else [parts])]


def _triple(value: Any) -> tuple[float, ...]:
    """Reads one number or three: of a picture of 0 to 1, or of gray levels where one is greater than 1."""
    found = _numbers(value)
    if len(found) not in (1, 3) or not all(map(math.isfinite, found)):
        raise ValueError("allowed is one number, or three in the order of the colors")
    per_white = _GRAY_LEVELS if max(map(abs, found)) > 1 else 1.0
    triple = tuple(v / per_white for v in found)
    return triple if len(triple) == 3 else triple * 3


def _std(value: Any) -> tuple[float, ...]:
    found = _triple(value)
    if min(found) <= 0:
        raise ValueError("all have to be greater than 0")
    return found


def _whole(value: Any) -> int:
    number = float(value)
    if isinstance(value, bool) or number != int(number) or not 1 <= number <= 16384:
        raise ValueError("allowed is a whole number of px from 1 to 16384")
    return int(number)


def _size(value: Any) -> Size | None:
    """Reads `384` (the short side), `long 504`, `640x384` (width and height) or `picture`."""
    text = "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value).strip().lower()
    if text == "picture":
        return None
    if match := re.fullmatch(r"(\d+)\s*x\s*(\d+)", text):
        return Size(_whole(match[1]), _whole(match[2]), "both")
    if match := re.fullmatch(r"(?:(short|long)\s+)?(\d+)", text):
        side = _whole(match[2])
        return Size(side, side, match[1] or "short")
    raise ValueError("allowed are px of the short side such as 384, `long 504`, 640x384 (width x height) or `picture`")


def _yes(value: Any) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("allowed are true and false")
    return words[str(value).lower()]


def _threshold(value: Any) -> Threshold:
    match = _COMPARISON.fullmatch(_name(value))
    if match is None:
        raise ValueError("allowed is the name of an output, or a comparison such as `sky > 0.3`")
    return Threshold(match[1]) if match[2] is None else Threshold(match[1], float(match[2]))


def _inputs(value: Any) -> dict[str, float]:
    if isinstance(value, str):
        value = dict(part.split(":", 1) for part in value.split(","))
    if not isinstance(value, Mapping):
        raise ValueError("allowed are the names of inputs with a number each")
    return {_name(name): float(number) for name, number in value.items()}


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "kind": _choice(*KINDS),
    "scale": _scale,
    "mean": _triple,
    "std": _std,
    "color": _choice("rgb", "bgr"),
    "layout": _choice(*LAYOUTS, upper=True),
    "size": _size,
    "multiple": _whole,
    "keep_aspect": _yes,
    "output": _name,
    "confidence": lambda value: Confidence.parse(_name(value)),
    "sky": _threshold,
    "licence": _name,
    "inputs": _inputs,
}
"""The keys of a description and how their values are read."""
