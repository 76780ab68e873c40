"""Speeds of models are kept for this machine, and a broken or foreign file is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from streamdepth.utils import speeds
from streamdepth.utils.speeds import known_speeds, record_speed


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_fastest_speed_of_each_model_is_kept() -> None:
    """A busy machine says nothing about the model."""
    assert known_speeds() == {}
    for model, speed in (
        ("nano", 30.0),
        ("large", 0.25),
        ("nano", 40.0),
        ("nano", 2.5),
        ("odd", float("nan")),
        ("zero", 0.0),
    ):
        record_speed(model, speed)
    assert known_speeds() == {"nano": 40.0, "large": 0.25}


@pytest.mark.parametrize("content", ["", "[]", '{"machine": 1}', '{"speeds": {"nano": "fast"}}', "\x00"])
def test_a_broken_file_is_none_and_is_made_anew(cache: Path, content: str) -> None:
    record_speed("nano", 1.0)
    (file,) = cache.rglob("*.json")
    file.write_text(content)
    assert known_speeds() == {}
    record_speed("nano", 2.0)
    assert known_speeds() == {"nano": 2.0}


def test_another_machine_with_the_same_home_has_its_own(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    record_speed("nano", 1.0)
    monkeypatch.setattr(speeds, "_machine", lambda: "another")
    assert known_speeds() == {}


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("a file, and no folder")
    record_speed("nano", 1.0)
    assert known_speeds() == {}
    assert [name for name in os.listdir(cache.parent) if name != "cache"] == []
    assert json.dumps(known_speeds()) == "{}"
