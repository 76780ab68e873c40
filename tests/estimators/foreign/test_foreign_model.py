from __future__ import annotations

import importlib.util
import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.models import make_model
from helpers.onnx_files import write_export, write_onnx
from PIL import Image

import streamdepth as sd
from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import Frame
from streamdepth.estimators.engines.onnx_export import save_onnx
from streamdepth.estimators.foreign.estimator import ForeignModelEstimator, open_foreign_model
from streamdepth.estimators.foreign.onnx_file import read_metadata
from streamdepth.estimators.huggingface import HuggingFaceEstimator, load_huggingface_network

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "openvino")),
    reason="onnx, onnxruntime and openvino are needed",
)
MEAN = "g (float[N,3,H,W] image) => (float[N,1,H,W] out) { out = ReduceMean<axes=[1], keepdims=1>(image) }"
RED = np.array([200, 100, 50], np.uint8)


def frame(width: int = 64, height: int = 32, color: np.ndarray = RED) -> Frame:
    return Frame(np.tile(color, (height, width, 1)), 0, 0, Fraction(1), 0.0, "a")


def depth_of(path: Path, *description: str, picture: Frame | None = None, **options: object) -> np.ndarray:
    with open_foreign_model(path, description=description, **options) as model:
        return model.estimate([picture or frame()])[0].depth


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("shape", "axis", "kind"),
    [
        ("float[1,32,64,3] x) => (float[1,32,64] y", "3", "float32"),
        ("uint8[1,32,64,3] x) => (float[1,32,64] y", "3", "uint8"),
        ("float[2,3,32,64] x) => (float[2,32,64] y", "1", "float32"),
    ],
)
def test_layout_type_and_batch_are_read_from_the_file(
    tmp_path: Path, shape: str, axis: str, kind: str, engine: str
) -> None:
    graph = f"g ({shape}) {{ f = Cast<to=1>(x) y = ReduceMax<axes=[{axis}], keepdims=0>(f) }}"
    path = write_onnx(tmp_path / "m.onnx", graph)
    wanted = 200.0 if kind == "uint8" else 200 / 255
    with open_foreign_model(path, description=["kind=inverse"], engine=engine) as model:
        found = model.estimate([frame(), frame(color=RED // 2), frame(40, 60)])
    np.testing.assert_allclose([e.depth.mean() for e in found], [wanted, wanted / 2, wanted], rtol=1e-5)
    assert all(e.depth.shape == (32, 64) for e in found)


@pytest.mark.parametrize(("color", "wanted"), [("rgb", (200 / 255 - 0.5) / 0.25), ("bgr", (50 / 255 - 0.5) / 0.25)])
def test_mean_and_std_are_in_the_order_of_the_colors(tmp_path: Path, color: str, wanted: float) -> None:
    graph = """g (float[1,3,32,64] image) => (float[1,1,32,64] first) {
        zero = Constant<value = int64[1] {0}>() one = Constant<value = int64[1] {1}>()
        first = Slice(image, zero, one, one) }"""
    path = write_onnx(tmp_path / "m.onnx", graph)
    depth = depth_of(path, "kind=inverse", f"color={color}", "mean=0.5,0,0", "std=0.25,1,1")
    np.testing.assert_allclose(depth, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "more", "value"),
    [
        ("inverse", (), 0.4),
        ("relative", (), 2.5),
        ("metric", ("scale=10",), 4.0),
        ("log-metric", ("scale=2",), 2 * np.exp(0.4)),
    ],
)
def test_kinds_and_scales(tmp_path: Path, kind: str, more: tuple[str, ...], value: float) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN)
    gray = frame(color=np.array([102] * 3, np.uint8))
    np.testing.assert_allclose(depth_of(path, f"kind={kind}", *more, picture=gray), value, rtol=1e-5)


def test_what_cannot_be_depth_is_unknown(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN)
    for kind in ("relative", "metric"):
        assert np.isnan(depth_of(path, f"kind={kind}", "mean=0.9")).all()
    assert np.isfinite(depth_of(path, "kind=inverse", "mean=0.9")).all()


@pytest.mark.parametrize(
    ("description", "size", "wanted"),
    [
        (("size=96",), None, (192, 96)),
        (("size=long 96",), None, (96, 64)),
        (("size=98", "multiple=14"), None, (196, 98)),
        (("size=96", "keep_aspect=false"), None, (96, 96)),
        (("size=160x128",), None, (160, 128)),
        (("size=picture",), None, (64, 32)),
        ((), None, (768, 384)),
        ((), 128, (256, 128)),
    ],
)
def test_sizes_of_a_file_that_takes_all(
    tmp_path: Path, description: tuple[str, ...], size: int | None, wanted: tuple[int, int]
) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN)
    assert depth_of(path, "kind=inverse", *description, size=size, engine="onnx").shape == wanted[::-1]


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_pictures_of_several_sizes_in_turn(tmp_path: Path, engine: str) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN)
    with open_foreign_model(path, description=["kind=inverse", "size=32"], engine=engine) as model:
        shapes = [model.estimate([frame(*size)])[0].depth.shape for size in ((64, 32), (32, 64), (64, 32))]
    assert shapes == [(32, 64), (64, 32), (32, 64)]


