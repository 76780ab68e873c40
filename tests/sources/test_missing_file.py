from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.bag_reader import open_bag
from streamdepth.sources.file import FileSource
from streamdepth.sources.images import ImagesSource
from streamdepth.sources.missing_file import missing_file_error


def test_a_file_that_is_not_there() -> None:
    error = missing_file_error("film.mp4", "film.mp4")
    assert error.code == "not-found"
    assert str(error) == f"film.mp4 does not exist; check the spelling and the current folder ({Path.cwd()})"


def test_a_folder_that_may_not_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", deny)
    error = missing_file_error("locked/film.mp4", "locked/film.mp4")
    assert error.code == "no-permission"
    assert "permissions of its folders" in str(error)


def test_an_impossible_name_does_not_exist() -> None:
    assert missing_file_error("a", "a\0b").code == "not-found"


@pytest.mark.parametrize(
    ("name", "open_source"),
    [
        ("film.mp4", lambda path: FileSource(path).open()),
        ("picture.png", lambda path: ImagesSource(str(path)).open()),
        ("bag.mcap", open_bag),
    ],
)
def test_every_kind_of_file_tells_of_a_folder_that_may_not_be_entered(
    name: str, open_source: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def deny(path: str | os.PathLike[str], *args: object, **keywords: object) -> os.stat_result:
        if isinstance(path, (str, Path)) and Path(path).name == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **keywords)

    monkeypatch.setattr(os, "stat", deny)
    with pytest.raises(SourceOpenError, match="permission denied") as caught:
        open_source(tmp_path / name)
    assert caught.value.code == "no-permission"
