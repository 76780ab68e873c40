"""Clips with poses become one model; volumes from the command line."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers.errors import raises_code
from helpers.paths import SAMPLES
from helpers.room import room_frames, true_pose
from PIL import Image

from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.types import DepthFrame, DepthKind, Frame, ModelInfo, StreamInfo
from streamdepth.factory.pictures import forget_shared_estimators
from streamdepth.geometry.camera import camera_info_yaml
from streamdepth.geometry.trajectories import Trajectory, read_trajectory
from streamdepth.sinks.fusion import FusionSink

pytestmark = pytest.mark.slow

pytest.importorskip("trimesh")
CAMERA = scene.CAMERA.resized(320, 240)
MODEL = ModelInfo("exact", DepthKind.METRIC)
INFO = StreamInfo("clip", 320, 240)


def around() -> list[np.ndarray]:
    """Poses that see every side of the box, from above and below."""
    found = []
    for pitch in (-50.0, 0.0, 50.0):
        p = np.radians(pitch)
        found += [scene.pose(pitch, float(np.sin(p)), float(turn), float(np.cos(p))) for turn in range(0, 360, 30)]
    return found


def item_at(pose: np.ndarray, index: int = 0, *, floor: bool = False) -> DepthFrame:
    depth = scene.depth_of(pose, CAMERA, floor=floor)
    image = scene.picture_of(pose, CAMERA)
    frame = Frame(image, index, index, Fraction(1, 10), 0.0)
    return DepthFrame(frame, depth, DepthKind.METRIC, intrinsics=CAMERA)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_box_seen_from_all_sides_is_watertight_and_as_large_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    import trimesh

    poses = around()
    sink = FusionSink(tmp_path / "box.ply", Trajectory(poses), voxel_m=0.01)
    sink.open(INFO, MODEL)
    for index, pose in enumerate(poses):
        sink.write(item_at(pose, index))
    sink.close()
    read = trimesh.load(tmp_path / "box.ply")
    assert "vertex_normals" in read._cache.cache  # from the file, not computed
    assert ((read.vertices * read.vertex_normals).sum(axis=1) > 0.1).mean() > 0.95
    read.merge_vertices()
    whole = max(read.split(only_watertight=False), key=lambda part: len(part.faces))
    assert whole.is_watertight
    assert whole.extents == pytest.approx(scene.BOX_M, abs=0.04)
    assert abs(whole.volume) == pytest.approx(np.prod(scene.BOX_M), rel=0.03)


def test_what_cannot_be_fused_says_why(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    poses = around()[:1]
    with raises_code(ConfigError, "relative-depth", naming="constant"):
        FusionSink(tmp_path / "a.ply", Trajectory(poses)).open(INFO, ModelInfo("constant", DepthKind.RELATIVE))
    with raises_code(SinkOpenError, "unknown-format", naming=r"\.ply"):
        FusionSink(tmp_path / "a.stl", Trajectory(poses)).open(INFO, MODEL)
    item = item_at(poses[0])
    for wrong, code, facts in (
        (replace(item, intrinsics=None), "unknown-camera", "--fov"),
        (replace(item, intrinsics=replace(CAMERA, distortion=(0.1, 0, 0, 0))), "unknown-camera", "--undistort"),
        (replace(item, frame=replace(item.frame, index=5)), "bad-poses", "1 poses, and none for frame 5"),
    ):
        sink = FusionSink(tmp_path / "a.ply", Trajectory(poses))
        sink.open(INFO, MODEL)
        with raises_code(ConfigError, code, naming=facts):
            sink.write(wrong)
        sink.discard()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with a clip of the box, its depth, its poses and its camera."""
    (tmp_path / "rgb").mkdir()
    (tmp_path / "depth").mkdir()
    poses = [scene.pose(turn=float(turn)) for turn in (0, 10, 20)]
    for index, pose in enumerate(poses):
        Image.fromarray(scene.picture_of(pose)).save(tmp_path / "rgb" / f"{index}.png")
        depth = np.rint(np.minimum(scene.depth_of(pose), 6.5) * 10000).astype(np.uint16)
        Image.fromarray(depth).save(tmp_path / "depth" / f"{index:04d}.png")
    (tmp_path / "poses.txt").write_text("\n".join(" ".join(map(str, pose.ravel())) for pose in poses))
    (tmp_path / "camera.yaml").write_text(camera_info_yaml(scene.CAMERA))
    return tmp_path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_fuses_a_clip(cli, clip: Path) -> None:
    pytest.importorskip("open3d")
    import trimesh

    common = ("--camera-info", clip / "camera.yaml", "--depth-scale", 10000, "--depth", clip / "depth" / "%04d.png")
    done = cli("fuse", clip / "rgb", "--poses", clip / "poses.txt", *common, "-o", clip / "m.glb", "--voxel", "1cm")
    assert done.code == 0, done.err
    assert "triangles from 3 frames" in done.err
    made = trimesh.load(clip / "m.glb", force="mesh")
    assert len(made.faces) > 10_000


