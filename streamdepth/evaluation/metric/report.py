"""Reports of an evaluation of metric depth: JSON for programs, a table for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from streamdepth.core.types import ModelInfo
from streamdepth.evaluation.metric.evaluate import MetricProtocol, ReferenceResult

_HEADINGS = (
    *("frames", "given", "scale p10", "p50", "p90", "AbsRel", "best", "ratio", "p50"),
    *("refused right", "wrong", "sigma", "within", "AUSE", "random", "sure", "ratio", "obstacles", "ratio"),
)


def table(results: Sequence[ReferenceResult]) -> Table:
    """Returns one row per dataset and reference."""
    made = Table("set", "reference", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in _HEADINGS:
        made.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        score = result.score
        made.add_row(
            *(result.set_name, result.reference, str(score.frames), _figure(score.share_given, "{:.0%}")),
            *(_figure(value, "{:.2f}") for value in (score.scale_p10, score.scale_p50, score.scale_p90)),
            *(_figure(value, "{:.3f}") for value in (score.abs_rel, score.best_abs_rel)),
            *(_figure(value, "{:.2f}") for value in (score.ratio, score.ratio_p50)),
            f"{score.refusals_right}/{score.refusals_due}",
            f"{score.refusals_wrong}/{score.refusals_undue}",
            *(_figure(value, "{:.0%}") for value in (score.sigma_p50, score.within_sigma)),
            *(_figure(value, "{:.2f}") for value in (score.ause, score.ause_random)),
            *(_figure(score.share_sure, "{:.0%}"), _figure(score.sure_ratio, "{:.2f}")),
            *(_figure(score.obstacles_share_sure, "{:.0%}"), _figure(score.obstacles_sure_ratio, "{:.2f}")),
        )
    return made


def _figure(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "-"


def as_json(info: ModelInfo, protocol: MetricProtocol, results: Sequence[ReferenceResult]) -> dict[str, Any]:
    """Returns the figures with everything they depend on, ready for JSON; NaN is None."""
    return {
        "model": asdict(info) | {"kind": info.kind.value},
        "smooth": protocol.smooth,
        "max_scale_error": protocol.max_scale_error,
        "rows": [
            {"set": result.set_name, "reference": result.reference, "max_depth_m": result.farthest_m}
            | result.score.as_json()
            for result in results
        ],
    }
