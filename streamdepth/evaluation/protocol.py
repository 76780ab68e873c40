"""Which pictures and pixels of a data set are judged, and the model's figures on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamdepth.errors import ConfigError
from streamdepth.evaluation.accuracy import NEAREST_M, Bounds, Judged, evaluate
from streamdepth.evaluation.contact_sheet import ContactSheet, evenly_spaced
from streamdepth.evaluation.crops import find_crop
from streamdepth.evaluation.datasets import DataSet
from streamdepth.evaluation.ramp import Ramp
from streamdepth.evaluation.report import SetResult
from streamdepth.stages import Estimator


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is asked for; None leaves it to the data set's index.json, and then to custom."""

    crop: str | None = None
    nearest_m: float = NEAREST_M
    farthest_m: float | None = None
    every: int = 1
    limit: int | None = None

    def bounds(self, data: DataSet) -> Bounds:
        """Raises ConfigError for an unknown crop, an empty cap, and truth without a zero."""
        if data.is_affine:
            raise ConfigError(f"the truth of '{data.name}' is known up to a shift only: it cannot judge depth")
        crop = find_crop(self.crop or data.crop)
        wanted = (self.farthest_m, data.max_depth_m, crop.farthest_m)
        farthest = next(value for value in wanted if value is not None)
        if not 0 < self.nearest_m < farthest:
            raise ConfigError(
                f"depth from {self.nearest_m:g} to {farthest:g} m is nothing; give 0 < nearest < farthest"
            )
        return Bounds(crop, self.nearest_m, farthest)

    def names(self, data: DataSet) -> list[str]:
        """Of the pictures to judge."""
        return data.names(every=self.every, limit=self.limit)


def evaluate_set(
    data: DataSet,
    estimator: Estimator,
    protocol: Protocol,
    on_picture: Callable[[], None] = lambda: None,
    sheet: ContactSheet | None = None,
) -> SetResult:
    """The model's figures on one set; some of its pictures go onto `sheet`.

    Raises what `evaluate` and `Protocol.bounds` raise.
    """
    bounds, names = protocol.bounds(data), protocol.names(data)
    shown = evenly_spaced(names, sheet.per_set) if sheet else set()

    def note(judged: Judged) -> None:
        on_picture()
        if sheet and judged.pair.name in shown:
            sheet.add(judged, f"{data.name}/{judged.pair.name}")

    found = evaluate(data.pairs(names, border=bounds.crop.border_px), estimator, bounds, note)
    ramp = evaluate(data.pairs(names, border=bounds.crop.border_px), Ramp(), bounds)
    return SetResult(data.name, len(data), protocol.every, protocol.limit, found, ramp, data.domain)
