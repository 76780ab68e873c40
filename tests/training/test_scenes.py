"""Rendered training scenes: what they are made of, and, where Blender's module is installed, that depth is exact."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import util
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.rendered_floor import floor_depth

from streamdepth.core.errors import SinkOpenError
from streamdepth.training.scenes import (
    animals,
    camera_effects,
    furniture,
    materials,
    people,
    plants,
    room,
    shapes,
    vehicles,
)
from streamdepth.training.scenes.__main__ import main
from streamdepth.training.scenes.dataset_writer import INFINITY, DatasetWriter, decode_depth, encode_depth
from streamdepth.training.scenes.plan import SHARES, VIEWS, picture_stem, plan, scene_rng, view_rng
from streamdepth.training.scenes.run import build_scene, is_useful
from streamdepth.training.scenes.scene import CameraView, Scene, Sky, look_at


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def edges_of(shape: shapes.Shape) -> list[tuple[int, int]]:
    faces = [*shape.quads.tolist(), *shape.triangles.tolist()]
    return [(f[i], f[(i + 1) % len(f)]) for f in faces for i in range(len(f))]


def test_doors_and_windows_fit_below_every_ceiling() -> None:
    """A normal distribution of heights gave a ceiling below the lowest window once in some thousand rooms."""
    heights = [room.size_of(rng(seed), "office")[2] for seed in range(4000)]
    assert min(heights) >= 2.2
    assert np.median(heights) == pytest.approx(2.6, abs=0.1)


@pytest.mark.parametrize("bevel", [0.0, 0.1])
def test_a_box_is_closed_and_of_its_size(bevel: float) -> None:
    box = shapes.box((1, 2, 3), (5, 0, 1), bevel=bevel)
    np.testing.assert_allclose(box.points.min(axis=0), (4.5, -1, 1))
    np.testing.assert_allclose(box.points.max(axis=0), (5.5, 1, 4))
    pairs = [tuple(sorted(edge)) for edge in edges_of(box)]
    assert all(pairs.count(pair) == 2 for pair in pairs)


def test_a_turn_about_z_brings_x_to_y() -> None:
    np.testing.assert_allclose(shapes.rotation((0, 0, 90)) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    transformed = shapes.box((2, 1, 1)).transformed((10, 0, 0), (0, 0, 90), 2.0)
    np.testing.assert_allclose(np.ptp(transformed.points, axis=0), (2, 4, 2), atol=1e-12)


def test_random_turns_are_rotations() -> None:
    rotations = shapes.random_rotations(rng(), 20)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (20, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_copies_are_where_they_should_be() -> None:
    copies = shapes.copies_at(shapes.box((1, 1, 1)), np.array([(0.0, 0, 0), (5, 0, 0)]), scales=np.array([1.0, 2.0]))
    assert len(copies.points) == 16
    assert copies.quads.max() == 15
    np.testing.assert_allclose(copies.points[8:].max(axis=0), (6, 1, 2))


@pytest.mark.parametrize("round_ends", [False, True])
def test_a_tube_is_as_wide_as_it_should_be(round_ends: bool) -> None:
    tube = shapes.tube([(0, 0, 0), (0, 0, 1), (0, 0, 3)], [0.2, 0.3, 0.1], 16, round_ends)
    assert np.hypot(*tube.points[:, :2].T).max() == pytest.approx(0.3)
    assert np.ptp(tube.points[:, 2]) == pytest.approx(3.3 if round_ends else 3.0, abs=1e-3)


def test_depth_survives_its_coding() -> None:
    meters = np.array([[0.0001, 0.1, 1.234, 130.9, 131.5, np.inf]], np.float32)
    values = encode_depth(meters)
    assert values.dtype == np.uint16
    assert values[0, 0] == 1
    assert values[0, 4] == values[0, 5] == INFINITY
    np.testing.assert_allclose(decode_depth(values)[0, 1:4], meters[0, 1:4], atol=0.0011)
    assert np.isposinf(decode_depth(values)[0, 4:]).all()
    assert np.isnan(decode_depth(np.zeros((1, 1), np.uint16))).all()


def test_a_store_keeps_other_sets_and_writes_pairs(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"mine": {"depth_scale": 1000}}')
    dataset_writer = DatasetWriter(tmp_path, "scenes_room")
    color = np.full((6, 8, 3), (200, 30, 30), np.uint8)
    dataset_writer.write("00000_0", color, np.full((6, 8), 2.5, np.float32))
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["mine"] == {"depth_scale": 1000}
    assert index["scenes_room"] == {"depth_scale": 500, "infinity": 65535, "unit": "m"}
    depth = cv2.imread(str(tmp_path / "scenes_room" / "depth" / "00000_0.png"), cv2.IMREAD_UNCHANGED)
    assert (depth == 1250).all()
    picture = cv2.imread(str(tmp_path / "scenes_room" / "rgb" / "00000_0.jpg"), cv2.IMREAD_COLOR_RGB)
    assert np.abs(picture.astype(int) - color).max() < 12
    assert dataset_writer.has("00000_0")
    assert not dataset_writer.has("00000_1")
    assert not list(tmp_path.rglob(".*"))


def test_a_broken_index_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("[]")
    with raises_code(SinkOpenError, "bad-index"):
        DatasetWriter(tmp_path, "scenes_room")


@pytest.mark.parametrize("pictures", [1, 9, 400, 2500])
def test_a_plan_gives_each_kind_its_share_at_any_time(pictures: int) -> None:
    counts = dict.fromkeys(SHARES, 0)
    for scene_views in plan(pictures, list(SHARES)):
        assert scene_views.scene_index * VIEWS == counts[scene_views.kind]
        counts[scene_views.kind] += len(scene_views.views)
        done = sum(counts.values())
        assert all(abs(counts[kind] - SHARES[kind] * done) <= VIEWS for kind in SHARES)
    assert sum(counts.values()) == pictures


def test_a_longer_plan_begins_as_the_shorter_one() -> None:
    shorter = list(plan(80, ["street", "near"]))
    assert list(islice(plan(800, ["street", "near"]), len(shorter))) == shorter


def test_random_numbers_differ_between_all_pictures() -> None:
    makers = [scene_rng(0, "room", 0), scene_rng(1, "room", 0), scene_rng(0, "near", 0), scene_rng(0, "room", 1)]
    makers += [view_rng(0, "room", 0, 0), view_rng(0, "room", 0, 1), view_rng(0, "room", 1, 0)]
    assert len({maker.random() for maker in makers}) == len(makers)
    assert view_rng(3, "room", 7, 2).random() == view_rng(3, "room", 7, 2).random()
    assert picture_stem(12, 3) == "00012_3"


@pytest.mark.parametrize("level", [0.003, 0.2, 40.0])
def test_auto_exposure_brings_every_level_to_the_same(level: float) -> None:
    light = np.full((20, 30, 3), level, np.float32)
    assert level * camera_effects.exposure(light) == pytest.approx(camera_effects.MIDDLE_GRAY, rel=0.3)
    assert camera_effects.exposure(light, 1.0) < camera_effects.exposure(light, 0.0)


def test_fog_follows_koschmieders_law() -> None:
    light, depth = np.full((8, 8, 3), 0.5, np.float32), np.full((8, 8), 100, np.float32)
    seen = camera_effects.fog(light, depth, 0.01, (1.0, 0.8, 0.6))
    clear = np.exp(-1.0)
    np.testing.assert_allclose(seen[4, 4], 0.5 * clear + np.array((1, 0.8, 0.6)) * (1 - clear), rtol=1e-5)
    sky = camera_effects.fog(light, np.full((8, 8), np.inf, np.float32), 0.1, (1.0, 0.8, 0.6))
    np.testing.assert_allclose(sky[4, 4], (1, 0.8, 0.6), rtol=1e-5)


@pytest.mark.parametrize("filmic", [0.0, 1.0])
def test_tone_rises_from_black_to_white(filmic: float) -> None:
    ramp = np.repeat(np.linspace(0, 4, 200, dtype=np.float32)[None, :, None], 3, axis=2)
    values = camera_effects.tone(ramp, filmic, 1.0)[0, :, 0].astype(int)
    assert values[0] == 0
    assert values[-1] > 240
    assert (np.diff(values) >= 0).all()


def test_motion_blur_keeps_light_and_spreads_it_along_its_line() -> None:
    picture = np.zeros((21, 21, 3), np.float32)
    picture[10, 10] = 1
    blurred = camera_effects.motion_blur(picture, 0.0, 6.0)
    assert blurred.sum() == pytest.approx(3, rel=1e-5)
    assert (blurred[10, :, 0] > 0).sum() > 4
    assert not blurred[np.arange(21) != 10].any()


def test_a_photograph_depends_on_its_random_numbers_alone() -> None:
    light = rng(1).random((24, 32, 3)).astype(np.float32)
    first, second, other = (camera_effects.photograph(light, rng(seed), 0.5) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert first.dtype == np.uint8


def test_a_view_looks_at_its_target() -> None:
    eye, target = (1.0, 2.0, 3.0), (-2.0, 5.0, 1.0)
    yaw, pitch = look_at(eye, target)
    axes = CameraView(eye, yaw, pitch, 0.0, 60, 320, 240).axes()
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    np.testing.assert_allclose(-axes[:, 2], forward, atol=1e-12)
    assert axes[2, 0] == pytest.approx(0)
    assert axes[2, 1] > 0


def test_useless_views_are_told_from_useful_ones() -> None:
    ramp = np.broadcast_to(np.linspace(1, 10, 100, dtype=np.float32), (50, 100))
    assert is_useful(ramp)
    assert not is_useful(np.where(np.arange(100) < 10, np.float32(0.05), ramp))
    assert not is_useful(np.full((50, 100), 3, np.float32))
    assert not is_useful(np.where(np.arange(100) < 90, np.float32(np.inf), ramp))


THINGS = [vehicles.car, vehicles.truck, vehicles.bus, people.person, people.cyclist, animals.quadruped]
THINGS += [furniture.desk, furniture.chair, furniture.sofa, furniture.bed, furniture.shelf, furniture.kitchen]
SIZES = [(3.4, 5.8), (6, 12.3), (8, 13.3), (0.3, 1.9), (1.6, 2.1), (0.4, 4.5)]
SIZES += [(0.5, 1.3), (0.4, 0.9), (0.8, 1.3), (1.9, 2.4), (0.24, 0.5), (0.5, 0.95)]


@pytest.mark.parametrize(
    ("make", "length"), list(zip(THINGS, SIZES, strict=True)), ids=lambda x: getattr(x, "__name__", "")
)
def test_things_stand_on_the_ground_and_are_as_large_as_real_ones(make: object, length: tuple[float, float]) -> None:
    for seed in range(12):
        points = np.concatenate([shape.points for shape, _ in make(rng(seed))])  # type: ignore[operator]  # a function
        assert points[:, 2].min() == pytest.approx(0, abs=0.06)
        assert length[0] <= np.ptp(points[:, 1]) <= length[1]


def test_faces_point_at_points() -> None:
    for make in (plants.tree, plants.bush, plants.flower, people.person, vehicles.car):
        for shape, material in make(rng(4)):
            assert shape.quads.size + shape.triangles.size > 0
            assert shape.quads.max(initial=0) < len(shape.points)
            assert np.isfinite(shape.points).all()
            assert material.pattern in materials.PATTERNS


@pytest.mark.parametrize("kind", SHARES)
def test_scenes_are_the_same_for_the_same_seed_only(kind: str) -> None:
    def places(scene: int) -> list[tuple[float, ...]]:
        return [item.position for item in build_scene(kind, scene_rng(0, kind, scene)).items]

    assert places(0) == places(0) != places(1)


@pytest.mark.parametrize("kind", SHARES)
def test_views_are_of_cameras_as_people_have(kind: str) -> None:
    scene = build_scene(kind, scene_rng(0, kind, 2))
    for view in (scene.propose_view(view_rng(0, kind, 2, i)) for i in range(40)):
        assert 25 <= view.fov <= 100
        assert abs(view.roll) < 75
        assert view.width * view.height <= 384 * 240
        assert np.isfinite(view.eye).all()


@pytest.mark.parametrize("flag", [["--pictures", "0"], ["--seed", "-1"], ["--kind", "moon"], ["--threads", "two"]])
def test_wrong_flags_are_refused(flag: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path), *flag])
    assert stopped.value.code == 2
    assert flag[0] in capsys.readouterr().err


def test_without_blender_the_pip_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    assert main(["--out", str(tmp_path)]) == 1
    assert 'pip install "streamdepth[scenes]"' in capsys.readouterr().err


def test_a_missing_system_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cannot_load(*_: object) -> None:
        raise ImportError("libusb-1.0.so.0: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("streamdepth.training.scenes.run.render_all", cannot_load)
    assert main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("on Debian and Ubuntu try: apt-get install libusb-1.0-0\n")


def ground_stage() -> Scene:
    """A floor, and a post of 0.2 m before it."""
    scene = Scene(Sky((0.3, 0.5, 0.9), (0.8, 0.8, 0.8)), lambda random: CameraView((0, 0, 1.5), 0, 0, 0, 60, 96, 64))
    material = materials.plain(rng(), (0.5, 0.4, 0.3))
    square = shapes.sheet(lambda u, v: np.stack([400 * u - 200, 400 * v - 200, 0 * u], axis=-1), (1, 1))
    scene.add([(square, material)])
    scene.add([(shapes.box((0.2, 0.2, 4)), material)], (0.3, 4, 0))
    scene.add_sun(40, 120, 3, (1, 1, 1))
    return scene


@pytest.fixture(scope="module")
def blender() -> object:
    pytest.importorskip("OpenEXR")
    pytest.importorskip("bpy", reason="Blender's Python module is not installed")
    from streamdepth.training.scenes import blender as module

    return module


@pytest.mark.parametrize("focus", [None, 0.5])
def test_depth_is_that_of_the_plane_and_never_a_mixture(blender: object, focus: float | None) -> None:
    view = CameraView((0.0, 0.0, 1.5), 7.0, -11.0, 5.0, 75.0, 96, 64, focus)
    renderer = blender.Renderer(ground_stage())  # type: ignore[attr-defined]  # a module
    light, depth = renderer.color(view), renderer.depth(view)
    floor = floor_depth(view)
    inside = (floor < 100) | np.isinf(floor)
    on_floor = np.isclose(depth, floor, rtol=1e-3) | (np.isinf(depth) & np.isinf(floor))
    on_post = (depth > 3.4) & (depth < 4.3)
    assert (on_floor | on_post)[inside].all()
    assert 50 < (on_post & ~on_floor).sum() < 700
    assert on_floor[inside].mean() > 0.8
    assert light.shape == (64, 96, 3)
    assert light.min() >= 0
    assert light.std() > 0.02


@pytest.mark.parametrize("kind", SHARES)
def test_every_kind_can_be_rendered(blender: object, kind: str) -> None:
    scene = build_scene(kind, scene_rng(0, kind, 1))
    renderer = blender.Renderer(scene, samples=1)  # type: ignore[attr-defined]  # a module
    view = replace(scene.propose_view(view_rng(0, kind, 1, 0)), width=64, height=48)
    light, depth = renderer.color(view), renderer.depth(view)
    assert light.shape == (48, 64, 3)
    assert np.isfinite(light).all()
    assert depth.shape == (48, 64)
    assert depth.min() > 0


def test_every_pattern_has_its_maker(blender: object) -> None:
    from streamdepth.training.scenes.blender_materials import PATTERN_MAKERS

    assert set(PATTERN_MAKERS) == set(materials.PATTERNS)
