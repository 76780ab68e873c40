"""Point clouds and meshes, opened by readers that are not ours."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers import media
from helpers.errors import raises_code
from helpers.exact_scene import frame_of
from PIL import Image

from streamdepth.core.errors import MissingDependencyError, SinkOpenError
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo
from streamdepth.factory.pictures import forget_shared_estimators
from streamdepth.sinks.geometry_files import GeometrySink, write_geometry
from streamdepth.testing import SyntheticSource

pytest.importorskip("trimesh")
pytest.importorskip("plyfile")
POSE = scene.pose()
SMALL = scene.CAMERA.resized(160, 120)
METRIC = frame_of(scene.depth_of(POSE, SMALL), scene.picture_of(POSE))
RELATIVE = replace(METRIC, depth=1 / METRIC.depth, kind=DepthKind.RELATIVE)
MODEL = ModelInfo("exact", DepthKind.METRIC)


def box_points(points: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """In the world, those with the box's color."""
    world = points @ POSE[:3, :3].T + POSE[:3, 3]
    return world[(colors[:, 0] > 190) & (colors[:, 1] < 40)]


def check_box(points: np.ndarray, colors: np.ndarray) -> None:
    box = box_points(np.asarray(points, np.float64), np.asarray(colors))
    assert np.ptp(box[:, 0]) == pytest.approx(scene.BOX_M[0], abs=0.03)
    assert box[:, 1].max() == pytest.approx(scene.BOX_M[1], abs=1e-3)


def check_normals(points: np.ndarray, normals: np.ndarray) -> None:
    """Of length 1, in the world up from the floor and away from the box's top and sides."""
    up, down = np.asarray(normals, np.float64) @ POSE[:3, :3].T, np.asarray(points) @ POSE[:3, :3].T + POSE[:3, 3]
    assert np.linalg.norm(up, axis=1) == pytest.approx(1, abs=1e-4)
    floor = np.abs(down[:, 1]) < 1e-3
    assert (up[floor, 1] > 0.99).mean() > 0.97
    assert (np.abs(up[~floor]).max(axis=1) > 0.99).mean() > 0.9


def test_a_ply_of_points_is_read_by_trimesh_and_plyfile(tmp_path: Path) -> None:
    import trimesh
    from plyfile import PlyData

    write_geometry(tmp_path / "a.ply", METRIC, "points")
    cloud = trimesh.load(tmp_path / "a.ply")
    check_box(cloud.vertices, cloud.colors)
    read = PlyData.read(tmp_path / "a.ply")
    assert "unit: metre" in read.comments
    check_normals(cloud.vertices, np.stack([read["vertex"][name] for name in ("nx", "ny", "nz")], axis=1))


@pytest.mark.parametrize("name", ["a.ply", "a.obj"])
def test_a_mesh_is_read_by_trimesh(name: str, tmp_path: Path) -> None:
    import trimesh

    write_geometry(tmp_path / name, METRIC, "mesh")
    made = trimesh.load(tmp_path / name, process=False)
    assert len(made.faces) > 30_000
    y_up = np.array([1, -1, -1]) if name == "a.obj" else 1
    check_box(made.vertices * y_up, made.visual.vertex_colors)
    assert "vertex_normals" in made._cache.cache  # from the file, not computed
    check_normals(made.vertices * y_up, made.vertex_normals * y_up)


def test_a_glb_is_valid_has_the_picture_as_texture_and_y_up(tmp_path: Path) -> None:
    import trimesh

    write_geometry(tmp_path / "a.glb", METRIC, "mesh")
    scene_read = trimesh.load(tmp_path / "a.glb")
    (made,) = scene_read.geometry.values()
    assert made.visual.material.baseColorTexture.size == (640, 480)
    check_box(made.vertices * [1, -1, -1], made.visual.to_color().vertex_colors)
    assert "vertex_normals" in made._cache.cache
    check_normals(made.vertices * [1, -1, -1], made.vertex_normals * [1, -1, -1])
    assert scene_read.metadata["unit"] == "metre"


