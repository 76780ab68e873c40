"""YAML of strangers gives plain values or one error, soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from helpers.errors import raises_code

from streamdepth.config import load
from streamdepth.core.errors import ConfigError
from streamdepth.geometry.camera_files import read_camera_file
from streamdepth.training.settings import read_settings
from streamdepth.utils.strict_yaml import load_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = {
    "alias bomb": BOMB + "source: *i\n",
    "merge bomb": "a: &a {x: 1}\n"
    + "".join(f"{n}: &{n} {{<<: [{','.join([f'*{b}'] * 9)}]}}\n" for b, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "contains itself": "source: &a [*a]\n",
    "mapping that contains itself": "render: &a\n  style: *a\n",
    "deep": f"source: {'[' * 2000}\n",
    "deep and closed": f"source: {'[' * 200}{']' * 200}\n",
    "number that is none": "max_frames: 0b_\n",
    "binary": "source: !!binary aGVsbG8=\n",
    "timestamp": "max_seconds: !!timestamp 2020-99-99\n",
    "set": "source: !!set {a, b}\n",
    "Python": "source: !!python/object/apply:os.system [id]\n",
    "list as a key": "? [a, b]\n: 1\n",
    "twice": "source: a.mp4\nsource: b.mp4\n",
    "twice in a section": "render:\n  style: depth\n  style: depth\n",
    "long": "a: " + "x" * 2**21,
    "too many digits": f"max_frames: {'9' * 5000}\n",
    "control characters": "a: \x01\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_yaml_is_one_error_everywhere(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(BAD[kind])
    started_at = time.monotonic()
    with pytest.raises(yaml.YAMLError) as caught:
        load_yaml(BAD[kind])
    assert len(str(caught.value)) < 500
    with raises_code(ConfigError, "bad-yaml"):
        load(path)
    with raises_code(ConfigError, "bad-camera"):
        read_camera_file(path)
    with raises_code(ConfigError, "unreadable"):
        read_settings(path)
    assert time.monotonic() - started_at < 10


@pytest.mark.parametrize("date", ["2020-99-99", "2020-01-01", "2001-12-14t21:59:43.10-05:00"])
def test_dates_are_texts(tmp_path: Path, date: str) -> None:
    assert load_yaml(f"a: {date}") == {"a": date}
    (tmp_path / "a.yaml").write_text(f"max_seconds: {date}\n")
    with raises_code(ConfigError, "bad-value"):
        load(tmp_path / "a.yaml")


def test_usual_yaml_is_read_as_before() -> None:
    text = "a: &a {x: 1, y: [1.5, true, null, ~, 0x1f, .inf]}\nb: {<<: *a, x: 2}\nc: [*a, *a]\n'1': \"2\"\n1: 3\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None
    for path in Path("configs").rglob("*.yaml"):
        assert load_yaml(path.read_text()) == yaml.safe_load(path.read_text())


def test_an_error_says_where_and_quotes_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("web:\n  token: sesame-secret\n  token: sesame-secret\n")
    with raises_code(ConfigError, "bad-yaml", naming="line 3") as caught:
        load(tmp_path / "a.yaml")
    assert "sesame" not in str(caught.value)
