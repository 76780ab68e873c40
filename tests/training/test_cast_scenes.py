from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.pairs import write_pairs
from helpers.rendered_floor import floor_depth

from streamdepth.training.scenes import materials, shapes
from streamdepth.training.scenes.__main__ import main
from streamdepth.training.scenes.lenses import angle, vary
from streamdepth.training.scenes.plan import SHARES, scene_rng, view_rng
from streamdepth.training.scenes.run import build_scene
from streamdepth.training.scenes.scene import CameraView, Scene, Sky
from streamdepth.training.scenes.surfaces import Surfaces
from streamdepth.training.scenes.tiles import SIZE, Tiles, fractal, pattern_tiles, photo_tiles

VIEW = CameraView((0.0, 0.0, 1.5), 7.0, -11.0, 5.0, 75.0, 96, 64)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def caster():
    pytest.importorskip("open3d")
    from streamdepth.training.scenes.caster import Caster

    return Caster


def stage(*, post: bool = True, sun: float = 3.0) -> Scene:
    """A white floor under a gray sky, a post 4 m before the camera, the sun low on the left."""
    made = Scene(Sky((0.2, 0.2, 0.2), (0.2, 0.2, 0.2)), lambda random: VIEW)
    look = replace(materials.plain(rng(), (0.8, 0.8, 0.8), roughness=1.0), dirt=0.0)
    made.add([(shapes.sheet(lambda u, v: np.stack([400 * u - 200, 400 * v - 200, 0 * u], -1), (1, 1)), look)])
    if post:
        made.add([(shapes.box((0.2, 0.2, 4)), look)], (0.3, 4, 0))
    made.add_sun(40, 90, sun, (1, 1, 1))
    return made


def test_depth_is_that_of_the_plane_and_of_the_post(caster) -> None:
    depth, floor = caster(stage(), None, rng()).depth(VIEW), floor_depth(VIEW)
    inside = (floor < 100) | np.isinf(floor)
    on_floor = np.isclose(depth, floor, rtol=1e-3) | (np.isinf(depth) & np.isinf(floor))
    on_post = (depth > 3.4) & (depth < 4.3)
    assert (on_floor | on_post)[inside].all()
    assert 50 < (on_post & ~on_floor).sum() < 700


def test_light_on_the_floor_is_the_suns_by_lamberts_law_and_the_skys(caster) -> None:
    light = caster(stage(post=False), None, rng()).color(VIEW)
    sunny, sky = 3 / np.pi * np.sin(np.radians(40)), 0.2
    assert light[-8:].mean() == pytest.approx(0.8 * (sunny + sky), rel=0.02)
    assert light[:4].mean() == pytest.approx(0.2, rel=0.02)


def test_the_post_casts_a_shadow(caster) -> None:
    depth, light = (getattr(caster(stage(), None, rng()), name)(VIEW) for name in ("depth", "color"))
    on_floor = np.isclose(depth, floor_depth(VIEW), rtol=1e-3) & (depth < 12)
    shadow = on_floor & (light.mean(-1) < 0.35)
    assert 20 < shadow.sum() < 0.3 * on_floor.sum()


@pytest.mark.parametrize("kind", SHARES)
def test_every_kind_can_be_cast(caster, kind: str) -> None:
    made = build_scene(kind, scene_rng(0, kind, 1))
    renderer = caster(made, None, rng())
    view = replace(made.propose_view(view_rng(0, kind, 1, 0)), width=64, height=48)
    light, depth = renderer.color(view), renderer.depth(view)
    assert light.shape == (48, 64, 3)
    assert np.isfinite(light).all()
    assert light.min() >= 0
    assert depth.min() > 0


@pytest.mark.slow
def test_the_command_casts_pictures_with_photographs_on(caster, tmp_path: Path) -> None:
    photos = write_pairs(tmp_path, "photos") / "rgb"
    arguments = ["--out", str(tmp_path), "--pictures", "2", "--kind", "near", "--cast", "--photos", str(photos)]
    assert main(arguments) == 0
    assert len(list((tmp_path / "cast_near" / "rgb").iterdir())) == 2


def test_far_surfaces_show_the_mean_of_a_pattern() -> None:
    noise = fractal(rng(), 0.1)
    tiles = Tiles([noise[..., None]])
    places = rng().random((500, 2)).astype(np.float32)
    near, far = (tiles.look_up(np.zeros(500, int), places, np.full(500, size)) for size in (1 / SIZE, 1.0))
    assert near.std() > 3 * far.std()
    assert far.mean() == pytest.approx(noise.mean(), abs=0.02)


def test_a_photograph_repeats_without_a_seam(tmp_path: Path) -> None:
    (tile,) = photo_tiles([next((write_pairs(tmp_path, "photos") / "rgb").iterdir())], 1, rng()).levels[0]
    np.testing.assert_array_equal(tile[:, 0], tile[:, -1])
    np.testing.assert_array_equal(tile[0], tile[-1])
    assert tile.mean() == pytest.approx(1 / 3, rel=0.05)


def test_every_pattern_stays_in_its_range() -> None:
    values = pattern_tiles(rng()).levels[0]
    assert len(values) == len(materials.PATTERNS)
    assert 0 <= values.min() <= values.max() <= 1


def test_a_plain_surface_has_its_color_times_its_tint() -> None:
    look = materials.SurfaceMaterial(((0.4, 0.2, 0.1),), tinted=True, dirt=0.0)
    ones = np.ones((2, 3), np.float32)
    tint = np.array([[1, 1, 1], [0.5, 1, 2]], np.float32)
    found = Surfaces([look], None, rng()).albedo(np.zeros(2, int), ones, ones, np.ones(2, np.float32), tint)
    np.testing.assert_allclose(found, [[0.4, 0.2, 0.1], [0.2, 0.2, 0.2]], rtol=1e-5)


def test_a_portrait_keeps_the_lens_and_some_views_change() -> None:
    seen = [vary(VIEW, np.random.default_rng(seed)) for seed in range(60)]
    assert {(view.width, view.height) for view in seen} == {(96, 64), (64, 96)}
    assert any(view == VIEW for view in seen)
    assert all(view.fov <= 110 for view in seen)
    half = np.tan(np.radians(angle(75, 64 / 96)) / 2)
    assert half / 64 == pytest.approx(np.tan(np.radians(75) / 2) / 96)
