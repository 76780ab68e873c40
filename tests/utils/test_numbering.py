"""File names with a number field, and the files that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdepth.utils.numbering import find_numbered_files, insert_number, next_number


@pytest.mark.parametrize("name", ["cam_%06d.mp4", "cam_%3d.mp4", "cam_%d.mp4", "100%_%02d.mp4", "%d_%d.mp4"])
def test_what_was_written_under_a_name_is_found_by_it(tmp_path: Path, name: str) -> None:
    assert next_number(tmp_path / name) == 0
    written = [tmp_path / insert_number(name, number) for number in (0, 7)]
    for path in (*written, tmp_path / "cam.mp4", tmp_path / "cam_a.mp4"):
        path.touch()
    assert sorted(find_numbered_files(tmp_path / name)) == sorted(written)
    assert next_number(tmp_path / name) == 8
