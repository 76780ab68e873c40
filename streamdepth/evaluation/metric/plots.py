"""Plots of confidence: sparsification, and reliability of pixels and obstacles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.evaluation.metric.evaluate import ReferenceResult
from streamdepth.evaluation.metric.sparsification import STEPS
from streamdepth.render.plots import Curve, draw_curves

SIZE = 720, 480


def draw_confidence(results: Sequence[ReferenceResult]) -> dict[str, Image]:
    """Returns name -> (H, W, 3) picture for each reference: sparsification, and reliability of pixels and obstacles.

    Sparsification has one curve for each dataset, and the best possible curve over all. In a reliability diagram the
    diagonal is ideal, and points below it are overconfident.
    """
    found: dict[str, Image] = {}
    for reference in dict.fromkeys(result.reference for result in results):
        rows = [r for r in results if r.reference == reference and r.scorer.sparsifications]
        if not rows:
            continue
        found[f"sparsification_{reference}"] = draw_curves(
            _sparsification_curves(rows),
            f"Mean error of the remaining pixels over that of all ({reference})",
            "share of pixels removed, least confident first",
            SIZE,
        )
        for things in ("pixels", "obstacles"):
            curves: dict[str, Curve] = {"right": [(0.0, 0.0), (1.0, 1.0)]}
            curves |= {row.set_name: row.scorer.reliability(things).curve() for row in rows}
            title = f"Share of {things} that are right to 10 % ({reference})"
            found[f"reliability_{things}_{reference}"] = draw_curves(curves, title, "confidence", SIZE)
    return found


def _sparsification_curves(rows: Sequence[ReferenceResult]) -> dict[str, Curve]:
    removed = np.arange(STEPS) / STEPS
    every = [found for row in rows for found in row.scorer.sparsifications]
    curves: dict[str, Curve] = {"best": _mean_curve(removed, [found.best_curve for found in every])}
    return curves | {
        row.set_name: _mean_curve(removed, [found.curve for found in row.scorer.sparsifications]) for row in rows
    }


def _mean_curve(removed: np.ndarray[tuple[int, ...], np.dtype[np.float64]], curves: Sequence[object]) -> Curve:
    mean = np.nanmean(np.array(curves, np.float64), axis=0)
    return [(float(x), float(y)) for x, y in zip(removed, mean, strict=True)]
