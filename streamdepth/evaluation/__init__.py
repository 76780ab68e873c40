"""Metrics of depth, as functions: the figures of `streamdepth eval`; see README.md beside this for the commands.

Accuracy of one picture. Both maps are (H, W) meters, NaN = unknown:

    score(depth_m, truth_m)         returns Scores: abs_rel, sq_rel, rmse_m, rmse_log, log10, silog, delta1 to delta3
    align(prediction, truth_m)      returns meters of relative depth, with scale and shift fitted

Steadiness of one shot, without ground truth. `frames` yields (picture, inverse depth):

    flow_warped_error(frames)       flow_warped_error
    static_flicker(frames)          static_flicker_p50, static_flicker_p95
    range_jitter(frames)            range_jitter, center_jitter
    display_range_jitter(ranges)    display_range_jitter, display_center_jitter

Fidelity of one shot: the cost of smoothing. `frames` yields (picture, inverse depth, raw inverse depth), same unit:

    lag(frames)                     lag_frames
    ghosting(frames)                ghosting
    edge_retention(frames)          edge_retention
    cut_recovery(frames)            cut_recovery_frames

Steadiness of one shot with its ground truth:

    tepe(frames)                    tepe_m, tepe_relative; `frames` yields (picture, meters, true meters)
    tae(frames, camera)             tae_percent; `frames` yields (meters, pose of the camera)

`score_clip(clip, truth)` computes all of these over the shots of a whole clip and returns a TemporalScore. The names on
the right are those in its tables and in the command's JSON; each function's docstring defines its figures.
"""

from streamdepth.evaluation.accuracy.metrics import Scores, align, score
from streamdepth.evaluation.steadiness.fidelity import cut_recovery, edge_retention, ghosting, lag
from streamdepth.evaluation.steadiness.flicker import (
    display_range_jitter,
    flow_warped_error,
    range_jitter,
    static_flicker,
)
from streamdepth.evaluation.steadiness.frames import ClipFrame
from streamdepth.evaluation.steadiness.score import TemporalScore, TruthOptions, score_clip
from streamdepth.evaluation.steadiness.truth import tae, tepe

__all__ = [
    "ClipFrame",
    "Scores",
    "TemporalScore",
    "TruthOptions",
    "align",
    "cut_recovery",
    "display_range_jitter",
    "edge_retention",
    "flow_warped_error",
    "ghosting",
    "lag",
    "range_jitter",
    "score",
    "score_clip",
    "static_flicker",
    "tae",
    "tepe",
]
