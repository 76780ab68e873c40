"""Measures the right eye's view against the rendered one, its flicker, and the time that it takes.

    python tests/measure/stereo_views.py

`samples/room_right.mp4` is what a right eye 63 mm beside the camera of `samples/room.mp4` sees. Each way of making that
view gets the same picture and the same depth: the exact one, and nano's with scale and shift fitted to the exact one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.stereo_scene import edge_stretched, forward_warped  # noqa: E402

import streamdepth  # noqa: E402 - the path must be set first
from streamdepth.core.arrays import DepthMap, Image  # noqa: E402
from streamdepth.core.intrinsics import Intrinsics  # noqa: E402
from streamdepth.render.disparity import Disparity, sharpen_steps  # noqa: E402
from streamdepth.render.stereo import right_view, source_columns  # noqa: E402

EYES_M, FPS = 0.063, 24
FOCAL_PX = Intrinsics.from_fov(66, 640, 360).fx
SOFT_PX = {"exact": 1, "nano": 3}
"""Half the width of the soft edges of each kind of depth, as `disparity_of` takes it."""


@dataclass
class View:
    """One frame: both eyes as they are, and the disparity by each kind of depth."""

    index: int
    left: Image
    right: Image
    disparities: dict[str, Disparity]


def main() -> None:
    views = list(load())
    ways: dict[str, Callable[[Image, Disparity, int], Image]] = {
        "forward warping": lambda left, disparity, _: forward_warped(left, disparity),
        "edge stretching": lambda left, disparity, _: edge_stretched(left, disparity),
        "streamdepth": lambda left, disparity, soft: right_view(left, sharpen_steps(disparity, soft)),
    }
    show("depth   way               PSNR dB  in holes  flicker  in holes")
    for depth, soft in SOFT_PX.items():
        for name, way in ways.items():
            made = [way(view.left, view.disparities[depth], soft) for view in views]
            show(f"{depth:7} {name:16} " + " ".join(f"{value:8.2f}" for value in scores(views, made)))
    show(f"time of a 1280x720 frame: {time_ms(views[0]):.0f} ms of one CPU thread")


def show(line: str) -> None:
    sys.stdout.write(line + "\n")


def load() -> Iterator[View]:
    rights = {round(f.time * FPS): f.to_ndarray(format="rgb24") for f in decoded("room_right.mp4")}
    truth = streamdepth.DepthVideo(ROOT / "samples" / "room_truth.mkv")
    with streamdepth.stream(str(ROOT / "samples" / "room.mp4"), model=streamdepth.load_model("nano")) as frames:
        for item in frames:
            index = item.frame.index
            if index in rights:
                exact = (FOCAL_PX * EYES_M / truth[index]).astype(np.float32)
                disparities = {"exact": exact, "nano": fitted(item.at_frame_size(), exact)}
                yield View(index, item.frame.image, rights[index], disparities)
            if index == max(rights):
                frames.stop()


def decoded(name: str) -> Iterator[av.VideoFrame]:
    with av.open(str(ROOT / "samples" / name)) as container:
        yield from container.decode(video=0)


def fitted(depth: DepthMap, exact: Disparity) -> Disparity:
    """Returns scale * depth + shift that is nearest to the exact disparity, by least squares."""
    scale, shift = np.polyfit(depth.ravel(), exact.ravel(), 1)
    return (scale * depth + shift).astype(np.float32)


def scores(views: list[View], made: list[Image]) -> tuple[float, float, float, float]:
    """Returns the PSNR over all pixels and in the holes, and the same for the change from frame to frame (RMS)."""
    everywhere, in_holes, change, change_in_holes = [], [], [], []
    for i, (view, picture) in enumerate(zip(views, made, strict=True)):
        error = picture.astype(np.float32) - view.right
        hole = holes(view.disparities["exact"])
        everywhere.append(np.square(error).mean())
        in_holes.append(np.square(error[hole]).mean())
        if i and views[i - 1].index == view.index - 1:
            before = made[i - 1].astype(np.float32) - views[i - 1].right
            change.append(np.square(error - before).mean())
            change_in_holes.append(np.square((error - before)[hole]).mean())
    decibels = (10 * np.log10(255**2 / np.mean(values)) for values in (everywhere, in_holes))
    return *decibels, float(np.sqrt(np.mean(change))), float(np.sqrt(np.mean(change_in_holes)))


def holes(disparity: Disparity) -> np.ndarray:
    """Returns (H, W), True where the exact depth says that the left eye does not see what the right one does."""
    columns = source_columns(disparity)
    width = disparity.shape[1]
    repeated = np.zeros(disparity.shape, bool)
    repeated[:, :-1] = columns[:, :-1] == columns[:, 1:]
    repeated[:, 1:] |= repeated[:, :-1]
    return repeated | (columns >= width - 1)


def time_ms(view: View) -> float:
    """Returns the median time of both steps after the depth, for the picture at twice its size."""
    cv2.setNumThreads(1)
    left = np.asarray(cv2.resize(view.left, (1280, 720)), np.uint8)
    disparity = 2 * np.asarray(cv2.resize(view.disparities["nano"], (1280, 720)), np.float32)
    times = []
    for _ in range(20):
        begin = time.thread_time()
        right_view(left, sharpen_steps(disparity, 5))
        times.append(time.thread_time() - begin)
    return float(np.median(times) * 1000)


if __name__ == "__main__":
    main()