def test_a_description_beside_the_file_is_used_and_settings_win(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "depth.onnx", MEAN)
    (tmp_path / "depth.yaml").write_text("kind: metric\nscale: 3\nsize: 64x32\n")
    gray = frame(color=np.array([51] * 3, np.uint8))
    np.testing.assert_allclose(depth_of(path, picture=gray), 0.6, rtol=1e-5)
    np.testing.assert_allclose(depth_of(path, "scale=5", picture=gray), 1.0, rtol=1e-5)
    other = tmp_path / "other.yaml"
    other.write_text("kind: inverse\n")
    np.testing.assert_allclose(depth_of(path, str(other), picture=gray), 0.2, rtol=1e-5)


def test_confidence_hides_and_sky_is_far(tmp_path: Path) -> None:
    graph = """g (float[1,3,32,64] image) => (float[1,32,64] depth, float[1,32,64] conf) {
        depth = ReduceMean<axes=[1], keepdims=0>(image) conf = Identity(depth) }"""
    path = write_onnx(tmp_path / "m.onnx", graph)
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = Frame(np.repeat(np.tile(ramp, (32, 1))[..., None], 3, 2), 0, 0, Fraction(1), 0.0)
    depth = depth_of(path, "kind=metric", "confidence=conf > 0.25", "sky=conf > 0.75", picture=picture)[0]
    assert (np.isnan(depth) == (ramp / 255 < 0.25)).all()
    assert (np.isposinf(depth) == (ramp / 255 >= 0.75)).all()


def test_guesses_are_said_and_given_values_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN)
    with caplog.at_level(logging.WARNING):
        open_foreign_model(path, description=["kind=inverse"]).close()
    assert all(word in caplog.text for word in ("mean 0", "size 384", "multiple 32"))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        open_foreign_model(path, description=["kind=inverse", "mean=0", "size=64", "multiple=32"]).close()
    assert not caplog.text


GRAPHS = {
    "good": MEAN,
    "fixed": "g (float[1,3,32,64] image) => (float[1,32,64] y) { y = ReduceMean<axes=[1], keepdims=0>(image) }",
    "gray": "g (float[1,1,32,64] image) => (float[1,1,32,64] y) { y = Identity(image) }",
    "text": "g (int64[1,3,32,64] image) => (int64[1,3,32,64] y) { y = Identity(image) }",
    "bytes": "g (uint8[1,3,32,64] image) => (uint8[1,3,32,64] y) { y = Identity(image) }",
    "vector": "g (float[1,3] x) => (float[1,3] y) { y = Identity(x) }",
    "no batch": "g (float[3,32,64] x) => (float[32,64] y) { y = ReduceMean<axes=[0], keepdims=0>(x) }",
    "stereo": "g (float[1,3,32,64] left, float[1,3,32,64] right) => (float[1,3,32,64] y) { y = Sub(left, right) }",
    "two": "g (float[1,3,32,64] x, float[1] k) => (float[1,3,32,64] y) { y = Mul(x, k) }",
}


