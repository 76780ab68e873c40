from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
from helpers.errors import raises_code
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame, DepthKind, Frame, ModelInfo, StreamInfo
from streamdepth.geometry.flying_pixels import flying_pixels, without_flying_pixels
from streamdepth.render.upsampling import guided_upsample, upsample
from streamdepth.sinks.depth_reader import DepthVideo
from streamdepth.sinks.depth_video import DepthVideoSink
from streamdepth.sinks.images import ImagesSink
from streamdepth.sinks.video import VideoSink


def box(height: int = 144, width: int = 192) -> tuple[Image, DepthMap]:
    """A bright box before a dark wall: the picture, and exact depth of the same size."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[41:103, 53:139] = 200
    depth = np.full((height, width), 4, np.float32)
    depth[41:103, 53:139] = 2
    return image, depth


def shrunk(depth: DepthMap, by: int = 8) -> DepthMap:
    size = depth.shape[1] // by, depth.shape[0] // by
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_AREA), np.float32)


def item(image: Image, depth: DepthMap, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    return DepthFrame(Frame(image, 0, 0, Fraction(1, 30), 0.0, "s"), depth, kind)


class TestGuided:
    def test_edges_lie_on_the_pictures_edges(self) -> None:
        image, exact = box()
        small = shrunk(exact)
        plain, guided = resize_depth(small, 192, 144), guided_upsample(small, image)
        assert guided.shape == exact.shape
        assert guided.dtype == np.float32
        assert np.abs(guided - exact).mean() < 0.5 * np.abs(plain - exact).mean()

    def test_texture_does_not_get_into_flat_depth(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (144, 192, 3)).astype(np.uint8)
        np.testing.assert_allclose(guided_upsample(np.full((18, 24), 3, np.float32), image), 3, rtol=1e-5)

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1))
    def test_it_stays_within_the_inputs(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        depth = rng.uniform(1, 2, (12, 16)).astype(np.float32)
        result = guided_upsample(depth, rng.integers(0, 256, (50, 70, 3)).astype(np.uint8))
        assert depth.min() <= result.min() <= result.max() <= depth.max()

    def test_unknown_stays_unknown_and_does_not_spread(self) -> None:
        image, exact = box()
        small = shrunk(exact)
        small[2, 3], small[10, 20] = np.nan, np.inf
        guided, plain = guided_upsample(small, image), resize_depth(small, 192, 144)
        np.testing.assert_array_equal(np.isnan(guided), np.isnan(plain))
        np.testing.assert_array_equal(np.isinf(guided), np.isinf(plain))

    def test_plain_leaves_the_item_as_it_is(self) -> None:
        image, exact = box()
        one = item(image, shrunk(exact))
        assert upsample(one, "plain") is one
        assert upsample(one, "guided").depth.shape == exact.shape

    def test_confidence_is_enlarged_with_depth_and_is_0_where_that_is_unknown(self) -> None:
        image, exact = box()
        small = shrunk(exact)
        small[2, 3] = np.nan
        confidence = np.where(np.isnan(small), 0, small / 4).astype(np.float32)
        enlarged = upsample(replace(item(image, small), confidence=confidence), "guided")
        assert enlarged.confidence is not None
        assert enlarged.confidence.shape == exact.shape
        assert not enlarged.confidence[np.isnan(enlarged.depth)].any()
        assert enlarged.confidence[120, 20] == 1
        np.testing.assert_allclose(enlarged.confidence[70, 90], 0.5)


class TestFlying:
    def test_only_the_jump_is_unreliable(self) -> None:
        _, exact = box()
        slope = cv2.GaussianBlur(exact, (0, 0), 2)
        flying = flying_pixels(np.asarray(slope, np.float32), DepthKind.METRIC)
        assert flying[70, 52:54].all()
        assert not flying[70, 90]
        assert not flying[10, 10]
        assert 0.01 < flying.mean() < 0.15

    def test_a_floor_seen_flat_is_no_jump(self) -> None:
        floor = np.repeat(1.5 / np.linspace(0.1, 1, 144, dtype=np.float32)[:, None], 192, axis=1)
        assert flying_pixels(floor, DepthKind.METRIC).mean() < 0.02

    def test_relative_depth_has_none(self) -> None:
        assert not flying_pixels(box()[1], DepthKind.RELATIVE).any()

    def test_unknown_and_infinite_are_no_jumps_themselves(self) -> None:
        depth = np.full((9, 9), 2, np.float32)
        depth[4, 4] = np.nan
        assert not flying_pixels(depth, DepthKind.METRIC).any()
        depth[4, 4] = np.inf
        assert flying_pixels(depth, DepthKind.METRIC)[3:6, 3:6].sum() == 8


def test_exports_write_flying_pixels_as_unknown(tmp_path) -> None:
    image, exact = box()
    one, info = item(image, shrunk(exact)), StreamInfo("s", 192, 144, time_base=Fraction(1, 30))
    flying = np.isnan(without_flying_pixels(one).depth)
    assert flying.any()
    video = DepthVideoSink(tmp_path / "depth.mkv", size="network", drop_flying=True)
    pictures = ImagesSink(tmp_path / "%06d.npz", drop_flying=True, edges="guided")
    for sink in (video, pictures):
        sink.open(info, ModelInfo("m", DepthKind.METRIC))
        sink.write(one)
        sink.close()
    np.testing.assert_array_equal(np.isnan(next(iter(DepthVideo(video.path)))), flying)
    with np.load(tmp_path / "000000.npz") as file:
        assert file["depth"].shape == (144, 192)
        assert np.isnan(file["depth"]).any()


def test_wrong_words_say_the_right_ones(tmp_path) -> None:
    with raises_code(ConfigError, "unknown-edges", naming="plain, guided"):
        VideoSink(tmp_path / "a.mp4", RenderOptions(edges="soft"))  # type: ignore[arg-type]