def test_a_glb_is_read_by_pygltflib(tmp_path: Path) -> None:
    pygltflib = pytest.importorskip("pygltflib")
    write_geometry(tmp_path / "a.glb", METRIC, "mesh")
    read = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    (primitive,) = read.meshes[0].primitives
    assert read.accessors[primitive.attributes.POSITION].count > 15_000
    assert read.accessors[primitive.attributes.POSITION].max[2] < 0
    assert read.images[0].mimeType == "image/jpeg"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_open3d_reads_a_pcd_and_our_ply(tmp_path: Path) -> None:
    o3d = pytest.importorskip("open3d")
    for name in ("a.pcd", "a.ply"):
        write_geometry(tmp_path / name, METRIC, "points")
        cloud = o3d.io.read_point_cloud(str(tmp_path / name))
        check_box(np.asarray(cloud.points), np.asarray(cloud.colors) * 255)
        check_normals(np.asarray(cloud.points), np.asarray(cloud.normals))
    write_geometry(tmp_path / "m.ply", METRIC, "mesh")
    made = o3d.io.read_triangle_mesh(str(tmp_path / "m.ply"))
    check_normals(np.asarray(made.vertices), np.asarray(made.vertex_normals))


@pytest.mark.parametrize(("name", "shape"), [("a.ply", "points"), ("a.obj", "mesh"), ("a.glb", "mesh")])
def test_relative_depth_is_labeled_as_not_meters(name: str, shape: str, tmp_path: Path) -> None:
    write_geometry(tmp_path / name, replace(RELATIVE, intrinsics=None), shape)  # type: ignore[arg-type]
    text = (tmp_path / name).read_bytes()
    assert b"not meters" in text
    assert b"60 degrees was assumed" in text
    assert b"unit: metre" not in text


@pytest.mark.parametrize(
    ("name", "shape"), [("a.pcd", "points"), ("a.ply", "points"), ("a.obj", "mesh"), ("a.glb", "mesh")]
)
def test_a_frame_without_depth_is_an_empty_shape(name: str, shape: str, tmp_path: Path) -> None:
    if name == "a.pcd":
        pytest.importorskip("open3d")
    write_geometry(tmp_path / name, replace(METRIC, depth=np.full_like(METRIC.depth, np.nan)), shape)  # type: ignore[arg-type]
    assert 0 < (tmp_path / name).stat().st_size < 20_000
    if name == "a.pcd":
        assert "POINTS 0\n" in (tmp_path / name).read_text()


@pytest.mark.parametrize(("name", "shape"), [("a.stl", "mesh"), ("a.glb", "points"), ("a.png", "points")])
def test_an_ending_that_cannot_be_written_is_refused(name: str, shape: str, tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-format"):
        write_geometry(tmp_path / name, METRIC, shape)  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **more: object) -> object:
        if name.split(".")[0] == "trimesh":
            raise ImportError(name)
        return real(name, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[geometry\]"):
        write_geometry(tmp_path / "a.glb", METRIC, "mesh")


def numbered(count: int) -> list[DepthFrame]:
    return [replace(METRIC, frame=replace(METRIC.frame, index=i, pts=i)) for i in range(count)]


def test_a_sink_writes_every_third_frame_at_the_end(tmp_path: Path) -> None:
    sink = GeometrySink(tmp_path / "%03d.ply", every=3)
    sink.open(SyntheticSource().open(), MODEL)
    for item in numbered(7):
        sink.write(item)
    assert not list(tmp_path.glob("*.ply"))
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000.ply", "003.ply", "006.ply"]


def test_a_sink_needs_a_number_and_leaves_older_files(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "not-numbered", naming="%06d"):
        GeometrySink(tmp_path / "a.ply").open(SyntheticSource().open(), MODEL)
    (tmp_path / "000.ply").write_text("older")
    with raises_code(SinkOpenError, "exists"):
        GeometrySink(tmp_path / "%03d.ply").open(SyntheticSource().open(), MODEL)
    assert (tmp_path / "000.ply").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.usefixtures("quick_model")
def test_the_command_line_writes_clouds_of_a_clip(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    media.write_video(tmp_path / "clip.mp4", count=5)
    done = cli("convert", "clip.mp4", "--ply-every", 2)
    assert done.code == 0, done.err
    assert "not in meters" in done.err
    assert sorted(p.name for p in tmp_path.glob("*.ply")) == [f"clip_00000{i}.ply" for i in (0, 2, 4)]


@pytest.mark.usefixtures("quick_model")
def test_the_command_line_builds_a_picture(cli, tmp_path: Path) -> None:
    forget_shared_estimators()
    Image.fromarray(scene.picture_of(POSE)).save(tmp_path / "a.png")
    done = cli("image", tmp_path / "a.png", "--glb", tmp_path / "a.glb", "--ply", tmp_path / "a.ply", "--fov", 60)
    forget_shared_estimators()
    assert done.code == 0, done.err
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"
    assert "for looking only and not in meters" in done.err
    assert cli("image", tmp_path / "a.png").code == 2
