"""The loop over scenes and views."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from importlib import import_module, util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamdepth.errors import MissingDependencyError
from streamdepth.training.scenes.lenses import vary
from streamdepth.training.scenes.photo import fog, photograph
from streamdepth.training.scenes.plan import Job, plan, scene_rng, stem, view_rng
from streamdepth.training.scenes.stage import Stage, View
from streamdepth.training.scenes.store import Store
from streamdepth.training.scenes.styles import SceneRenderer, Style
from streamdepth.types import Image

TRIES = 12
"""Views drawn for one picture before it is given up."""
NEAREST_M = 0.1
FLAT = 7.0
"""Standard deviation, of 255, of a picture that shows nothing."""
_log = logging.getLogger(__name__)
Depth = npt.NDArray[np.float32]


def build(kind: str, rng: np.random.Generator) -> Stage:
    """A scene of this kind; each kind has a module with a function of its name."""
    make: Callable[[np.random.Generator], Stage] = getattr(import_module(f"streamdepth.training.scenes.{kind}"), kind)
    return make(rng)


def render_all(root: Path, pictures: int, seed: int, kinds: Sequence[str], style: Style) -> None:
    """Renders what is missing of `pictures`.

    Raises MissingDependencyError without the renderer's packages, SinkOpenError and SinkWriteError when files cannot
    be written.
    """
    for package in style.packages:
        if util.find_spec(package) is None:
            raise MissingDependencyError(package, style.extra, "rendering training pictures")
    stores = {kind: Store(root, f"{style.prefix}_{kind}") for kind in kinds}
    done = 0
    for job in plan(pictures, kinds):
        start = time.perf_counter()
        new = render_scene(job, stores[job.kind], seed, style)
        done += len(job.views)
        if new:
            seconds = (time.perf_counter() - start) / new
            _log.info("%d of %d: %s %05d, %d new, %.2f s each", done, pictures, job.kind, job.scene, new, seconds)


def render_scene(job: Job, store: Store, seed: int, style: Style) -> int:
    """Gives how many pictures it made; a view for which no useful camera is found is left out."""
    missing = [view for view in job.views if not store.has(stem(job.scene, view))]
    if not missing:
        return 0
    rng = scene_rng(seed, job.kind, job.scene)
    stage = build(job.kind, rng)
    renderer = style.renderer(stage, rng)
    chosen = []
    for view in missing:
        rng = view_rng(seed, job.kind, job.scene, view)
        if found := find_view(renderer, stage, rng):
            chosen.append((view, rng, *found))
    made = 0
    for view, rng, camera, depth in chosen:
        if (taken := take(renderer, stage, rng, camera, depth)) is not None:
            store.write(stem(job.scene, view), *taken)
            made += 1
    return made


def take(
    renderer: SceneRenderer, stage: Stage, rng: np.random.Generator, camera: View, depth: Depth
) -> tuple[Image, Depth] | None:
    """A picture and its depth; another view where this one shows nothing, as from inside of a thing."""
    for _ in range(3):
        light = renderer.colour(camera)
        if stage.haze:
            light = fog(light, depth, stage.haze, stage.haze_colour)
        picture = photograph(light, rng, stage.dark)
        if picture.std() > FLAT:
            return picture, depth
        if (found := find_view(renderer, stage, rng)) is None:
            return None
        camera, depth = found
    return None


def find_view(renderer: SceneRenderer, stage: Stage, rng: np.random.Generator) -> tuple[View, Depth] | None:
    for _ in range(TRIES):
        view = vary(stage.propose(rng), rng)
        depth = renderer.depth(view)
        if is_useful(depth, stage.clearance):
            return view, depth
    return None


def is_useful(depth: Depth, clearance: float = 0.2) -> bool:
    """Neither against a surface nor of one depth, and no more than mostly sky."""
    inverse = 1 / np.maximum(depth, np.float32(1e-3))
    low, high = np.quantile(inverse, (0.05, 0.95))
    too_near = np.mean(depth < NEAREST_M) > 0.05 or np.mean(depth < clearance) > 0.2
    return bool(not too_near and np.mean(np.isinf(depth)) < 0.8 and high > 1.25 * low)
