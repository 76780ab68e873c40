"""Measures what nano gains at a place by `train motion`: taught on the first half of a clip, judged on its second half.

    python tests/measure/motion_gain.py --work FOLDER [DATASET...] [--street] [--steps N] [--others DATASET...]

`--street` renders a drive through a street with exact depth, too. `--others` are datasets of other places, to see what
was forgotten. Scale and shift are fitted to each picture; between the halves ten pictures are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamdepth.estimators.nano import NanoEstimator
from streamdepth.evaluation.accuracy.protocol import EvaluationProtocol, evaluate_dataset
from streamdepth.evaluation.datasets import DepthDataset

GAP, PICTURES = 10, 50
STREET_FRAMES, STREET_STEP_M = 120, 0.35
RGB_SIZE, STREET_FOV = (384, 224), 75.0


def main() -> None:
    options = parse()
    places = [DepthDataset(path) for path in options.datasets]
    if options.street:
        places.append(DepthDataset(render_street(options.work, options.seed)))
    others = [part(DepthDataset(path), 0, None, options.work) for path in options.others]
    show("place             judged on              weights   delta1  AbsRel   order")
    for place in places:
        half = len(place) // 2
        run = options.work / f"{place.name}_run"
        teach(part(place, 0, half - GAP // 2, options.work), run, options)
        second = part(place, half + GAP // 2, None, options.work)
        for name, weights in {"before": None, "after": run / "nano.safetensors"}.items():
            for judged in (second, *others):
                show(f"{place.name:17} {judged.name:22} {name:8} {scores(judged, weights)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--street", action="store_true")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--others", nargs="*", type=Path, default=[])
    parser.add_argument("--steps", default="150")
    parser.add_argument("--batch", default="16")
    return parser.parse_args()


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def part(data: DepthDataset, first: int, end: int | None, work: Path) -> DepthDataset:
    """Returns consecutive pictures of a dataset as one of its own, by links."""
    folder = work / f"{data.name}_{first}_{end or 'end'}"
    if not folder.exists():
        for kind in ("rgb", "depth"):
            (folder / kind).mkdir(parents=True)
            for path in sorted((data.folder / kind).resolve().iterdir())[first:end]:
                (folder / kind / path.name).symlink_to(path)
        facts = {"depth_scale": data.depth_scale, "infinity": data.infinity, "crop": data.crop}
        (folder / "index.json").write_text(json.dumps({k: v for k, v in facts.items() if v is not None}))
    return DepthDataset(folder)


def teach(footage: DepthDataset, run: Path, options: argparse.Namespace) -> None:
    command = ["train", "motion", footage.folder / "rgb", "-o", run, "--device", "cpu"]
    command += ["--steps", options.steps, "--batch", options.batch]
    subprocess.run([sys.executable, "-m", "streamdepth", *map(str, command)], check=True)


def scores(data: DepthDataset, weights: Path | None) -> str:
    """Returns delta1, AbsRel and ordinal accuracy of at most PICTURES evenly spaced pictures, to 80 m."""
    protocol = EvaluationProtocol(farthest_m=80.0, every=max(1, len(data) // PICTURES))
    with closing(NanoEstimator(weights=weights, engine="torch", device="cpu")) as estimator:
        found = evaluate_dataset(data, estimator, protocol).accuracy.aligned
    return f"{found.delta1:7.3f} {found.abs_rel:7.3f} {found.ordinal:7.3f}"


def render_street(root: Path, seed: int) -> Path:
    """Renders a drive along a street; returns the dataset's folder."""
    from streamdepth.training.scenes.camera_effects import exposure, sensor_noise, tone
    from streamdepth.training.scenes.dataset_writer import DatasetWriter
    from streamdepth.training.scenes.run import build_scene
    from streamdepth.training.scenes.styles import cast

    folder = root / "street"
    if (folder / "rgb").exists() and len(list((folder / "rgb").iterdir())) == STREET_FRAMES:
        return folder
    rng = np.random.default_rng(seed)
    scene = build_scene("street", rng)
    renderer = cast(1, (), seed).renderer(scene, rng)
    writer, gain = DatasetWriter(root, "street"), None
    for i, view in enumerate(drive(scene, rng)):
        light = renderer.color(view)
        gain = exposure(light) if gain is None else gain
        writer.write(f"{i:04d}", tone(sensor_noise(light * gain, 0.01, rng), 0.5, 1.0), renderer.depth(view))
    return folder


def drive(scene: object, rng: np.random.Generator) -> Iterator[object]:
    """Yields the views of a camera that drives along the middle of the road, and sways a little."""
    road = scene.propose_view.keywords["road"]
    first = scene.propose_view(rng)
    for i in range(STREET_FRAMES):
        along = -20 + STREET_STEP_M * i
        eye = road.point(along, 0.12 * road.half + 0.1 * np.sin(i / 9), 1.5 + 0.03 * np.sin(i / 4))
        sway = 1.0 * np.sin(i / 7), 0.5 * np.sin(i / 5)
        yield replace(
            first,
            eye=tuple(map(float, eye)),
            yaw=road.heading(along) + sway[0] + 12,
            pitch=-2 + sway[1],
            roll=0.0,
            fov=STREET_FOV,
            width=RGB_SIZE[0],
            height=RGB_SIZE[1],
        )


if __name__ == "__main__":
    main()
