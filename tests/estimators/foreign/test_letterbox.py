"""Files of a fixed size whose description asks to keep the aspect: depth has to be where the picture shows it."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.onnx_files import write_onnx

import streamdepth as sd
from streamdepth.core.types import DepthFrame, DepthKind, Estimate, Frame
from streamdepth.estimators.foreign.estimator import open_foreign_model

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "openvino")),
    reason="onnx, onnxruntime and openvino are needed",
)
LETTERBOX = ("kind=inverse", "keep_aspect=true")
GRAYS = {
    1: "y = ReduceMean<axes=[1], keepdims=1>(x)",
    2: "p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x) y = ReduceMean<axes=[1], keepdims=1>(p)",
    3: "p = AveragePool<kernel_shape=[3,3], strides=[3,3]>(x) y = ReduceMean<axes=[1], keepdims=1>(p)",
}
"""Networks whose depth is the picture's gray, 1, 2 or 3 times as small."""


def gray_file(folder: Path, width: int, height: int, shrink: int = 1) -> Path:
    shape = f"float[1,3,{height},{width}] x) => (float[1,1,{height // shrink},{width // shrink}] y"
    return write_onnx(folder / "m.onnx", f"g ({shape}) {{ {GRAYS[shrink]} }}")


def picture(width: int, height: int) -> Frame:
    """Returns a dark picture with a bright spot that is off its middle."""
    image = np.full((height, width, 3), 20, np.uint8)
    image[round(0.2 * height) : round(0.4 * height), round(0.7 * width) : round(0.8 * width)] = 220
    return Frame(image, 0, 0, Fraction(1), 0.0)


def estimate(path: Path, frame: Frame, *description: str, engine: str = "onnx") -> Estimate:
    with open_foreign_model(path, description=description, engine=engine) as model:
        return model.estimate([frame])[0]


