"""What an evaluation found: as facts for JSON, and as a table for people."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from rich.table import Table

from streamdepth.evaluation.accuracy import Accuracy
from streamdepth.evaluation.metrics import Scores
from streamdepth.types import ModelInfo

_PACKAGES = ("streamdepth", "numpy", "torch", "transformers", "openvino", "opencv-python", "pillow")
_COLUMNS = {
    "AbsRel": ("abs_rel", 3),
    "SqRel": ("sq_rel", 3),
    "RMSE": ("rmse_m", 3),
    "log10": ("log10", 3),
    "SILog": ("silog", 1),
    "delta1": ("delta1", 3),
    "delta2": ("delta2", 3),
    "delta3": ("delta3", 3),
    "edgeF1": ("boundary_f1", 4),
    "order": ("ordinal", 3),
}
"""Heading -> field of Scores, digits after the point."""
_MUCH = 0.05
"""A share of the known depth that should not be left out in silence."""


@dataclass(frozen=True, slots=True)
class SetResult:
    """One data set's part of a report."""

    name: str
    pictures: int
    """In the folder."""
    every: int
    limit: int | None
    accuracy: Accuracy
    ramp: Accuracy
    """Of a plain ramp instead of the model, see `ramp`."""
    domain: str

    def fits(self) -> list[tuple[str, Scores]]:
        """How the prediction was brought to metres, and the scores; last those of the ramp."""
        fitted, as_is = ("fitted", self.accuracy.aligned), self.accuracy.as_is
        rows = [fitted] if as_is is None else [("as is", as_is), fitted]
        return [*rows, ("ramp", self.ramp.aligned)]


def facts(info: ModelInfo, size: object, results: Sequence[SetResult]) -> dict[str, Any]:
    """Everything the figures depend on, ready for JSON; NaN is None. `size`: of the network's input, as asked for."""
    return {
        "model": asdict(info) | {"kind": info.kind.value, "size": size},
        "versions": _versions(),
        "sets": [_set_facts(result) for result in results],
    }


def _set_facts(result: SetResult) -> dict[str, Any]:
    found, bounds = result.accuracy, result.accuracy.bounds
    return {
        "set": result.name,
        "pictures": found.pictures,
        "skipped": found.skipped,
        "of": result.pictures,
        "every": result.every,
        "limit": result.limit,
        "crop": bounds.crop.name,
        "border_px": bounds.crop.border_px,
        "min_depth_m": bounds.nearest_m,
        "max_depth_m": bounds.farthest_m,
        "share_within_cap": _rounded(found.counted / found.known),
        "share_predicted": _rounded(found.predicted / found.counted),
        "picture_px": list(found.picture_px),
        "output_px": list(found.output_px),
        "ms": {f"p{p}": _rounded(1e3 * found.percentile_seconds(p)) for p in (50, 95)},
        "scores": {
            name.replace(" ", "_"): {key: _rounded(value) for key, value in asdict(scores).items()}
            for name, scores in result.fits()
        },
    }


def _rounded(value: float) -> float | None:
    """Five digits: more say nothing, and differ between machines."""
    return None if math.isnan(value) else float(f"{value:.5g}")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def table(results: Sequence[SetResult]) -> Table:
    """One row per set and fit."""
    made = Table("set", "fit", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("pictures", *_COLUMNS, "ms"):
        made.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        for fit, scores in result.fits():
            figures = [_figure(getattr(scores, field), digits) for field, digits in _COLUMNS.values()]
            milliseconds = f"{1e3 * result.accuracy.percentile_seconds(50):.1f}"
            made.add_row(result.name, fit, str(result.accuracy.pictures), *figures, milliseconds)
    return made


def summary(results: Sequence[SetResult]) -> Table:
    """Of the model and the ramp: the mean over domains and the worst of them, scale and shift fitted."""
    made = Table("domains", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in _SUMMARY:
        made.add_column(heading, justify="right", no_wrap=True)
    for name in ("fitted", "ramp"):
        means = [domain_means(results, name, field) for field, _ in _SUMMARY.values()]
        digits = [digits for _, digits in _SUMMARY.values()]
        made.add_row("mean", name, *(_figure(mean(m), d) for m, d in zip(means, digits, strict=True)))
        made.add_row("worst", name, *(_worst(m, d) for m, d in zip(means, digits, strict=True)))
    return made


_SUMMARY = {heading: _COLUMNS[heading] for heading in ("delta1", "order", "edgeF1")}
"""Columns for which more is better."""


def domain_means(results: Sequence[SetResult], fit: str, field: str) -> dict[str, float]:
    """The figure of each domain, the mean over its sets; domains where it is not defined are left out."""
    found: dict[str, list[float]] = {}
    for result in results:
        found.setdefault(result.domain, []).append(getattr(dict(result.fits())[fit], field))
    means = {domain: mean(dict(enumerate(values))) for domain, values in found.items()}
    return {domain: value for domain, value in means.items() if not math.isnan(value)}


def mean(values: Mapping[Any, float]) -> float:
    """Of those that are not NaN; NaN without any."""
    known = [value for value in values.values() if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _worst(values: Mapping[str, float], digits: int) -> str:
    if not values:
        return "-"
    name = min(values, key=lambda domain: values[domain])
    return f"{_figure(values[name], digits)} {name}"


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def notes(info: ModelInfo, results: Sequence[SetResult]) -> list[str]:
    """What stands beneath the table: the model, and for each set what counted."""
    size = f", {info.parameters / 1e6:.1f} million parameters" if info.parameters else ""
    lines = [f"{info.name} ({info.kind.value}{size}) on {info.engine} {info.device} {info.precision}"]
    return lines + [_note(result) for result in results]


def _note(result: SetResult) -> str:
    found, bounds = result.accuracy, result.accuracy.bounds
    crop = "" if bounds.crop.name == "none" else f"{bounds.crop.name} crop, "
    text = f"{result.name}: {crop}truth from {bounds.nearest_m:g} to {bounds.farthest_m:g} m"
    if found.skipped:
        text += f"; {found.skipped} pictures without such truth were skipped"
    if (outside := 1 - found.counted / found.known) > _MUCH:
        text += f"; {outside:.0%} of the known depth lies outside and does not count (--max-depth)"
    if (unknown := 1 - found.predicted / found.counted) > 0:
        text += f"; the model gave no number for {unknown:.1%} of the pixels, which do not count"
    return text
