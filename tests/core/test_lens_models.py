"""Every lens model maps directions to pixels and back exactly, and is NaN where it covers nothing."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.brown_conrady import BrownConradyLens
from streamdepth.core.intrinsics import MAX_RAY_DEGREES, Intrinsics
from streamdepth.core.lens_models import LENS_MODELS, lens_model

FOCAL_PX = 1000.0
_SMALL = st.floats(-0.02, 0.02)
_RADIAL = st.tuples(st.floats(-0.4, 0.3), st.floats(-0.1, 0.2))
_TANGENTIAL = st.tuples(*[st.floats(-0.003, 0.003)] * 2)
_PRISM_AND_TILT = st.tuples(*[st.floats(-0.002, 0.002)] * 6)
_BROWN = st.tuples(_RADIAL, _TANGENTIAL).map(lambda parts: (*parts[0], *parts[1]))
COEFFICIENTS = {
    "plumb_bob": st.one_of(_BROWN, st.tuples(_BROWN, _SMALL).map(lambda parts: (*parts[0], parts[1]))),
    "rational_polynomial": st.tuples(
        _BROWN, st.tuples(*[st.floats(0, 0.02)] * 4), _PRISM_AND_TILT, st.sampled_from((8, 12, 14))
    ).map(lambda parts: (*parts[0], *parts[1], *parts[2])[: parts[3]]),
    "equidistant": st.tuples(*[_SMALL] * 4),
    "fov": st.tuples(st.floats(0.1, 1.3)),
    "omnidirectional": st.one_of(
        st.tuples(st.floats(0.0, 2.5)), st.tuples(st.floats(0.3, 2.5), _BROWN).map(lambda p: (p[0], *p[1]))
    ),
    "double_sphere": st.tuples(st.floats(-0.6, 1.0), st.floats(0.1, 0.9)),
    "extended_unified": st.tuples(st.floats(0.1, 0.9), st.floats(0.5, 2.0)),
}
_MAX_PINHOLE_ANGLE = math.radians(75)
"""Beyond it tangential and prism terms, which grow with the fourth power, mean nothing, and places are not unique."""
_LENSES = st.sampled_from(sorted(LENS_MODELS)).flatmap(
    lambda name: COEFFICIENTS[name].map(lambda numbers: (name, numbers))
)
_DIRECTIONS = st.tuples(st.floats(0, math.pi), st.floats(-math.pi, math.pi)).map(
    lambda angles: [
        math.sin(angles[0]) * math.cos(angles[1]),
        math.sin(angles[0]) * math.sin(angles[1]),
        math.cos(angles[0]),
    ]
)


def visible_directions(lens, directions: list[list[float]]) -> np.ndarray:
    """Returns the (N, 3) directions in front of a pinhole, or all for lenses that see behind themselves."""
    found = np.array(directions)
    return found[found[:, 2] > math.cos(_MAX_PINHOLE_ANGLE)] if isinstance(lens, BrownConradyLens) else found


@settings(max_examples=100, deadline=None, derandomize=True)
@given(model=_LENSES, directions=st.lists(_DIRECTIONS, min_size=1, max_size=20))
def test_a_pixels_direction_is_seen_at_that_pixel(model, directions) -> None:
    """The round trip pixel, direction, pixel closes to 1e-9 px wherever the lens sees anything."""
    lens = lens_model(*model)
    places = lens.project(visible_directions(lens, directions))
    seen = np.isfinite(places[:, 0])
    found = lens.unproject(places[seen])
    assert np.isfinite(found).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    error = np.linalg.norm(lens.project(found) - places[seen], axis=1)
    assert (error * FOCAL_PX <= 1e-9 * np.maximum(1, np.linalg.norm(places[seen], axis=1))).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(model=_LENSES, directions=st.lists(_DIRECTIONS, min_size=1, max_size=20), depth=st.floats(0.1, 100))
def test_a_directions_pixel_sees_that_direction(model, directions, depth) -> None:
    lens = lens_model(*model)
    directions = visible_directions(lens, directions)
    found = lens.unproject(lens.project(directions * depth))
    seen = np.isfinite(found[:, 0])
    conditioning = np.linalg.norm(lens.project(directions[seen]), axis=1) if seen.any() else np.zeros(0)
    assert (np.abs(found[seen] - directions[seen]).max(axis=1, initial=0) <= 1e-6 * (1 + conditioning)).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(model=_LENSES, places=st.lists(st.tuples(*[st.floats(-3, 3)] * 2), min_size=1, max_size=20))
def test_any_place_has_its_exact_direction_or_none(model, places) -> None:
    """Places that no direction is seen at are NaN, never a direction that is seen elsewhere."""
    lens, places = lens_model(*model), np.array(places)
    directions = lens.unproject(places)
    back = lens.project(directions)
    known = np.isfinite(back[:, 0])
    assert np.allclose(back[known], places[known], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_pinhole_distortion_is_opencvs(count: int) -> None:
    coefficients = (-0.27, 0.045, 8e-4, -8e-4, 0.01, 0.02, -0.01, 3e-3, 2e-3, -1e-3, 1e-3, 3e-3, 0.05, -0.03)[:count]
    points = np.random.default_rng(0).uniform([-0.6, -0.6, 1], [0.6, 0.6, 1], (100, 3))
    found = lens_model("plumb_bob" if count < 8 else "rational_polynomial", coefficients).project(points)
    wanted = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), np.array(coefficients))[0].reshape(-1, 2)
    assert np.abs(found - wanted).max() < 1e-12


def test_fisheye_distortion_is_opencvs() -> None:
    coefficients = (0.0035, 0.0007, -0.002, 0.0002)
    points = np.random.default_rng(0).uniform([-3, -3, 1], [3, 3, 1], (100, 1, 3))
    zero, matrix = np.zeros(3), np.eye(3)
    wanted = cv2.fisheye.projectPoints(points, zero, zero, matrix, np.array(coefficients))[0].reshape(-1, 2)
    assert np.abs(lens_model("equidistant", coefficients).project(points[:, 0]) - wanted).max() < 1e-12


def test_the_omnidirectional_model_is_opencvs() -> None:
    """Mei's model by hand: the point on the unit sphere, moved by xi, then seen through a pinhole with distortion."""
    xi, *distortion = 1.2, -0.2, 0.03, 1e-3, -2e-3
    point = np.array([0.4, -0.3, 0.5])
    moved = point / np.linalg.norm(point) + (0, 0, xi)
    wanted = cv2.projectPoints(moved[None], np.zeros(3), np.zeros(3), np.eye(3), np.array(distortion))[0].ravel()
    assert np.allclose(lens_model("omnidirectional", (xi, *distortion)).project(point), wanted, atol=1e-14)


