from __future__ import annotations

import math
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import streamdepth
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.projection import back_project


def make_frame(width: int = 64, height: int = 48) -> Frame:
    return Frame(np.full((height, width, 3), 90, np.uint8), 3, 6, Fraction(1, 30), 0.0, "a")


def make_depth_frame(kind: DepthKind = DepthKind.METRIC, camera: Intrinsics | None = None) -> DepthFrame:
    depth = np.linspace(1, 4, 24 * 32, dtype=np.float32).reshape(24, 32)
    return DepthFrame(make_frame(), depth, kind, intrinsics=camera)


class TestFrame:
    def test_size_and_time_follow_from_the_other_fields(self) -> None:
        frame = make_frame()
        assert (frame.size, frame.time) == ((64, 48), 0.2)
        larger = replace(frame, pixels=np.zeros((96, 128, 3), np.uint8), pts=9)
        assert (larger.size, larger.time) == ((128, 96), 0.3)
        assert pickle.loads(pickle.dumps(larger)).size == (128, 96)

    def test_an_array_of_the_caller_stays_writable(self) -> None:
        pixels = np.zeros((4, 4, 3), np.uint8)
        frame = Frame(pixels, 0, 0, Fraction(1), 0.0)
        assert pixels.flags.writeable
        assert not frame.image.flags.writeable
        assert np.shares_memory(pixels, frame.image)

    @pytest.mark.parametrize("view", [np.s_[:, :, ::-1], np.s_[::2], np.s_[:, 1:]])
    def test_a_view_that_is_not_contiguous_is_copied(self, view) -> None:
        pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
        frame = Frame(pixels[view], 0, 0, Fraction(1), 0.0)
        assert frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image, pixels[view])

    @pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (3, 4, 4)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="uint8"):
            Frame(np.zeros(shape, np.uint8), 0, 0, Fraction(1), 0.0)


def check_values(depth: np.ndarray, width: int, height: int) -> None:
    item = DepthFrame(make_frame(width, height), depth, DepthKind.METRIC)
    values = [[item.depth_at(x, y) for x in range(width)] for y in range(height)]
    np.testing.assert_allclose(values, item.at_frame_size(), rtol=2e-3)


class TestDepthAt:
    @given(
        depth=arrays.arrays(
            np.float32,
            st.tuples(st.integers(1, 9), st.integers(1, 9)),
            elements=st.one_of(st.floats(0.5, 50, width=32), st.just(math.nan)),
        ),
        factor=st.sampled_from([1, 3, 5]),  # an odd one: no center of a pixel lies between two others
    )
    def test_it_is_the_value_of_the_resized_map(self, depth: np.ndarray, factor: int) -> None:
        check_values(depth, depth.shape[1] * factor, depth.shape[0] * factor)

    @given(
        depth=arrays.arrays(
            np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0.5, 50, width=32)
        ),
        width=st.integers(1, 20),
        height=st.integers(1, 20),
    )
    def test_so_it_is_at_any_size(self, depth: np.ndarray, width: int, height: int) -> None:
        check_values(depth, width, height)

    @pytest.mark.parametrize(("x", "y"), [(-1, 0), (64, 0), (0, -1), (0, 48)])
    def test_outside_of_the_frame_is_an_index_error(self, x: int, y: int) -> None:
        with pytest.raises(IndexError):
            make_depth_frame().depth_at(x, y)


class TestPointAt:
    @pytest.mark.parametrize("distortion", [(), (0.1, -0.05, 0.001, 0.002, 0.01)])
    def test_it_is_the_point_of_the_back_projected_map(self, distortion: tuple[float, ...]) -> None:
        camera = replace(Intrinsics.from_fov(70, 64, 48), distortion=distortion)
        item = make_depth_frame(camera=camera)
        points = back_project(item.at_frame_size(), camera)
        np.testing.assert_allclose(item.point_at(50, 10), points[10, 50], rtol=1e-4)

    def test_it_is_nan_where_depth_is_unknown(self) -> None:
        camera = Intrinsics.from_fov(70, 64, 48)
        item = DepthFrame(make_frame(), np.full((24, 32), np.nan, np.float32), DepthKind.METRIC, intrinsics=camera)
        assert np.isnan(item.point_at(5, 5)).all()

    def test_relative_depth_and_unknown_cameras_are_errors_with_a_code(self) -> None:
        with pytest.raises(ConfigError) as relative:
            make_depth_frame(DepthKind.RELATIVE, Intrinsics.from_fov(70, 64, 48)).point_at(1, 1)
        with pytest.raises(ConfigError) as unknown:
            make_depth_frame().point_at(1, 1)
        assert (relative.value.code, unknown.value.code) == ("not-metric", "no-intrinsics")


class TestRender:
    @pytest.mark.parametrize(("style", "width"), [("overlay", 64), ("depth", 64), ("side-by-side", 128), ("sbs", 128)])
    def test_it_draws_a_picture(self, style, width: int) -> None:
        picture = make_depth_frame().render(RenderOptions(style=style))
        assert (picture.shape, picture.dtype) == ((48, width, 3), np.uint8)

    def test_the_package_has_installed_what_draws(self) -> None:
        assert streamdepth.RenderOptions is RenderOptions
        assert make_depth_frame().render().shape == (48, 64, 3)
