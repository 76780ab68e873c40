"""How good depth is: the measures of `streamdepth eval`, as functions of the same names.

One picture, both (H, W) metres, NaN = unknown:

    score(depth_m, truth_m) -> Scores       abs_rel, sq_rel, rmse_m, rmse_log, log10, silog, delta1, delta2, delta3
    align(prediction, truth_m) -> metres    relative depth, fitted in scale and shift

One shot, steadiness alone. frames: (picture, inverse depth):

    flow_warped_error(frames)               flow_warped_error
    static_flicker(frames)                  static_flicker_p50, static_flicker_p95
    range_jitter(frames)                    range_jitter, centre_jitter
    display_range_jitter(ranges)            display_range_jitter, display_centre_jitter

One shot, what steadiness has cost. frames: (picture, inverse depth, raw inverse depth), both in one unit:

    lag(frames)                             lag_frames
    ghosting(frames)                        ghosting
    edge_retention(frames)                  edge_retention
    cut_recovery(frames)                    cut_recovery_frames

One shot with its truth:

    tepe(frames)                            tepe_m, tepe_relative; (picture, metres, true metres)
    tae(frames, camera)                     tae_percent; (metres, pose of the camera)

A whole clip, all of these at once, over all its shots: `score_clip(samples, truth) -> TemporalScore`. On the right are
the names in its tables and in the command's JSON. Each is defined where its function is.
"""

from streamdepth.evaluation.accuracy.metrics import Scores, align, score
from streamdepth.evaluation.steadiness.fidelity import cut_recovery, edge_retention, ghosting, lag
from streamdepth.evaluation.steadiness.flicker import (
    display_range_jitter,
    flow_warped_error,
    range_jitter,
    static_flicker,
)
from streamdepth.evaluation.steadiness.frames import Sample, inverse
from streamdepth.evaluation.steadiness.score import TemporalScore, Truth, score_clip
from streamdepth.evaluation.steadiness.truth import tae, tepe

__all__ = [
    "Sample",
    "Scores",
    "TemporalScore",
    "Truth",
    "align",
    "cut_recovery",
    "display_range_jitter",
    "edge_retention",
    "flow_warped_error",
    "ghosting",
    "inverse",
    "lag",
    "range_jitter",
    "score",
    "score_clip",
    "static_flicker",
    "tae",
    "tepe",
]
