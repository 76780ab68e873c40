"""What is made from the settings model is up to date, and a type checker knows every keyword."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdepth.config import generate, keywords, table
from streamdepth.config.reference import rows

HERE = Path(generate.__file__).parent
AGAIN = "run python -m streamdepth.config.generate"


def test_the_typed_keywords_are_up_to_date() -> None:
    assert (HERE / "keywords.py").read_text(encoding="utf-8") == generate.keywords_module(), AGAIN


def test_the_reference_in_the_readme_is_up_to_date() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert text == generate.readme(text), AGAIN


def test_every_setting_has_a_meaning_and_a_keyword_of_its_own() -> None:
    settings = list(table().values())
    assert all(setting.meaning.endswith((".", ":")) for setting in settings)
    assert len({setting.path for setting in settings}) == len(settings) == len(rows())
    flags = [name for setting in settings if setting.flag for name in setting.flag.names]
    assert len(flags) == len(set(flags))
    assert set(keywords.SettingsKeywords.__annotations__) == set(table())


@pytest.mark.slow
def test_a_type_checker_catches_a_misspelled_and_a_mistyped_keyword(tmp_path: Path) -> None:
    from mypy import api

    module = (HERE / "keywords.py").read_text(encoding="utf-8")
    imported = "from streamdepth.core.render_options import DepthSize, Edges, Style\n"
    assert imported in module
    plain = "DepthSize = str\nEdges = str\nStyle = str\n"  # quick without numpy
    (tmp_path / "keywords.py").write_text(module.replace(imported, plain))
    (tmp_path / "program.py").write_text(
        "from typing import Unpack\n"
        "from keywords import SettingsKeywords\n"
        "def make(**keywords: Unpack[SettingsKeywords]) -> None: ...\n"
        "make(source=0, max_frames=3, output='out.mp4', camera_size='640x480', inference_fps='auto')\n"
        "make(max_frame=3)\n"
        "make(size='large')\n"
    )
    files = [str(tmp_path / "program.py"), str(tmp_path / "keywords.py")]
    out, _, _ = api.run(["--strict", "--no-error-summary", f"--cache-dir={tmp_path / 'cache'}", *files])
    assert [line.split(":")[1] for line in out.splitlines() if "error:" in line] == ["5", "6"], out
