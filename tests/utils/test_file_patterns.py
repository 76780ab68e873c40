"""Patterns give files, each once, whatever their names are and wherever links lead."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from streamdepth.utils.file_patterns import is_local_path, match_files


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a/x.mp4", "a/b/y.mp4", "a/b/x.mov", "c/[1].mp4", ".hidden/z.mp4", "top.mp4", ".dot.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATTERNS = (
    *("**/*.mp4", "*/*.mp4", "*", "**", "a/**/x.*", "**/b/*", "c/[[]1].mp4", "?op.mp4", "top.mp4", ".*", "**/**/x.mp4"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_without_links_it_is_what_glob_finds(tree: Path, pattern: str) -> None:
    for full in (pattern, f"{tree}/{pattern}"):
        expected = sorted({path for path in glob.glob(full, recursive=True) if os.path.isfile(path)})
        assert match_files(full) == expected


@pytest.mark.parametrize("count", [1, 2, 5])
def test_loops_of_links_end_and_give_no_file_twice(tree: Path, count: int) -> None:
    for number in range(count):
        (tree / "a" / f"up{number}").symlink_to("..")
        (tree / "a" / "b" / f"up{number}").symlink_to("../..")
    (tree / "latest.mp4").symlink_to("a/x.mp4")
    (tree / "a" / "broken.mp4").symlink_to("nowhere")
    (tree / "self").symlink_to("self")
    assert match_files("**/*.mp4") == ["a/b/y.mp4", "a/x.mp4", "c/[1].mp4", "top.mp4"]
    assert "latest.mp4" in match_files("*.mp4", is_each_once=False)


def test_folders_that_only_a_link_leads_to_are_searched(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (disk / "film.mp4").touch()
    (tree / "disk").symlink_to(disk)
    assert "disk/film.mp4" in match_files("**/*.mp4")


@pytest.mark.parametrize("name", ["lavfi:color=size=8x8.mp4", "screen:.mp4", "camera:0.mp4", "0", "17", "http:", "-o"])
def test_names_that_look_like_addresses_are_paths(tree: Path, name: str) -> None:
    (tree / name).touch()
    (found,) = (path for path in match_files("*") if path.endswith(name))
    assert is_local_path(found)
    assert os.path.samefile(found, tree / name)
    assert found.startswith("./") or name == "-o"
