"""Settings of what is drawn that do not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.errors import raises_code
from helpers.media import write_video

import streamdepth
from streamdepth.config import make
from streamdepth.core.errors import ConfigError
from streamdepth.factory.render_options import check_stereo_settings
from streamdepth.testing import ConstantEstimator

STEREO = [{"depth_strength": 0.03}, {"convergence": 0.3}, {"ipd": "63mm"}]


@pytest.mark.parametrize("stereo", STEREO)
def test_settings_of_stereo_pictures_need_a_stereo_style(stereo: dict) -> None:
    for style in ("overlay", "depth", "side-by-side"):
        with raises_code(ConfigError, "conflict", naming="anaglyph"):
            check_stereo_settings(make(style=style, **stereo))
    check_stereo_settings(make(style="sbs", **stereo))
    check_stereo_settings(make())


def test_a_run_refuses_them_before_it_writes(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", count=2)
    with raises_code(ConfigError, "conflict", naming="overlay"):
        streamdepth.convert(clip, tmp_path / "out.mp4", model=ConstantEstimator(), ipd="63mm")
    assert not (tmp_path / "out.mp4").exists()