@pytest.mark.parametrize(
    ("graph", "description", "code", "says"),
    [
        ("good", (), "foreign", "--description kind=inverse"),
        ("good", ("kind=depth",), "bad-description", "log-metric"),
        ("good", ("nothing",), "unknown-description", "da3-metric"),
        ("good", ("zipdepth", "da3"), "bad-description", "zipdepth and da3"),
        ("good", ("missing.yaml",), "not-found", "missing.yaml"),
        ("good", ("kind=inverse", "output=depth"), "bad-description", "it has out"),
        ("good", ("kind=inverse", "sky=sky"), "bad-description", "'sky'"),
        ("good", ("kind=inverse", "scale=2"), "bad-description", "leave scale out"),
        ("good", ("kind=inverse", "layout=1NCHW"), "bad-description", "NCHW"),
        ("good", ("kind=inverse", "inputs=k:1"), "bad-description", "'k'"),
        ("fixed", ("kind=inverse", "size=32x32"), "bad-description", "64x32"),
        ("gray", ("kind=inverse",), "bad-description", "1 channels"),
        ("text", ("kind=inverse",), "bad-description", "float32"),
        ("bytes", ("kind=inverse", "mean=0.5"), "bad-description", "leave mean and std out"),
        ("vector", ("kind=inverse",), "bad-description", "layout"),
        ("no batch", ("kind=inverse",), "bad-description", "four dimensions"),
        ("stereo", ("kind=inverse",), "bad-description", "one picture"),
        ("two", ("kind=inverse",), "bad-description", "inputs: {k: NUMBER}"),
    ],
)
def test_mistakes_say_what_is_wrong(
    tmp_path: Path, graph: str, description: tuple[str, ...], code: str, says: str
) -> None:
    path = write_onnx(tmp_path / "m.onnx", GRAPHS[graph])
    with raises_code(sd.StreamDepthError, code, naming=says):
        open_foreign_model(path, description=description)


GRAY = "y = ReduceMean<axes=[1], keepdims=0>(x)"
HALF = "p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x) c = ReduceMean<axes=[1], keepdims=0>(p)"


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("outputs", "nodes", "description", "wrong"),
    [
        ("float[1,3,32,64] y", "y = Identity(x)", (), "y"),
        ("float y", "y = ReduceMean<keepdims=0>(x)", (), "y"),
        ("float[1,3] y", "y = ReduceMean<axes=[2,3], keepdims=0>(x)", (), "y"),
        ("float[3] y", "y = ReduceMean<axes=[0,2,3], keepdims=0>(x)", (), "y"),
        ("float[1,64,32] y", "g = ReduceMean<axes=[1], keepdims=0>(x) y = Transpose<perm=[0,2,1]>(g)", (), "y"),
        ("float[1,32,64] y, float[1,16,32] c", f"{GRAY} {HALF}", ("confidence=c",), "c"),
        ("float[1,32,64] y, float[1,16,32] c", f"{GRAY} {HALF}", ("sky=c",), "c"),
        ("float[1,32,64] y, float[1,32,64] s", f"{GRAY} s = Identity(y)", ("kind=metric", "scale=s"), "s"),
    ],
)
def test_outputs_of_a_wrong_shape_are_refused_when_they_come(
    tmp_path: Path, outputs: str, nodes: str, description: tuple[str, ...], wrong: str, engine: str
) -> None:
    path = write_onnx(tmp_path / "m.onnx", f"g (float[1,3,32,64] x) => ({outputs}) {{ {nodes} }}")
    with raises_code(sd.StreamDepthError, "bad-output", naming=f"'{wrong}'"):
        depth_of(path, "kind=inverse", *description, engine=engine)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("bool", 1, True),
        ("bool", 2, False),
        ("int64", 7, True),
        ("int64", 0.5, False),
        ("int64", 1e300, False),
        ("float", 0.5, True),
    ],
)
def test_a_further_input_takes_numbers_of_its_type(
    tmp_path: Path, kind: str, value: float, fits: bool, engine: str
) -> None:
    graph = f"""g (float[1,3,32,64] x, {kind}[1] k) => (float[1,32,64] y) {{
        f = Cast<to=1>(k) z = Mul(x, f) y = ReduceMean<axes=[1], keepdims=0>(z) }}"""
    path = write_onnx(tmp_path / "m.onnx", graph)
    if fits:
        depth = depth_of(path, "kind=inverse", f"inputs=k:{value}", picture=frame(color=RED * 0 + 51), engine=engine)
        np.testing.assert_allclose(depth, 0.2 * value, rtol=1e-5)
    else:
        with raises_code(ConfigError, "bad-description", naming="k "):
            open_foreign_model(path, description=["kind=inverse", f"inputs=k:{value}"], engine=engine)


