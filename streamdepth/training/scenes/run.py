"""The loop that renders scenes and views."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from importlib import import_module, util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError
from streamdepth.training.scenes.camera_effects import fog, photograph
from streamdepth.training.scenes.dataset_writer import DatasetWriter
from streamdepth.training.scenes.lenses import vary
from streamdepth.training.scenes.plan import SceneViews, picture_stem, plan, scene_rng, view_rng
from streamdepth.training.scenes.scene import CameraView, Scene
from streamdepth.training.scenes.styles import SceneRenderer, Style

MAX_VIEW_TRIES = 12
"""Number of views that are tried for one picture."""
NEAREST_M = 0.1
MIN_CONTRAST = 7.0
"""Standard deviation, of 255, below which a picture is discarded as empty."""
_log = logging.getLogger(__name__)
Depth = npt.NDArray[np.float32]


def build_scene(kind: str, rng: np.random.Generator) -> Scene:
    """Returns a scene of this kind; each kind is a module with a function of its name."""
    make: Callable[[np.random.Generator], Scene] = getattr(import_module(f"streamdepth.training.scenes.{kind}"), kind)
    return make(rng)


def render_all(root: Path, pictures: int, seed: int, kinds: Sequence[str], style: Style) -> None:
    """Renders the pictures that do not exist yet, out of `pictures`.

    Raises MissingDependencyError without the renderer's packages, SinkOpenError and SinkWriteError when files cannot be
    written.
    """
    for package in style.packages:
        if util.find_spec(package) is None:
            raise MissingDependencyError(package, style.extra, "rendering training pictures")
    stores = {kind: DatasetWriter(root, f"{style.prefix}_{kind}") for kind in kinds}
    done = 0
    for scene_views in plan(pictures, kinds):
        start = time.perf_counter()
        new = render_scene(scene_views, stores[scene_views.kind], seed, style)
        done += len(scene_views.views)
        if new:
            seconds = (time.perf_counter() - start) / new
            _log.info(
                "%d of %d: %s %05d, %d new, %.2f s each",
                done,
                pictures,
                scene_views.kind,
                scene_views.scene_index,
                new,
                seconds,
            )


def render_scene(scene_views: SceneViews, dataset_writer: DatasetWriter, seed: int, style: Style) -> int:
    """Renders the missing views of a scene; returns their number, without views for which no useful camera is found."""
    missing = [
        view for view in scene_views.views if not dataset_writer.has(picture_stem(scene_views.scene_index, view))
    ]
    if not missing:
        return 0
    rng = scene_rng(seed, scene_views.kind, scene_views.scene_index)
    scene = build_scene(scene_views.kind, rng)
    renderer = style.renderer(scene, rng)
    chosen = []
    for view in missing:
        rng = view_rng(seed, scene_views.kind, scene_views.scene_index, view)
        if found := find_view(renderer, scene, rng):
            chosen.append((view, rng, *found))
    made = 0
    for view, rng, camera, depth in chosen:
        if (picture_and_depth := take_picture(renderer, scene, rng, camera, depth)) is not None:
            dataset_writer.write(picture_stem(scene_views.scene_index, view), *picture_and_depth)
            made += 1
    return made


def take_picture(
    renderer: SceneRenderer, scene: Scene, rng: np.random.Generator, camera: CameraView, depth: Depth
) -> tuple[Image, Depth] | None:
    """Returns a picture and its depth, of another view if this one is empty, as inside an object."""
    for _ in range(3):
        light = renderer.color(camera)
        if scene.haze:
            light = fog(light, depth, scene.haze, scene.haze_color)
        picture = photograph(light, rng, scene.darkness)
        if picture.std() > MIN_CONTRAST:
            return picture, depth
        if (found := find_view(renderer, scene, rng)) is None:
            return None
        camera, depth = found
    return None


def find_view(renderer: SceneRenderer, scene: Scene, rng: np.random.Generator) -> tuple[CameraView, Depth] | None:
    """Returns a useful view with its depth; None when too many were useless."""
    for _ in range(MAX_VIEW_TRIES):
        view = vary(scene.propose_view(rng), rng)
        depth = renderer.depth(view)
        if is_useful(depth, scene.clearance):
            return view, depth
    return None


def is_useful(depth: Depth, clearance: float = 0.2) -> bool:
    """Returns True unless the camera touches a surface, sees mostly sky, or sees everything at one depth."""
    inverse = 1 / np.maximum(depth, np.float32(1e-3))
    low, high = np.quantile(inverse, (0.05, 0.95))
    too_near = np.mean(depth < NEAREST_M) > 0.05 or np.mean(depth < clearance) > 0.2
    return bool(not too_near and np.mean(np.isinf(depth)) < 0.8 and high > 1.25 * low)
