"""Flags and help texts come from the settings model; the settings verb lists them all."""

from __future__ import annotations

import pytest

from streamdepth.config import Setting, table

FLAGGED = [setting for setting in table().values() if setting.flag]
COMMON = [setting for setting in FLAGGED if setting.flag and setting.flag.is_common]
NOT_OF_CONVERT = ("outputs.hold_last",)


def _flag(setting: Setting) -> str:
    assert setting.flag is not None
    return setting.flag.names[0].partition("/")[0]


def test_help_of_convert_shows_common_flags_first_and_then_all_others(cli) -> None:
    lines = cli("convert", "--help").out.splitlines()
    headings = [number for number, line in enumerate(lines) if "╭─" in line]
    options = next(number for number in headings if "Options" in lines[number])
    after_options = "\n".join(lines[headings[headings.index(options) + 1] :])
    first = "\n".join(lines[options : headings[headings.index(options) + 1]])
    assert 8 <= len(COMMON) <= 12
    assert all(f"{_flag(setting)} " in first for setting in COMMON)
    others = [s for s in FLAGGED if s not in COMMON and s.section != "web" and s.path not in NOT_OF_CONVERT]
    assert all(_flag(setting) in after_options for setting in others)
    assert all(f"─ {title} ─" in after_options for title in ("Output", "Model", "Inference", "Camera", "Meters"))


def test_help_shows_defaults(cli) -> None:
    text = " ".join(cli("convert", "--help").out.replace("│", " ").split())
    for default in ("(default: nano)", "(default: inferno)", "(default: 16384)", "(default: 500)"):
        assert default in text


@pytest.mark.parametrize("setting", FLAGGED, ids=lambda s: s.path)
def test_every_flag_sets_its_setting(setting: Setting) -> None:
    assert _flag(setting).lstrip("-").replace("-", "_") == setting.keyword


def test_a_misplaced_setting_is_found_in_its_section(cli, tmp_path) -> None:
    misplaced = {"legend=false": "render.legend", "video.legend=false": "render.legend", "codec=av1": "video.codec"}
    for given, meant in misplaced.items():
        done = cli("convert", "lavfi:testsrc2", "-o", tmp_path / "o.mp4", "--set", given)
        assert (done.code, done.error_code) == (2, "unknown-setting")
        assert meant in done.err


def test_settings_lists_every_key_with_its_default_and_meaning(cli) -> None:
    lines = cli("settings").out.splitlines()
    for setting in table().values():
        (line,) = [line for line in lines if line.split()[:1] == [setting.path]]
        assert setting.meaning in line
    only = cli("settings", "render").out
    assert "render.legend" in only
    assert "video.crf" not in only


def test_settings_of_an_unknown_section_names_all(cli) -> None:
    done = cli("settings", "rendering")
    assert (done.code, done.error_code) == (2, "not-found")
    assert "render" in done.err