def spot(values: np.ndarray) -> np.ndarray:
    """Returns x and y of the middle of what is bright, in px."""
    weights = np.clip(values.astype(np.float64) - 120 / 255, 0, None)
    y, x = np.indices(values.shape)
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("shrink", GRAYS)
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (333, 217), (101, 640), (96, 96)])
def test_depth_is_where_the_picture_shows_it(tmp_path: Path, size: tuple[int, int], shrink: int, engine: str) -> None:
    frame = picture(*size)
    found = estimate(gray_file(tmp_path, 288, 192, shrink), frame, *LETTERBOX, engine=engine)
    full = DepthFrame(frame, found.depth, DepthKind.RELATIVE).at_frame_size()
    assert np.abs(spot(full) - spot(frame.image[..., 0] / 255)).max() < 1
    corners = full[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 20 / 255, atol=0.12 if shrink > 1 else 1e-3)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((640, 360), (162, 288)), ((360, 640), (192, 108)), ((101, 640), (192, 30)), ((9000, 9), (1, 288))],
)
def test_depth_has_the_aspect_of_the_picture(tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    depth = estimate(gray_file(tmp_path, 288, 192), picture(*size), *LETTERBOX).depth
    assert depth.shape == wanted


@pytest.mark.parametrize("is_portrait", [False, True])
def test_margins_repeat_the_edges_and_nothing_is_distorted(tmp_path: Path, is_portrait: bool) -> None:
    """The network returns the mean of each column, or row, of its input: the margins count as the edges beside them."""
    axis = 2 if is_portrait else 1
    graph = f"""g (float[1,3,100,100] x) => (float[1,100,100] y) {{ g = ReduceMean<axes=[1], keepdims=0>(x)
        m = ReduceMean<axes=[{axis}], keepdims=1>(g) z = Sub(g, g) y = Add(z, m) }}"""
    image = np.full((50, 100, 3), 100, np.uint8)
    image[:25], image[-1] = 40, 220
    image = np.ascontiguousarray(image.transpose(1, 0, 2)) if is_portrait else image
    path = write_onnx(tmp_path / "m.onnx", graph)
    depth = estimate(path, Frame(image, 0, 0, Fraction(1), 0.0), *LETTERBOX).depth
    assert depth.shape == image.shape[:2]
    wanted = (25 * 40 + 25 * 40 + 24 * 100 + 26 * 220) / 100 / 255
    np.testing.assert_allclose(depth, wanted, rtol=1e-4)


def test_the_picture_is_stretched_unless_the_description_asks(tmp_path: Path) -> None:
    path, frame = gray_file(tmp_path, 96, 96), picture(160, 90)
    shapes = [
        estimate(path, frame, "kind=inverse", *more).depth.shape
        for more in ((), ("keep_aspect=false",), ("size=64",), ("keep_aspect=true",))
    ]
    assert shapes == [(96, 96), (96, 96), (96, 96), (54, 96)]


def test_a_size_of_both_sides_is_a_letterbox_for_files_that_take_all_sizes(tmp_path: Path) -> None:
    graph = "g (float[1,3,h,w] x) => (float[1,1,h,w] y) { y = ReduceMean<axes=[1], keepdims=1>(x) }"
    path, frame = write_onnx(tmp_path / "m.onnx", graph), picture(160, 90)
    both = ("size=130x98", "multiple=32")
    assert estimate(path, frame, *LETTERBOX, *both).depth.shape == (72, 128)
    assert estimate(path, frame, "kind=inverse", *both).depth.shape == (96, 128)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_layout_and_colors_go_with_a_letterbox(tmp_path: Path, layout: str, color: str) -> None:
    shape, axis = ("1,3,64,64", 1) if layout == "NCHW" else ("1,64,64,3", 3)
    graph = f"""g (float[{shape}] x) => (float[1,64,64] y) {{
        zero = Constant<value = int64[1] {{0}}>() one = Constant<value = int64[1] {{1}}>()
        axis = Constant<value = int64[1] {{{axis}}}>()
        first = Slice(x, zero, one, axis) y = Squeeze(first, axis) }}"""
    image = np.tile(np.array([200, 100, 50], np.uint8), (32, 64, 1))
    path, frame = write_onnx(tmp_path / "m.onnx", graph), Frame(image, 0, 0, Fraction(1), 0.0)
    depth = estimate(path, frame, *LETTERBOX, f"color={color}").depth
    assert depth.shape == (32, 64)
    np.testing.assert_allclose(depth, {"rgb": 200, "bgr": 50}[color] / 255, rtol=1e-5)


def test_meters_hold_for_the_focal_length_of_the_picture_without_its_margins(tmp_path: Path) -> None:
    path = gray_file(tmp_path, 320, 320)
    gray = Frame(np.full((90, 160, 3), 51, np.uint8), 0, 0, Fraction(1), 0.0)
    found = estimate(path, gray, "kind=metric", "scale=focal_px / 300", "keep_aspect=true")
    assert found.assumed_focal_px is not None
    np.testing.assert_allclose(found.depth, 0.2 * 2 * found.assumed_focal_px / 300, rtol=1e-4)


def test_the_other_outputs_lose_their_margins_too(tmp_path: Path) -> None:
    graph = """g (float[1,3,64,64] x) => (float[1,64,64] y, float[1,64,64] sky) {
        y = ReduceMean<axes=[1], keepdims=0>(x) sky = Identity(y) }"""
    image = cv2.resize(np.linspace(0, 255, 64).astype(np.uint8)[None], (64, 32))[..., None].repeat(3, 2)
    path, frame = write_onnx(tmp_path / "m.onnx", graph), Frame(image, 0, 0, Fraction(1), 0.0)
    depth = estimate(path, frame, "kind=metric", "keep_aspect=true", "sky=sky > 0.5").depth
    assert (np.isposinf(depth) == (image[..., 0] >= 128)).all()


def test_points_are_those_of_the_picture_without_its_margins(tmp_path: Path) -> None:
    """The points are x, y, and a depth of 2, of a camera whose focal length is 100 px of the input."""
    graph = """g (float[1,3,64,64] x) => (float[1,64,64,3] y) {
        z = Mul(x, x) t = Transpose<perm=[0,2,3,1]>(z) n = Sub(t, t) y = Add(n, points) }"""
    path = write_onnx(tmp_path / "m.onnx", graph.replace(", points)", ", p)"), None)
    import onnx

    model = onnx.load(str(path))
    y, x = np.mgrid[:64, :64] + 0.5
    depth = 2 + 0.5 * np.sin(x / 9) * np.cos(y / 7)
    points = np.stack([(x - 32) * depth / 100, (y - 32) * depth / 100, depth], -1)[None].astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(points, "p"))
    onnx.save(model, str(path))
    found = estimate(path, picture(128, 64), "kind=metric", "keep_aspect=true", "output=y")
    np.testing.assert_allclose(found.depth, depth[16:48], rtol=0.02)
    assert found.focal_px == pytest.approx(200, rel=0.02)


def test_a_stream_gives_a_video_of_the_size_of_the_source(tmp_path: Path) -> None:
    path = gray_file(tmp_path, 96, 96)
    with sd.stream("samples/room.mp4", model=str(path), description=LETTERBOX, max_frames=2) as stream:
        items = list(stream)
    assert [item.depth.shape for item in items] == [(54, 96)] * 2
    assert items[0].at_frame_size().shape == (360, 640)
