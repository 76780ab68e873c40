"""The protocol of an evaluation: the pictures and pixels of a dataset that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.evaluation.accuracy.contact_sheet import ContactSheet, evenly_spaced
from streamdepth.evaluation.accuracy.crops import crop_by_name
from streamdepth.evaluation.accuracy.evaluate import NEAREST_M, EvaluatedImage, ValidRegion, evaluate
from streamdepth.evaluation.accuracy.ramp import Ramp
from streamdepth.evaluation.accuracy.report import DatasetResult
from streamdepth.evaluation.datasets import DepthDataset


@dataclass(frozen=True, slots=True)
class EvaluationProtocol:
    """Options of an evaluation; None means the value in the dataset's index.json, or else the crop's default."""

    crop: str | None = None
    """Name of the crop, see `crops`."""
    nearest_m: float = NEAREST_M
    farthest_m: float | None = None
    every: int = 1
    """Only every `every`th picture is evaluated."""
    limit: int | None = None
    """Largest number of pictures that are evaluated; None sets no limit."""

    def region(self, data: DepthDataset) -> ValidRegion:
        """Returns the region of valid truth. Raises ConfigError: "unknown-crop", "empty-range", or "affine" truth."""
        if data.is_affine:
            raise ConfigError(
                f"the truth of '{data.name}' is known up to a shift only: it cannot judge depth", code="affine"
            )
        crop = crop_by_name(self.crop or data.crop)
        wanted = (self.farthest_m, data.max_depth_m, crop.farthest_m)
        farthest = next(value for value in wanted if value is not None)
        if not 0 < self.nearest_m < farthest:
            raise ConfigError(
                f"depth from {self.nearest_m:g} to {farthest:g} m is nothing; give 0 < nearest < farthest",
                code="empty-range",
            )
        return ValidRegion(crop, self.nearest_m, farthest)

    def names(self, data: DepthDataset) -> list[str]:
        """Returns the names of the pictures to evaluate."""
        return data.names(every=self.every, limit=self.limit)


def evaluate_dataset(
    data: DepthDataset,
    estimator: Estimator,
    protocol: EvaluationProtocol,
    on_picture: Callable[[], None] = lambda: None,
    sheet: ContactSheet | None = None,
) -> DatasetResult:
    """Evaluates the model on one dataset and puts some of its pictures onto `sheet`.

    `on_picture` is called after each picture. Raises the errors of `evaluate` and `EvaluationProtocol.region`.
    """
    region, names = protocol.region(data), protocol.names(data)
    shown = evenly_spaced(names, sheet.per_set) if sheet else set()

    def on_evaluated(evaluated: EvaluatedImage) -> None:
        on_picture()
        if sheet and evaluated.pair.name in shown:
            sheet.add(evaluated, f"{data.name}/{evaluated.pair.name}")

    accuracy = evaluate(data.pairs(names, border=region.crop.border_px), estimator, region, on_evaluated)
    ramp = evaluate(data.pairs(names, border=region.crop.border_px), Ramp(), region)
    return DatasetResult(data.name, len(data), protocol.every, protocol.limit, accuracy, ramp, data.domain)