@pytest.mark.parametrize("name", sorted(LENS_MODELS))
def test_the_focal_length_near_the_axis(name: str) -> None:
    numbers = {"fov": (0.9,), "omnidirectional": (1.2,), "double_sphere": (-0.2, 0.57), "extended_unified": (0.6, 1.1)}
    camera = Intrinsics(400, 400, 319.5, 239.5, 640, 480, numbers.get(name, ()), name)
    x = camera.lens.project(np.array([1e-6, 0, 1.0]))[0] * 1e6
    assert camera.pinhole.fx == pytest.approx(400 * x)


def test_a_polynomial_that_turns_back_covers_no_more() -> None:
    """With k1 = -0.4 alone the distorted radius is largest at r = 0.913: nothing is seen beyond, on either way."""
    lens = lens_model("plumb_bob", (-0.4, 0.0, 0.0, 0.0))
    assert np.isfinite(lens.project(np.array([0.9, 0.0, 1.0]))).all()
    assert np.isnan(lens.project(np.array([1.2, 0.0, 1.0]))).all()
    assert np.isnan(lens.unproject(np.array([0.62, 0.0]))).all()


def test_a_fisheye_sees_behind_itself_but_has_no_rays_there() -> None:
    camera = Intrinsics(200, 200, 255.5, 255.5, 512, 512, (0.0, 0.0, 0.0, 0.0), "equidistant")
    for degrees, is_ahead in ((0, True), (60, True), (MAX_RAY_DEGREES - 0.1, True), (89.9, False), (91, False)):
        x = camera.cx + camera.fx * math.radians(degrees)
        ray = camera.ray(x, camera.cy)
        if is_ahead:
            assert ray[:2] == pytest.approx([math.tan(math.radians(degrees)), 0])
        else:
            assert np.isnan(ray[:2]).all()
    behind = camera.lens.unproject(np.array([math.radians(100), 0.0]))
    assert behind == pytest.approx([math.sin(math.radians(100)), 0, math.cos(math.radians(100))])


@pytest.mark.parametrize(("name", "numbers"), [("plumb_bob", (0.1,)), ("double_sphere", (0.1,)), ("unheard_of", ())])
def test_coefficients_that_do_not_fit_are_refused(name: str, numbers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"coefficients|unknown"):
        Intrinsics(400, 400, 319.5, 239.5, 640, 480, numbers, name)
