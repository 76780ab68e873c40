"""Tests of meters from the height of a camera above the floor."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.floor_classifier import floor_probability, scale_log_sigma
from streamdepth.geometry.gravity import up_vector
from streamdepth.geometry.inverse_depth import finite_inverse_depth
from streamdepth.geometry.level_floor import find_level_floor
from streamdepth.geometry.projection import rays
from streamdepth.stabilizers.floor_reference import FloorReference
from streamdepth.stabilizers.metric import MetricConverter

CAMERA = Intrinsics.from_fov(60, 160, 120)
HEIGHT_M, PITCH = 1.4, 15.0


def room_m() -> DepthMap:
    """Returns meters to a floor and a wall 4 m ahead."""
    ray = np.concatenate([rays(CAMERA, 160, 120), np.ones((120, 160, 1))], axis=-1)
    return (1 / np.maximum(-(ray @ up_vector(PITCH)) / HEIGHT_M, 1 / 4)).astype(np.float32)


def item(depth: DepthMap, kind: DepthKind = DepthKind.RELATIVE, index: int = 0) -> DepthFrame:
    frame = Frame(np.zeros((120, 160, 3), np.uint8), index, index, Fraction(1, 10), 0.0, "s")
    return DepthFrame(frame, depth, kind, intrinsics=CAMERA)


def test_the_covariance_grows_where_the_pitch_is_guessed() -> None:
    relative = item((2 / room_m()).astype(np.float32))
    sigmas = []
    for pitch in (PITCH, None):
        fit = FloorReference(HEIGHT_M, pitch).fit(relative, finite_inverse_depth(relative.depth, relative.kind))
        assert fit is not None
        assert fit.covariance is not None
        assert (np.linalg.eigvalsh(fit.covariance) > -1e-12).all()
        sigmas.append(fit.covariance[0, 0] ** 0.5 / fit.scale)
    assert 0.05 < sigmas[0] < sigmas[1] < 0.5


def test_floors_that_contradict_each_other_end_withheld() -> None:
    relative = (2 / room_m()).astype(np.float32)
    steady, scattered = (FloorReference(HEIGHT_M, PITCH) for _ in range(2))
    results = []
    for reference, heights in ((steady, (HEIGHT_M,)), (scattered, (HEIGHT_M, 2 * HEIGHT_M))):
        stage = MetricConverter(reference)
        for index in range(12):
            reference.height_m = heights[index % len(heights)]  # as if a table top were taken for the floor
            (out,) = stage.push(item(relative, index=index))
        results.append(out)
    assert not results[0].is_withheld
    assert results[1].is_withheld
    sigmas = [result.scale_sigma or 0.0 for result in results]
    assert sigmas[0] < 0.25
    assert sigmas[1] == pytest.approx(1.5 * np.log(2) / 2, rel=0.1), "and many frames do not average it away"


def test_many_frames_of_one_floor_tell_no_more_than_one() -> None:
    relative = (2 / room_m()).astype(np.float32)
    stage = MetricConverter(FloorReference(HEIGHT_M, PITCH))
    sigmas = [next(iter(stage.push(item(relative, index=index)))).scale_sigma or 0.0 for index in range(30)]
    assert 0.9 * sigmas[0] < sigmas[-1] < 1.1 * sigmas[0]


def test_unlikely_floors_and_those_beyond_most_of_the_picture_give_a_worse_scale() -> None:
    inverse = (2 / room_m()).astype(np.float32)
    floor = find_level_floor(inverse, CAMERA, up_vector(PITCH), (float(inverse.min()), float(inverse.max())))
    assert floor is not None
    features, sigma = floor.features, scale_log_sigma(floor.features)
    doubtful, far = features.copy(), features.copy()
    doubtful[:2] = 0.1  # it fills one percent of the lower half, and of the lowest tenth
    assert floor_probability(doubtful) < floor_probability(features)
    assert sigma < scale_log_sigma(doubtful) < 0.5
    horizon = -1 / (np.exp(features[8]) - 1)
    far[53] = horizon + 2 * (features[7] - horizon)  # the picture's median is at half the distance of the floor
    near = features.copy()
    near[53] = features[7]
    assert scale_log_sigma(far) / scale_log_sigma(near) == pytest.approx(2**1.45, rel=0.15)


def test_a_metric_model_gets_a_scale_only() -> None:
    metric = item((room_m() * 1.3).astype(np.float32), DepthKind.METRIC)
    fit = FloorReference(HEIGHT_M, PITCH).fit(metric, finite_inverse_depth(metric.depth, metric.kind))
    assert fit is not None
    assert fit.shift == 0
    assert fit.scale == pytest.approx(1.3, rel=0.02)


def test_a_frame_without_a_floor_is_refused_with_the_reason() -> None:
    wall = item(np.random.default_rng(0).normal(0.5, 0.05, (120, 160)).astype(np.float32))
    reference = FloorReference(HEIGHT_M)
    stage = MetricConverter(reference)
    (out,) = stage.push(wall)
    assert out.is_withheld
    assert "no floor is seen" in reference.refusal
    assert reference.refusal in stage.notices[0]


def test_a_refusal_ends_with_the_next_floor_and_with_a_new_stream() -> None:
    flat, room = item(np.full((120, 160), 0.5, np.float32)), item((2 / room_m()).astype(np.float32))
    reference = FloorReference(HEIGHT_M, PITCH)
    assert reference.fit(flat, finite_inverse_depth(flat.depth, flat.kind)) is None
    assert reference.refusal
    assert reference.fit(room, finite_inverse_depth(room.depth, room.kind)) is not None
    assert not reference.refusal
    reference.fit(flat, finite_inverse_depth(flat.depth, flat.kind))
    reference.reset()
    assert not reference.refusal


def test_a_pitch_that_the_picture_contradicts_is_noticed() -> None:
    reference = FloorReference(HEIGHT_M, 60.0)
    relative = item((2 / room_m()).astype(np.float32))
    reference.fit(relative, finite_inverse_depth(relative.depth, relative.kind))
    assert "--camera-pitch is 60 degrees" in reference.caveat


def test_a_pitch_that_shows_no_floor_is_left_out_where_that_of_the_picture_does() -> None:
    relative = item((2 / room_m()).astype(np.float32))
    wrong, guessed = FloorReference(HEIGHT_M, -20.0), FloorReference(HEIGHT_M)
    fits = [one.fit(relative, finite_inverse_depth(relative.depth, relative.kind)) for one in (wrong, guessed)]
    assert fits[0] is not None
    assert fits[1] is not None
    assert fits[0].scale == pytest.approx(fits[1].scale)
    assert fits[0].covariance == pytest.approx(fits[1].covariance), "and is no better known than with a guessed pitch"
    assert "--camera-pitch is -20 degrees" in wrong.caveat
