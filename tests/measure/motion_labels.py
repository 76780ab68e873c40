"""Measures labels from motion against true depth: `train motion --labels-only` on datasets of consecutive pictures.

    python tests/measure/motion_labels.py DATASET...

Labels have no unit: each picture's are scaled by the median ratio first. Coverage is the share of the pixels with true
depth that have a label, in the pictures that have labels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from streamdepth.estimators.nano import NanoEstimator
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.sources.images import ImagesSource
from streamdepth.training.motion.motion_labels import write_motion_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the labels")
    options = parser.parse_args()
    show("dataset            pictures  labeled  coverage  AbsRel  median  delta1  off>10%  seconds")
    with tempfile.TemporaryDirectory() as temporary:
        for path in options.datasets:
            measure(path, (options.keep or Path(temporary)) / path.name)


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def measure(path: Path, folder: Path) -> None:
    begin = time.monotonic()
    found = write_motion_labels(
        ImagesSource(str(path / "rgb")), folder, NanoEstimator(device="cpu"), most_pictures=10_000
    )
    seconds = time.monotonic() - begin
    data = DepthDataset(path)
    names = dict(zip(frame_numbers(path), data.names(), strict=True))
    ratios, covered = [], []
    for label in DepthDataset(folder).pairs():
        (truth,) = data.pairs([names[int(label.name)]])
        ratio, share = compare(label.depth, truth.depth)
        ratios.append(ratio)
        covered.append(share)
    off = np.abs(np.concatenate(ratios) - 1)
    delta1 = (np.abs(np.log(np.concatenate(ratios))) < np.log(1.25)).mean()
    show(
        f"{path.name:18} {len(names):8} {found.pictures:8} {np.mean(covered):9.3f} {off.mean():7.4f} "
        f"{np.median(off):7.4f} {delta1:7.4f} {(off > 0.1).mean():8.4f} {seconds:8.0f}"
    )


def frame_numbers(path: Path) -> list[int]:
    """Returns the numbers that the pictures have as frames."""
    source = ImagesSource(str(path / "rgb"))
    source.open()
    numbers = []
    while (frame := source.read()) is not None:
        numbers.append(frame.index)
    source.close()
    return numbers


def compare(label: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the label's depth over the true one, where both are known, and the share of the truth with a label."""
    truth = cv2.resize(truth, label.shape[::-1], interpolation=cv2.INTER_NEAREST)
    true = np.isfinite(truth) & (truth > 0)
    both = true & np.isfinite(label)
    ratio = label[both] / truth[both]
    return ratio / np.median(ratio), both.sum() / true.sum()


if __name__ == "__main__":
    main()
