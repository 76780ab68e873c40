from __future__ import annotations

from pathlib import Path

import pytest
from helpers.errors import raises_code

from streamdepth import config
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.foreign.confidence import Confidence
from streamdepth.estimators.foreign.description import Description, Scale, Size, Threshold
from streamdepth.estimators.foreign.description_reader import parse_assignments, parse_description, read_description
from streamdepth.estimators.foreign.inspection import description_text
from streamdepth.estimators.foreign.ready import read_ready, ready_names


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("kind", "Log-Metric", "log-metric"),
        ("scale", "focal_px / 300", Scale(1 / 300, 1)),
        ("scale", 0.001, Scale(0.001)),
        ("scale", "2 * metric_scale / 4", Scale(0.5, 0, "metric_scale")),
        ("mean", [123.675, 116.28, 103.53], (0.485, 0.456, 0.406)),
        ("mean", "0.5", (0.5, 0.5, 0.5)),
        ("std", "0.229, 0.224, 0.225", (0.229, 0.224, 0.225)),
        ("std", 255, (1.0, 1.0, 1.0)),
        ("color", "BGR", "bgr"),
        ("layout", "nhwc", "NHWC"),
        ("size", 384, Size(384, 384, "short")),
        ("size", "long 504", Size(504, 504, "long")),
        ("size", [640, 384], Size(640, 384, "both")),
        ("size", "640x384", Size(640, 384, "both")),
        ("size", "picture", None),
        ("multiple", "14", 14),
        ("keep_aspect", "no", False),
        ("output", 797, "797"),
        ("confidence", "mask > 0.5", Confidence("mask", threshold=0.5)),
        ("sky", "sky > 0.3", Threshold("sky", 0.3)),
        ("inputs", "num_tokens:1800", {"num_tokens": 1800.0}),
        ("licence", "mit", "mit"),
    ],
)
def test_a_value_is_read(key: str, value: object, wanted: object) -> None:
    (found,) = parse_description({key: value}, "here").values()
    assert found == pytest.approx(wanted) if key in ("mean", "std") else found == wanted


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("kind", "depth", "inverse, relative, metric, log-metric"),
        ("scale", "focal_px +", "focal_px / 300"),
        ("scale", -1, "greater than 0"),
        ("scale", "a * b", "product"),
        ("scale", "", "product"),
        ("mean", [1, 2], "three"),
        ("mean", "x", "could not convert"),
        ("std", 0, "greater than 0"),
        ("color", "gray", "rgb, bgr"),
        ("layout", "CHWN", "NCHW, NHWC"),
        ("size", "big", "short side"),
        ("size", 0, "from 1"),
        ("multiple", 1.5, "whole number"),
        ("keep_aspect", "perhaps", "true and false"),
        ("output", {}, "name"),
        ("sky", "sky > x", "comparison"),
        ("confidence", "conf * 2", "sigmoid"),
        ("inputs", 3, "number each"),
        ("means", 3, "did you mean mean"),
        ("license", "mit", "did you mean licence"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(key: str, value: object, allowed: str) -> None:
    with raises_code(ConfigError, "bad-description", naming=allowed):
        parse_description({key: value}, "here")


@pytest.mark.parametrize("text", ["- kind", "kind: [", "just text", "kind: inverse\nkind: metric", "\x00"])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text(text)
    with raises_code(ConfigError, "bad-description", naming=str(path)):
        read_description(path)
    with raises_code(ConfigError, "not-found", naming="kind:"):
        read_description(tmp_path / "missing.yaml")


def test_settings_take_pairs_and_mappings() -> None:
    pairs = config.make(description=["kind=metric", "mean=0.5,0.4,0.3"]).model.description
    mapping = config.make(description={"kind": "metric", "mean": [0.5, 0.4, 0.3]}).model.description
    assert pairs == mapping
    assert parse_assignments(pairs) == {"kind": "metric", "mean": (0.5, 0.4, 0.3)}


@pytest.mark.parametrize("name", ready_names())
def test_the_text_of_a_description_is_read_as_the_same(tmp_path: Path, name: str) -> None:
    found = Description(**{"output": "depth"} | read_ready(name))
    path = tmp_path / "depth.yaml"
    path.write_text(description_text(found))
    again = Description(**read_description(path))
    assert again.mean == pytest.approx(found.mean, abs=1e-6)
    assert again.scale.number == pytest.approx(found.scale.number)
    for key in ("kind", "layout", "size", "multiple", "output", "confidence", "sky", "licence", "inputs", "color"):
        assert getattr(again, key) == getattr(found, key), key


def test_an_unknown_ready_description_names_all() -> None:
    with raises_code(ConfigError, "unknown-description", naming="did you mean da3-metric"):
        read_ready("da3-metrik")