@pytest.mark.parametrize(
    ("graph", "description"),
    [
        ("g () => (float[1,32,64] y) { s = Constant<value = int64[3] {1,32,64}>() y = ConstantOfShape(s) }", ()),
        (f"g (float[1,3,32,64] x) => (seq(float[1,32,64]) s) {{ {GRAY} s = SequenceConstruct(y) }}", ()),
        (f"g (float[1,3,32,64] x) => (string[1,32,64] s) {{ {GRAY} s = Cast<to=8>(y) }}", ()),
        (
            f"g (float[1,3,32,64] x, string k) => (float[1,32,64] y, string z) {{ {GRAY} z = Identity(k) }}",
            ("inputs=k:1",),
        ),
    ],
)
def test_files_without_numbers_where_they_are_needed_are_refused(
    tmp_path: Path, graph: str, description: tuple[str, ...]
) -> None:
    path = write_onnx(tmp_path / "m.onnx", graph)
    with raises_code(ConfigError, "bad-description", naming="m.onnx"):
        open_foreign_model(path, description=["kind=inverse", *description], engine="onnx")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_side_that_is_fixed_stays(tmp_path: Path, engine: str) -> None:
    graph = f"g (float[1,3,32,w] x) => (float[1,32,w] y) {{ {GRAY} }}"
    path = write_onnx(tmp_path / "m.onnx", graph)
    assert depth_of(path, "kind=inverse", engine=engine).shape == (32, 384)
    assert depth_of(path, "kind=inverse", "size=96x32", engine=engine).shape == (32, 96)
    with raises_code(sd.StreamDepthError, "network-failed", naming="64, 96"):
        depth_of(path, "kind=inverse", "size=96x64", engine=engine)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_files_that_are_not_there_or_damaged(tmp_path: Path, engine: str) -> None:
    whole = write_onnx(tmp_path / "whole.onnx", MEAN, {"license": "MIT"}).read_bytes()
    (tmp_path / "folder.onnx").mkdir()
    for i, content in enumerate(
        (b"", b"nothing", b"\0" * 100, whole[: len(whole) // 2], whole[:-1], b"\x3a" + b"\xff" * 9 + b"\1")
    ):
        (tmp_path / f"broken{i}.onnx").write_bytes(content)
        with raises_code(ModelLoadError, "damaged", naming=f"broken{i}.onnx"):
            open_foreign_model(tmp_path / f"broken{i}.onnx", engine=engine)
    for path, says in (
        (tmp_path / "missing.onnx", "missing.onnx"),
        (tmp_path / "folder.onnx", "folder"),
        (Path("https://example.com/m.onnx"), "address"),
    ):
        with raises_code(ModelLoadError, "not-found", naming=says):
            open_foreign_model(path, engine=engine)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!doctype html>", "web page"),
    ],
)
def test_other_files_under_its_name_are_called_what_they_are(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with raises_code(ModelLoadError, "damaged", naming=says):
        open_foreign_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("engine", ["onnx", "openvino", "auto"])
@pytest.mark.parametrize("size", [None, 10])
def test_weights_in_a_file_of_their_own_that_are_missing_are_named(
    tmp_path: Path, size: int | None, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    import onnx

    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,32,64] x) => (float[1,32,64] y) '
        "{ s = Add(x, w) y = ReduceMean<axes=[1], keepdims=0>(s) }"
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, 3, 32, 64), np.float32), "w"))
    where = {"save_as_external_data": True, "location": "weights.data", "size_threshold": 1}
    onnx.save(model, str(tmp_path / "m.onnx"), **where)
    assert depth_of(tmp_path / "m.onnx", "kind=inverse", picture=frame(color=RED * 0)).mean() == 1
    data = tmp_path / "weights.data"
    data.unlink() if size is None else data.write_bytes(data.read_bytes()[:size])
    caplog.clear()
    with raises_code(ModelLoadError, "damaged", naming="beside it") as caught:
        open_foreign_model(tmp_path / "m.onnx", description=["kind=inverse"], engine=engine)
    assert ".cc" not in str(caught.value)
    assert ".cpp" not in str(caught.value)
    assert not caplog.records  # the failure of one runtime is of no use where the other's is an error


