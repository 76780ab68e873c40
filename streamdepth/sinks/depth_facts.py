"""The facts of a depth video: their meaning, their place in the file, and the checks when they are read back.

NAME.mkv has the facts as JSON in the container's tag STREAMDEPTH, and NAME.mkv.json beside it has the same:

    schema_version                1
    kind, unit                    "metric", "m" or "relative", null
    code                          "log16" or "linear16": how 16 bits become depth, see `depth_codes`
    near_m, far_m, far_code       log16 only: the depth of the codes 1 and 65534 in meters; the code of +inf
    ranges                        linear16 only: [first frame, depth of code 1, depth of code 65534], ...
    invalid_code                  0: unknown
    size, frame_size              [width, height] in px of the depth map and of the source's frames
    model, engine, device, precision, weights_license, smoothing, source, software
    frames                        how many there are
    time_base, first_pts          [numerator, denominator] of a tick in seconds; the first frame's time in ticks
    cuts                          numbers of the frames that begin a shot
    intrinsics                    [first frame, fx, fy, cx, cy] in px of the source's frames, ...
    display_ranges                [first frame, low, high], ...: the range for display, where it changes by over 0.5 %
    alignment                     [first frame, scale, shift], ...: depth = scale * the network's + shift, then smoothed
    metric_fit                    [first frame, scale, shift], ...: 1 / meters = scale * x + shift made it metric, where
                                  x is relative depth as above, or 1 / the network's meters
    frame_index                   for each frame its index at the source
    pts                           for each frame its time in ticks; Matroska itself counts in milliseconds

Lists of [first frame, ...] hold from that frame on. Frames are numbered from 0 in this file. Readers of Matroska take
no tag above 16 MiB, so of a long video (some 200,000 frames) the tag leaves out the last lists, beginning with `pts`;
a reader without the sidecar takes the times from the container then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from streamdepth.core.types import DepthKind

SCHEMA_VERSION = 1
TAG = "STREAMDEPTH"
"""The container's tag that holds the facts as JSON."""
_LARGEST_TAG = 4 * 2**20
"""Characters, all ASCII. FFmpeg reads no tag above 16 MiB, and every reader must parse it to open the file."""


def parse_facts(text: str) -> dict[str, Any]:
    """Parses and checks the facts in `text`. Raises ValueError with what is wrong with them."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("they are not JSON") from error
    if not isinstance(facts, dict) or "schema_version" not in facts:
        raise ValueError("they have no schema_version")
    if facts["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"they have schema version {facts['schema_version']}, this is for version {SCHEMA_VERSION}; "
            "update streamdepth"
        )
    checks = (
        {**_CHECKS, **_CHECKS_BY_CODE[facts["code"]]}
        if facts.get("code") in ("log16", "linear16")
        else {"code": _never}
    )
    wrong = [name for name, is_right in checks.items() if name in facts and not is_right(facts[name])]
    missing = [name for name in checks if name not in facts and name not in _OPTIONAL]
    if wrong or missing:
        raise ValueError(f"'{(wrong + missing)[0]}' is {'wrong' if wrong else 'missing'} in them")
    _check_together(facts)
    return facts


def facts_for_tag(facts: dict[str, Any]) -> str:
    """Returns `facts` as JSON, without the longest lists where all would be too long for a tag."""
    facts = dict(facts)
    text = json.dumps(facts)
    for name in ("pts", "frame_index", "alignment", "display_ranges", "intrinsics", "cuts", "metric_fit"):
        if len(text) <= _LARGEST_TAG:
            break
        del facts[name]
        text = json.dumps(facts)
    return text


def _check_together(facts: dict[str, Any]) -> None:
    """Raises ValueError for facts that are valid one by one, but contradict each other."""
    if facts["code"] == "log16" and not facts["near_m"] < facts["far_m"]:
        raise ValueError("'near_m' is not below 'far_m' in them")
    if "pts" not in facts and not {"frames", "first_pts"} <= facts.keys():
        raise ValueError("'pts' is missing in them")
    if "pts" in facts and facts.get("frames", len(facts["pts"])) != len(facts["pts"]):
        raise ValueError("'pts' and 'frames' do not agree in them")


def _never(_: Any) -> bool:
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    """True for an integer of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _are_integers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_integer, value))


def _are_rising(value: Any) -> bool:
    return _are_integers(value) and len(value) > 0 and all(a < b for a, b in pairwise(value))


def _is_pair(value: Any) -> bool:
    return _are_integers(value) and len(value) == 2 and min(value) > 0


def _rows(width: int) -> Callable[[Any], bool]:
    """Returns a check for lists of [first frame, numbers...] with `width` entries each."""

    def is_row(row: Any) -> bool:
        return isinstance(row, list) and len(row) == width and _is_integer(row[0]) and all(map(_is_number, row[1:]))

    return lambda value: isinstance(value, list) and all(map(is_row, value))


def _are_ranges(value: Any) -> bool:
    return _rows(3)(value) and all(low < high for _, low, high in value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "kind": lambda value: value in [kind.value for kind in DepthKind],
    "size": _is_pair,
    "time_base": _is_pair,
    "frames": lambda value: _is_integer(value) and value > 0,
    "first_pts": _is_integer,
    "cuts": _are_integers,
    "intrinsics": _rows(5),
    "display_ranges": _rows(3),
    "alignment": _rows(3),
    "metric_fit": _rows(3),
    "frame_index": _are_integers,
    "pts": _are_rising,
}
_OPTIONAL = {
    "frames",
    "first_pts",
    "cuts",
    "intrinsics",
    "display_ranges",
    "alignment",
    "metric_fit",
    "frame_index",
    "pts",
}
"""A reader needs only `pts`, or `frames` and `first_pts`."""
_CHECKS_BY_CODE: dict[str, dict[str, Callable[[Any], bool]]] = {
    "log16": {"near_m": _is_positive, "far_m": _is_positive},
    "linear16": {"ranges": _are_ranges},
}
