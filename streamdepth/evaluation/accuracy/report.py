"""Reports of an evaluation: JSON for programs, a table for people."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from rich.table import Table

from streamdepth.core.types import ModelInfo
from streamdepth.evaluation.accuracy.evaluate import Accuracy
from streamdepth.evaluation.accuracy.metrics import Scores

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
"""Heading -> field of Scores, digits after the decimal point."""
_MAX_SILENT_SHARE = 0.05
"""Largest share of the known depth that is left out without a footnote."""


@dataclass(frozen=True, slots=True)
class DatasetResult:
    """The accuracy on one dataset, with the pictures that were chosen of it."""

    name: str
    total_pictures: int
    """Number of pictures in the folder."""
    every: int
    limit: int | None
    accuracy: Accuracy
    ramp: Accuracy
    """The accuracy of a plain ramp in place of the model, see `accuracy.ramp`."""
    domain: str

    def scores_by_fit(self) -> list[tuple[str, Scores]]:
        """Returns scores "as is" for metric depth, "fitted" with scale and shift fitted, and those of the "ramp"."""
        fitted, unaligned = ("fitted", self.accuracy.aligned), self.accuracy.unaligned
        rows = [fitted] if unaligned is None else [("as is", unaligned), fitted]
        return [*rows, ("ramp", self.ramp.aligned)]


def as_json(info: ModelInfo, size: object, results: Sequence[DatasetResult]) -> dict[str, Any]:
    """Returns the figures with everything they depend on, ready for JSON; NaN is None.

    size: the size of the network's input as the user gave it.
    """
    return {
        "model": asdict(info) | {"kind": info.kind.value, "size": size},
        "versions": _versions(),
        "sets": [_dataset_json(result) for result in results],
        "domains": {fit: _domains_json(results, fit) for fit in ("fitted", "ramp")},
    }


def _domains_json(results: Sequence[DatasetResult], fit: str) -> dict[str, Any]:
    """Returns the mean over domains, the worst domain and its value, of each score in which more is better."""
    found = {}
    for field, _ in _SUMMARY.values():
        if means := domain_means(results, fit, field):
            worst = min(means, key=lambda domain: means[domain])
            mean = _mean(list(means.values()))
            found[field] = {"mean": _rounded(mean), "worst": _rounded(means[worst]), "worst_domain": worst}
    return found


def _dataset_json(result: DatasetResult) -> dict[str, Any]:
    accuracy, region = result.accuracy, result.accuracy.region
    return {
        "set": result.name,
        "pictures": accuracy.scored_pictures,
        "skipped": accuracy.skipped_pictures,
        "of": result.total_pictures,
        "every": result.every,
        "limit": result.limit,
        "crop": region.crop.name,
        "border_px": region.crop.border_px,
        "min_depth_m": region.nearest_m,
        "max_depth_m": region.farthest_m,
        "share_within_cap": _rounded(accuracy.valid_pixels / accuracy.known_pixels),
        "share_predicted": _rounded(accuracy.predicted_pixels / accuracy.valid_pixels),
        "picture_px": list(accuracy.picture_px),
        "output_px": list(accuracy.output_px),
        "ms": {f"p{p}": _rounded(1e3 * accuracy.percentile_seconds(p)) for p in (50, 95)},
        "scores": {
            name.replace(" ", "_"): {key: _rounded(value) for key, value in asdict(scores).items()}
            for name, scores in result.scores_by_fit()
        },
    }


def _rounded(value: float) -> float | None:
    """Returns five digits, since more differ between machines; None for NaN."""
    return None if math.isnan(value) else float(f"{value:.5g}")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def table(results: Sequence[DatasetResult]) -> Table:
    """Returns one row per dataset and fit."""
    made = Table("set", "fit", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("pictures", *_COLUMNS, "ms"):
        made.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        for fit, scores in result.scores_by_fit():
            figures = [_figure(getattr(scores, field), digits) for field, digits in _COLUMNS.values()]
            milliseconds = f"{1e3 * result.accuracy.percentile_seconds(50):.1f}"
            made.add_row(result.name, fit, str(result.accuracy.scored_pictures), *figures, milliseconds)
    return made


_SUMMARY = {heading: _COLUMNS[heading] for heading in ("delta1", "order", "edgeF1")}
"""Columns in which more is better."""


def summary(results: Sequence[DatasetResult]) -> Table:
    """Returns the means over domains and the worst domains, of the model and of the ramp, scale and shift fitted."""
    made = Table("domains", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in _SUMMARY:
        made.add_column(heading, justify="right", no_wrap=True)
    digits = [digits for _, digits in _SUMMARY.values()]
    for fit in ("fitted", "ramp"):
        means = [domain_means(results, fit, field) for field, _ in _SUMMARY.values()]
        made.add_row("mean", fit, *(_figure(_mean(list(m.values())), d) for m, d in zip(means, digits, strict=True)))
        made.add_row("worst", fit, *(_worst(m, d) for m, d in zip(means, digits, strict=True)))
    return made


def domain_means(results: Sequence[DatasetResult], fit: str, field: str) -> dict[str, float]:
    """Returns a score of each domain, as the mean over its sets; domains where it is not defined are left out."""
    found: dict[str, list[float]] = {}
    for result in results:
        found.setdefault(result.domain, []).append(getattr(dict(result.scores_by_fit())[fit], field))
    means = {domain: _mean(values) for domain, values in found.items()}
    return {domain: value for domain, value in means.items() if not math.isnan(value)}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _worst(values: Mapping[str, float], digits: int) -> str:
    if not values:
        return "-"
    name = min(values, key=lambda domain: values[domain])
    return f"{_figure(values[name], digits)} {name}"


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def footnotes(info: ModelInfo, results: Sequence[DatasetResult]) -> list[str]:
    """Returns the lines beneath the table: the model, and for each dataset the pixels that count."""
    size = f", {info.parameters / 1e6:.1f} million parameters" if info.parameters else ""
    lines = [f"{info.name} ({info.kind.value}{size}) on {info.engine} {info.device} {info.precision}"]
    return lines + [_footnote(result) for result in results]


def _footnote(result: DatasetResult) -> str:
    accuracy, region = result.accuracy, result.accuracy.region
    crop = "" if region.crop.name == "none" else f"{region.crop.name} crop, "
    text = f"{result.name}: {crop}ground truth from {region.nearest_m:g} to {region.farthest_m:g} m"
    if accuracy.skipped_pictures:
        text += f"; {accuracy.skipped_pictures} pictures without such ground truth were skipped"
    if (outside := 1 - accuracy.valid_pixels / accuracy.known_pixels) > _MAX_SILENT_SHARE:
        text += f"; {outside:.0%} of the known depth lies outside and does not count (--max-depth)"
    if (unknown := 1 - accuracy.predicted_pixels / accuracy.valid_pixels) > 0:
        text += f"; the model gave no number for {unknown:.1%} of the pixels, which do not count"
    return text