def test_an_input_that_no_memory_holds_is_refused_before_it_is_filled(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", f"g (float[1,3,30000,30000] x) => (float[1,30000,30000] y) {{ {GRAY} }}")
    with raises_code(ModelLoadError, "too-large", naming="30000x30000"):
        open_foreign_model(path, description=["kind=inverse"])


def test_a_map_without_any_known_depth_is_announced_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_onnx(tmp_path / "m.onnx", f"g (float[1,3,32,64] x) => (float[1,32,64] y) {{ {GRAY} }}")
    with open_foreign_model(path, description=["kind=inverse", "confidence=y > 0.6"]) as model:
        caplog.clear()
        model.estimate([frame(color=RED * 0 + 200)])
        assert not caplog.records
        for _ in range(2):
            assert np.isnan(model.estimate([frame(color=RED * 0 + 100)])[0].depth).all()
    assert len(caplog.records) == 1


def test_frames_of_a_fixed_number_are_counted_in_the_hint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = "g (float[1,8,3,32,64] x) => (float[1,8,32,64] y) { y = ReduceMean<axes=[2], keepdims=0>(x) }"
    open_foreign_model(write_onnx(tmp_path / "m.onnx", graph), description=["kind=inverse"]).close()
    assert "--batch 8" in caplog.text


def test_options_that_do_not_go_with_a_file(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", GRAPHS["fixed"])
    for options, code in (
        ({"engine": "torch"}, "option-conflict"),
        ({"precision": "bfloat16"}, "option-conflict"),
        ({"compile": True}, "option-conflict"),
        ({"size": 64}, "fixed-size"),
    ):
        with raises_code(ConfigError, code, naming="m.onnx"):
            open_foreign_model(path, description=["kind=inverse"], **options)
    with raises_code(ConfigError, "option-conflict", naming="nano"):
        sd.load_model("nano", description="kind=inverse")


def test_metadata_is_read_without_the_weights(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", MEAN, {"license": "MIT", "description": "ä" * 300})
    assert read_metadata(path) == {"license": "MIT", "description": "ä" * 300}
    with open_foreign_model(path, description=["kind=inverse"]) as model:
        assert model.info.license == "MIT"
    path.write_bytes(path.read_bytes()[:-4])
    read_metadata(path)
    assert read_metadata(tmp_path) == {}


def test_a_stream_runs_a_file_and_its_meters_follow_the_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, means, logs = write_export(tmp_path, "DA3METRIC-LARGE.onnx"), [], []
    gray = "lavfi:color=c=0x333333:size=64x36:rate=30:duration=0.1"
    for options in ({}, {"fov": 90.0}, {"fov": 90.0, "inference_fps": 15}):
        caplog.clear()
        with sd.stream(gray, model=str(path), smooth="off", **options) as stream:
            means.append([float(item.depth.mean()) for item in stream])
        logs.append(caplog.text)
    np.testing.assert_allclose(means[1], np.array(means[0]) * np.tan(np.radians(30)), rtol=1e-4)
    np.testing.assert_allclose(means[2], means[1], rtol=1e-4)
    assert ["60 degrees" in text for text in logs] == [True, False, False]


def test_a_picture_runs_a_file_and_its_meters_follow_the_camera(tmp_path: Path) -> None:
    path = write_export(tmp_path, "DA3METRIC-LARGE.onnx")
    gray = np.full((36, 64, 3), 51, np.uint8)
    assumed, known = (sd.estimate(gray, model=str(path), **more).predicted_depth.mean() for more in ({}, {"fov": 90.0}))
    assert known / assumed == pytest.approx(np.tan(np.radians(30)), rel=1e-4)


def test_inspect_prints_what_is_in_a_file_and_writes_a_test_picture(cli, tmp_path: Path) -> None:
    path = write_export(tmp_path, "DA3METRIC-LARGE.onnx")
    picture = tmp_path / "new" / "test.png"
    done = cli("models", "--inspect", path, "-o", picture)
    assert done.code == 0, done.err
    for words in (
        "image float32 [1, 3, 280, 504]",
        "sky float32",
        "da3-metric",
        "scale: focal_px / 300",
        "504x280 meters",
    ):
        assert words in done.out, words
    with Image.open(picture) as written:
        assert written.size == (1280, 480)
    again = cli("models", "--inspect", path, "-o", picture)
    assert (again.code, "exists" in again.err) == (5, True)
    unknown = write_onnx(tmp_path / "m.onnx", MEAN)
    done = cli("models", "--inspect", unknown, "--engine", "onnx")
    assert (done.code, "kind inverse" in done.out, "inverse depth" in done.out) == (0, True, True), done.err


def test_scores_of_classes_are_not_taken_for_logarithms(cli, tmp_path: Path) -> None:
    graph = "g (float[1,3,32,64] x) => (float[1,32,64] logits) { logits = ReduceMean<axes=[1], keepdims=0>(x) }"
    assert "guessed: kind inverse" in cli("models", "--inspect", write_onnx(tmp_path / "m.onnx", graph)).out


def test_mistakes_of_inspect_are_one_line(cli, tmp_path: Path) -> None:
    for arguments, code in (
        (("--inspect", tmp_path / "missing.onnx"), 4),
        (("--picture", "x.png"), 2),
        (("nano", "--descriptions"), 2),
        (("nano", "--inspect", tmp_path / "missing.onnx"), 2),
        (("--inspect", write_onnx(tmp_path / "m.onnx", MEAN), "--picture", tmp_path / "none.png"), 3),
        (("--inspect", tmp_path / "m.onnx", "-o", tmp_path / "m.xyz"), 5),
    ):
        done = cli("models", *arguments)
        assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
    assert "da3-metric" in cli("models", "--descriptions").out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "kind", "engine"), [("depth_anything", "inverse", "onnx"), ("glpn", "metric", "openvino")]
)
def test_an_export_of_a_real_architecture_gives_what_it_gives_in_torch(
    tmp_path: Path, model: str, kind: str, engine: str
) -> None:
    source = str(make_model(model, tmp_path / model))
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8)
    picture, size = Frame(image, 0, 0, Fraction(1), 0.0), (128, 64)
    exact = HuggingFaceEstimator(source, size=size, engine="torch", device="cpu")
    height, width = exact.card.spec.output_size(64, 128)
    path, network = tmp_path / "m.onnx", load_huggingface_network(source, size=size)
    save_onnx(network.module.get(), path, 1, height, width)
    mean, std = (",".join(map(str, values)) for values in (exact.card.spec.mean, exact.card.spec.std))
    picture = Frame(picture.image_at_size(width, height), 0, 0, Fraction(1), 0.0)
    found = depth_of(path, f"kind={kind}", f"mean={mean}", f"std={std}", picture=picture, engine=engine)
    wanted = exact.estimate([picture])[0].depth
    assert exact.info.kind.unit == ("m" if kind == "metric" else None)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.ptp(wanted))


def test_an_estimator_is_reported_with_the_license_of_its_weights(tmp_path: Path) -> None:
    model = open_foreign_model(write_export(tmp_path, "zipdepth_base_384x384.onnx"))
    assert isinstance(model, ForeignModelEstimator)
    assert (model.info.license, model.info.parameters) == ("mit", None)
    model.close()
    model.close()
