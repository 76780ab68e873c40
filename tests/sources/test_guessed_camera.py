"""A source whose camera is guessed says so, reads every frame, and leaves known cameras alone."""

from __future__ import annotations

import pytest
from helpers.errors import raises_code
from helpers.paths import SAMPLES

from streamdepth.config import Settings
from streamdepth.config.values import parse_field_of_view
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.factory.pictures import read_photo
from streamdepth.factory.sources import make_source, with_camera
from streamdepth.sources.file import FileSource
from streamdepth.testing import SyntheticSource


def test_the_field_of_view_of_a_clip_is_guessed_and_said() -> None:
    settings = Settings().replace(fov="auto")
    with make_source(str(SAMPLES / "room.jpg"), settings) as source:
        info = source.open()
        assert info.intrinsics.cx == (info.width - 1) / 2
        assert "is taken as" in source.notices[0]
        assert source.read().index == 0


def test_the_field_of_view_of_a_picture_is_guessed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    photo = read_photo(SAMPLES / "room.jpg", Settings().replace(fov="auto"))
    assert photo.intrinsics is not None
    assert photo.intrinsics.cx == (photo.pixels.shape[1] - 1) / 2
    assert "is taken as" in caplog.text
    known = read_photo(SAMPLES / "room.jpg", Settings().replace(fov=50.0))
    assert known.intrinsics == Intrinsics.from_fov(50.0, *photo.pixels.shape[1::-1])


def test_a_live_source_needs_degrees() -> None:
    with raises_code(ConfigError, "live-source", naming="--fov 65"):
        with_camera(SyntheticSource(is_live=True), Settings().replace(fov="auto")).open()


def test_a_pipe_needs_degrees() -> None:
    with (SAMPLES / "room.mp4").open("rb") as file:
        piped = FileSource("/dev/stdin", name="standard input", descriptor=file.fileno())
        with raises_code(ConfigError, "live-source"), with_camera(piped, Settings().replace(fov="auto")) as source:
            source.open()


def test_waiting_for_a_source_guesses_once() -> None:
    settings = Settings().replace(fov="auto")
    with make_source(str(SAMPLES / "room.jpg"), settings) as source:
        info = source.wait_until_open()
        assert info.intrinsics is not None
        assert source.read().index == 0
        assert source.wait_until_open().intrinsics == info.intrinsics
        assert source.read().index == 0


@pytest.mark.parametrize("wrong", ["wide", 0, 180])
def test_other_words_and_angles_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="degrees"):
        parse_field_of_view(wrong)