def test_the_command_estimates_the_poses_and_writes_them(cli, tmp_path: Path) -> None:
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    for item in room_frames(range(0, 12, 2)):
        name = f"{item.frame.index // 2:04d}.png"
        Image.fromarray(item.frame.image).save(tmp_path / "rgb" / name)
        Image.fromarray(np.rint(np.minimum(item.depth, 13) * 5000).astype(np.uint16)).save(tmp_path / "depth" / name)
    known = ("--depth", tmp_path / "depth" / "%04d.png", "--depth-scale", 5000, "--fov", 66)
    done = cli("fuse", tmp_path / "rgb", "--poses", "auto", *known, "--poses-out", tmp_path / "poses.txt")
    assert done.code == 0, done.err
    assert "6 poses from 6 frames" in done.err
    assert "lost in 0 frames" in " ".join(done.err.split())
    found = read_trajectory(tmp_path / "poses.txt")
    assert found.stamps_ns == [round(10**9 * index / 30) for index in range(6)]  # pictures have 30 fps
    for number, pose in enumerate(found.poses):
        moved = np.linalg.inv(true_pose(0)) @ true_pose(2 * number)
        assert np.linalg.norm((pose - moved)[:3, 3]) < 0.004
    done = cli("fuse", tmp_path / "rgb", "--poses", "auto", *known)
    assert (done.code, done.error_code) == (2, "no-output")


def test_the_command_measures_a_box(cli, clip: Path) -> None:
    common = ("--camera-info", clip / "camera.yaml", "--depth-scale", 10000, "--depth", clip / "depth" / "0000.png")
    done = cli("volume", clip / "rgb" / "0.png", "--region", "60,60,520,380", *common, "--heights", clip / "h.npz")
    assert done.code == 0, done.err
    found = float(done.out.split()[1])
    assert found == pytest.approx(np.prod(scene.BOX_M), rel=0.02)
    heights = np.load(clip / "h.npz")["heights_m"]
    assert np.nanmax(heights) == pytest.approx(scene.BOX_M[1], abs=0.003)
    bare = cli("volume", clip / "rgb" / "0.png", "--region", "10,460,20,15", *common)
    assert "nothing in the region rises" in bare.err
    part = ("--region", "300,200,60,40", *common, "--heights", clip / "part.npz")
    assert cli("volume", clip / "rgb" / "0.png", *part).code == 0
    assert np.load(clip / "part.npz")["heights_m"].size < heights.size / 50
    done = cli("volume", clip / "rgb" / "0.png", "--region", "9999,0,2,2", *common, "--heights", clip / "h.png")
    assert done.code == 2
    assert "reaches out of the picture" in done.err


def test_a_percent_sign_in_a_folder_is_no_number(cli, clip: Path) -> None:
    folder = clip / "100%"
    (clip / "depth").rename(folder)
    common = ("--camera-info", clip / "camera.yaml", "--depth-scale", 10000)
    for name in ("0000.png", "%04d.png"):
        more = ("--region", "60,60,520,380", "--depth", folder / name)
        done = cli("volume", clip / "rgb" / "0.png", *common, *more)
        assert done.code == 0, done.err


def test_a_volume_stands_on_the_floor_that_gave_the_meters(cli) -> None:
    room = SAMPLES / "room.jpg"
    flags = ("--camera-height", "1.5m", "--fov", "65")
    done = cli("volume", room, "--region", "300,200,200,150", *flags)
    assert done.code == 0, done.err
    assert float(re.search(r"camera ([\d.]+) m above", done.out)[1]) == pytest.approx(1.5, rel=0.03)
    assert cli("volume", room, "--region", "300,200,400,150", *flags).code == 2


@pytest.mark.usefixtures("quick_model")
def test_a_volume_of_relative_depth_is_refused(cli, clip: Path) -> None:
    forget_shared_estimators()
    done = cli("volume", clip / "rgb" / "0.png", "--region", "60,60,520,380")
    forget_shared_estimators()
    assert done.code == 2
    assert "needs meters" in done.err
