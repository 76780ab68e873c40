"""The folder of recordings and snapshots."""

from __future__ import annotations

from pathlib import Path

from streamdepth.apps.web.media_folder import MediaFolder


def test_a_new_folder_is_private_to_its_user(tmp_path: Path) -> None:
    MediaFolder(tmp_path / "new" / "recordings").new_base_path("door")
    assert (tmp_path / "new" / "recordings").stat().st_mode & 0o077 == 0


def test_a_folder_that_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    MediaFolder(tmp_path).new_base_path("door")
    assert tmp_path.stat().st_mode & 0o777 == 0o755
