"""Zones on pictures: where their lines are, and what is left as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.sink_data import exact_depth_frame, fill, stream
from PIL import Image

from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthKind
from streamdepth.core.zones import Zone
from streamdepth.render.overlay import render
from streamdepth.render.zones import depth_text
from streamdepth.sinks.animation import AnimationSink
from streamdepth.sinks.video import OutputSize

ZONE = Zone.parse("door=100,50,120,80")


def changed(style: str = "overlay") -> np.ndarray:
    """(H, W), True where the zone was drawn."""
    item = exact_depth_frame()
    plain, drawn = (render(item, RenderOptions(style, zones=zones)) for zones in ((), (ZONE,)))
    return (plain != drawn).any(axis=2)


def test_the_outline_is_drawn_around_the_zone_and_its_inside_stays() -> None:
    mask = changed()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], rows[-1]) == pytest.approx((50, 130), abs=3)
    assert (columns[0], columns[-1]) == pytest.approx((100, 220), abs=3)
    assert mask[90, [99, 220]].all()  # left and right line
    assert not mask[80:125, 110:210].any()  # below the label
    assert mask[52:64, 102:140].all()  # the label's ground


def test_depth_alone_stays_as_it_is_and_side_by_side_has_it_on_the_right() -> None:
    assert not changed("depth").any()
    mask = changed("side-by-side")
    assert not mask[:, :320].any()
    assert mask[:, 320:].any()


def test_a_zone_beyond_the_border_is_drawn_as_far_as_it_reaches() -> None:
    item = exact_depth_frame()
    for text in ("a=300,190,400,400", "b=5000,5000,9,9", "c=0,0,320,200"):
        assert render(item, RenderOptions(zones=(Zone.parse(text),))).shape == (200, 320, 3)


def test_zones_move_with_the_size_of_an_animation(tmp_path: Path) -> None:
    info, items = stream(1, 320, 200)
    pictures = []
    for name, zones in (("plain.webp", ()), ("zone.webp", (ZONE,))):
        options = RenderOptions(legend=False, zones=zones)
        fill(AnimationSink(tmp_path / name, options, size=OutputSize(scale=0.5)), info, items)
        with Image.open(tmp_path / name) as picture:
            pictures.append(np.asarray(picture.convert("L"), int))
    rows, columns = np.nonzero(np.abs(pictures[0] - pictures[1]) > 60)
    assert (rows.min(), rows.max()) == pytest.approx((25, 65), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((50, 110), abs=3)


def test_words_for_depth() -> None:
    item = exact_depth_frame()
    assert [depth_text(v, item) for v in (1.234, np.inf, np.nan)] == ["1.23 m", "far", "unknown"]
    assert depth_text(61.7, replace(item, kind=DepthKind.RELATIVE)) == "62 %"
