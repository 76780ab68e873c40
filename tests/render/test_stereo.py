"""The right eye's view, judged by views whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.paths import ROOT
from helpers.sink_data import exact_depth_frame
from helpers.stereo_scene import edge_stretched, forward_warped, psnr, stereo_scene

import streamdepth
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.render_options import STEREO_STYLES, RenderOptions, StereoOptions
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.render.disparity import check_stereo_options, disparity_of, sharpen_steps
from streamdepth.render.overlay import render, rendered_size
from streamdepth.render.stereo import anaglyph, right_view

EYES_M = 0.063
"""Distance between the cameras of room.mp4 and room_right.mp4."""


def test_all_that_the_left_eye_sees_too_is_exact() -> None:
    scene = stereo_scene()
    view = right_view(scene.left, scene.disparity)
    np.testing.assert_array_equal(view[~scene.hole], scene.right[~scene.hole])


def test_holes_get_the_color_of_the_far_surface_beside_them() -> None:
    scene = stereo_scene()
    view = right_view(scene.left, scene.disparity)
    np.testing.assert_array_equal(view[scene.hole], scene.wall_at_hole[scene.hole])


def test_parts_of_pixels_count() -> None:
    scene = stereo_scene()
    ramp = np.repeat(np.linspace(0.3, 6.7, scene.left.shape[1], dtype=np.float32)[None], len(scene.left), axis=0)
    smooth = cv2.GaussianBlur(scene.left, (9, 9), 3)
    view = right_view(smooth, ramp)
    columns = np.arange(scene.left.shape[1], dtype=np.float32)
    source = np.interp(columns, columns - ramp[0], columns).astype(np.float32)
    rows = np.indices(ramp.shape, np.float32)[0]
    exact = cv2.remap(smooth, np.repeat(source[None], len(rows), axis=0), rows, cv2.INTER_LINEAR)
    assert psnr(view[:, :-8], exact[:, :-8]) > 50


def test_soft_edges_of_depth_leave_no_halo() -> None:
    scene = stereo_scene()
    soft = cv2.blur(scene.disparity, (5, 5))
    view = right_view(scene.left, sharpen_steps(soft, 3))
    red = view[..., 0].astype(int) > 120  # the box is red, the wall is not
    exact = scene.right[..., 0].astype(int) > 120
    assert (red & ~exact).sum() == 0
    assert psnr(view, scene.right) > psnr(right_view(scene.left, soft), scene.right) + 1


def test_holes_do_not_flicker_with_noise_of_the_depth() -> None:
    scene, rng = stereo_scene(), np.random.default_rng(5)
    noise = [rng.normal(0, 0.1, scene.disparity.shape).astype(np.float32) for _ in range(8)]
    views = [right_view(scene.left, sharpen_steps(scene.disparity + n, 1)) for n in noise]
    deviation = np.std([view.astype(np.float32) for view in views], axis=0)
    inside = cv2.erode(scene.hole.astype(np.uint8), np.ones((1, 5), np.uint8)).astype(bool)
    assert np.median(deviation[inside]) <= np.median(deviation[~scene.hole])


def test_the_room_beats_forward_warping_and_stretching() -> None:
    truth = _frames_at("room_right.mp4", 1)
    (time, right) = truth[0]
    left = dict(_frames_at("room.mp4", round(time * 24) + 1))[time]
    depth = streamdepth.DepthVideo(ROOT / "samples" / "room_truth.mkv")[round(time * 24)]
    focal_px = Intrinsics.from_fov(66, 640, 360).fx
    disparity = (focal_px * EYES_M / depth).astype(np.float32)
    ours = psnr(right_view(left, sharpen_steps(disparity, 1)), right)
    assert ours > 30
    assert ours > psnr(edge_stretched(left, disparity), right) + 3
    assert ours > psnr(forward_warped(left, disparity), right) + 4


def _frames_at(name: str, count: int) -> list[tuple[float, np.ndarray]]:
    """Returns the times in seconds and the pictures of the first frames of a sample."""
    with av.open(str(ROOT / "samples" / name)) as container:
        return [
            (f.time, f.to_ndarray(format="rgb24"))
            for f, _ in zip(container.decode(video=0), range(count), strict=False)
        ]


def _item(depth: float | np.ndarray, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    item = exact_depth_frame(kind, 64, 48)
    return replace(item, depth=np.broadcast_to(np.float32(depth), (48, 64)).copy(), range=(1.0, 4.0))


@pytest.mark.parametrize(
    ("kind", "values"), [(DepthKind.METRIC, (1.0, 1.6, 4.0)), (DepthKind.RELATIVE, (4.0, 2.5, 1.0))]
)
@pytest.mark.parametrize(
    ("convergence", "wanted"), [(0.0, (6.4, 3.2, 0)), (0.5, (3.2, 0, -3.2)), (1.0, (0, -3.2, -6.4))]
)
def test_disparity_is_linear_in_inverse_depth(kind, values, convergence: float, wanted) -> None:
    options = RenderOptions("sbs", stereo=StereoOptions(0.1, convergence))
    found = [disparity_of(_item(value, kind), options)[20, 30] for value in values]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_distance_of_the_eyes_is_that_of_a_real_pair_of_cameras() -> None:
    item = replace(_item(2.0), intrinsics=Intrinsics.from_fov(90, 128, 96))
    options = RenderOptions("sbs", stereo=StereoOptions(ipd_m=0.1, convergence=0))
    assert disparity_of(item, options)[20, 30] == pytest.approx(32 * 0.1 * (1 / 2 - 1 / 4))  # 64 px wide: f is 32 px


@pytest.mark.parametrize(("kind", "code"), [(DepthKind.RELATIVE, "not-metric"), (DepthKind.METRIC, "no-intrinsics")])
def test_a_distance_of_the_eyes_needs_meters_and_a_camera(kind: DepthKind, code: str) -> None:
    item = replace(_item(2.0, kind), intrinsics=None)
    with raises_code(ConfigError, code):
        render(item, RenderOptions("sbs", stereo=StereoOptions(ipd_m=0.063)))


def test_unknown_depth_lies_on_the_screen() -> None:
    depth = np.full((48, 64), np.nan, np.float32)
    depth[:, :10] = 1
    found = disparity_of(_item(depth), RenderOptions("sbs"))
    assert (found[:, 20:] == 0).all()
    assert (found[:, :8] > 0).all()


@pytest.mark.parametrize(
    "options", [StereoOptions(depth_strength=0.5), StereoOptions(convergence=2), StereoOptions(ipd_m=0)]
)
def test_options_are_checked(options: StereoOptions) -> None:
    with raises_code(ConfigError, "bad-stereo"):
        check_stereo_options(options)


@pytest.mark.parametrize("style", STEREO_STYLES)
@pytest.mark.parametrize("size", [(64, 48), (7, 5), (1, 1)])
def test_sizes(style, size: tuple[int, int]) -> None:
    picture = render(exact_depth_frame(width=size[0], height=size[1]), RenderOptions(style))
    assert picture.shape[1::-1] == rendered_size(size, style)


def test_both_eyes_have_their_place() -> None:
    item = exact_depth_frame(width=64, height=48)
    wide, high, half = (item.render(RenderOptions(style)) for style in ("sbs", "top-bottom", "half-sbs"))
    np.testing.assert_array_equal(wide[:, :64], item.frame.image)
    np.testing.assert_array_equal(np.hstack([high[:48], high[48:]]), wide)
    np.testing.assert_allclose(half, cv2.resize(wide, (64, 48), interpolation=cv2.INTER_AREA), atol=1)


def test_glasses_part_the_eyes() -> None:
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert anaglyph(white, black)[0, 0].tolist() == [255, 0, 0]
    assert anaglyph(black, white)[0, 0].tolist() == [0, 255, 255]
    gray = np.full((2, 2, 3), 100, np.uint8)
    np.testing.assert_allclose(anaglyph(gray, gray)[0, 0], 100, atol=3)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (RenderOptions("stereo"), "unknown-style"),
        (RenderOptions("sbs", stereo=StereoOptions(depth_strength=3)), "bad-stereo"),
        (RenderOptions("sbs", stereo=StereoOptions(convergence=float("nan"))), "bad-stereo"),
    ],
)
def test_wrong_options_draw_nothing_in_programs_either(options: RenderOptions, code: str) -> None:
    with raises_code(ConfigError, code):
        exact_depth_frame().render(options)
