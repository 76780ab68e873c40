"""Labels from motion: pictures of a moving camera with relative depth on which its own views agree.

The footage is taken in parts of PART keyframes or up to a cut, each of which is reconstructed by itself: scale and axes
differ between parts, and to a training every picture has a scale of its own anyway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import Frame
from streamdepth.evaluation.accuracy.ordinal import ordinal_accuracy
from streamdepth.training.files import write_file
from streamdepth.training.labels import check_origin, write_index, write_pair
from streamdepth.training.motion.consistency import agreeing
from streamdepth.training.motion.keyframes import Keyframe, choose_keyframes
from streamdepth.training.motion.neighbors import choose_neighbors
from streamdepth.training.motion.structure import LEAST_VIEWS, View, reconstruct, require_pycolmap
from streamdepth.training.motion.sweep import Floats32, prepare, sweep

PART = 80
"""Most keyframes that are reconstructed together."""
NEIGHBORS = 4
"""Most views that a view is swept with; it must agree with two of them."""
NEAREST = 50_000
"""PNG value of the 99.9th percentile of a picture's inverse depth."""
LEAST_KNOWN = 0.1
"""Share of a picture whose depth must be known for it to be kept."""
LEAST_ORDERED = 0.5
"""Mean share of pairs of pixels that a model of relative depth must order alike, or depth is taken for reversed."""
_STATE = "progress.json"
OnProgress = Callable[[str, int, int], None]
"""Called with the name of the current step, the number of items done, and their total."""


@dataclass(frozen=True, slots=True)
class MotionLabels:
    """The labels of one video."""

    pictures: int
    known: float
    """Mean share of known pixels."""
    failures: list[str]
    """Codes of the errors of the parts, or of the groups of views in them, that gave no labels."""


def write_motion_labels(
    source: Source, folder: Path, judge: Estimator, *, most_pictures: int, on_progress: OnProgress = lambda *_: None
) -> MotionLabels:
    """Writes pictures of a source with their depth as a dataset, whose depth a training reads as "views".

    Args:
        source: the video; it is opened and closed. What does not move must fill most of it.
        folder: becomes a dataset (see `evaluation.datasets`) of inverse depth in a unit of each picture's own. A
            stopped run goes on with the part that it had begun.
        judge: a model of relative depth. Where a small or distant motion leaves open what is near and what is far,
            depth can come out reversed; such views are left out, since the model orders most pixels otherwise.
        most_pictures: number of labels after which no further part is begun.
        on_progress: called often.

    Raises:
        ConfigError: the video has too few frames ("too-short"), its camera stands still ("camera-still") or only turns
            ("no-parallax"), its frames have too little in common ("no-overlap"), no poses are found ("no-poses"), views
            agree nowhere ("no-agreement"), near and far are reversed ("reversed"), or the folder has other labels
            ("other-labels", "unreadable").
        MissingDependencyError: without pycolmap.
        SourceError: as the source raises it.
        SinkWriteError: the folder cannot be written.
    """
    require_pycolmap()
    info = source.open()
    try:
        index = _index(info.name)
        check_origin(folder, index)
        state = _State(folder, index)
        keyframes = choose_keyframes(_unread(source, state))
        for part in _parts(keyframes):
            if state.pictures >= most_pictures:
                break
            _label_part(part, judge, state, on_progress)
    finally:
        source.close()
    if not state.pictures:
        raise state.error()
    return MotionLabels(state.pictures, state.known / state.pictures, [error.code for error in state.errors])


class _State:
    """The progress of a video's labels, kept in a file beside them."""

    def __init__(self, folder: Path, index: dict[str, object]) -> None:
        self._folder, self._path, self._index = folder, folder / _STATE, index
        facts = self._facts()
        self.next_frame: int = facts.get("next_frame", 0)
        """The first frame that is in no finished part."""
        self.pictures: int = facts.get("pictures", 0)
        self.known: float = facts.get("known", 0.0)
        """Sum of their shares of known pixels."""
        self.read_frames = self.keyframes = 0
        self.errors: list[ConfigError] = []
        """Why parts gave no labels."""

    def _facts(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.exists() else {}
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"cannot read '{self._path}': {error}; remove its folder", code="unreadable") from error

    def add(self, view: View, inverse: Floats32) -> None:
        """Writes the (h, w) inverse depth of a view as a label; before the first one the index, which tells whose they
        are."""
        if not self.pictures:
            write_index(self._folder, self._index)
        write_pair(self._folder, f"{view.index:07d}", view.image, encode_inverse(inverse))
        self.pictures += 1
        self.known += float(np.isfinite(inverse).mean())

    def finish_part(self, next_frame: int) -> None:
        """Stores where a stopped run continues; without any label nothing is stored, and the next run starts anew."""
        facts = {"next_frame": next_frame, "pictures": self.pictures, "known": self.known}
        if self.pictures:
            write_file(self._path, json.dumps(facts).encode())

    def error(self) -> ConfigError:
        """Returns the error that explains why there are no labels."""
        if self.errors:
            return self.errors[0]
        if self.read_frames < LEAST_VIEWS:
            return ConfigError(
                f"{self.read_frames} frames are too few; give some seconds of video by a moving camera",
                code="too-short",
            )
        if self.keyframes < LEAST_VIEWS:
            return ConfigError(
                f"the camera stands still: only {self.keyframes} of {self.read_frames} frames differ in most of the "
                "picture; walk with it, sideways rather than ahead, for some steps at least",
                code="camera-still",
            )
        return ConfigError(
            "frames have too little in common with the next ones to be compared: the camera is too fast, the picture "
            "too bare or blurred, or the video is cut all the time; film more slowly, in better light",
            code="no-overlap",
        )


def _unread(source: Source, state: _State) -> Iterator[Frame]:
    while (frame := source.read()) is not None:
        if frame.index >= state.next_frame:
            state.read_frames += 1
            yield frame


def _parts(keyframes: Iterable[Keyframe]) -> Iterator[list[Keyframe]]:
    part: list[Keyframe] = []
    for keyframe in keyframes:
        if part and (keyframe.is_cut or len(part) == PART or keyframe.image.shape != part[0].image.shape):
            yield part
            part = []
        part.append(keyframe)
    if part:
        yield part


def _label_part(part: list[Keyframe], judge: Estimator, state: _State, on_progress: OnProgress) -> None:
    state.keyframes += len(part)
    for views in _reconstructed(part, state, on_progress):
        try:
            _label_views(views, judge, state, on_progress)
        except ConfigError as error:
            state.errors.append(error)
    state.finish_part(part[-1].index + 1)


def _reconstructed(part: list[Keyframe], state: _State, on_progress: OnProgress) -> list[list[View]]:
    """Returns the groups of views of a part; none, and the reason in `state`, where there are no poses."""
    if len(part) < LEAST_VIEWS:
        return []
    on_progress(f"poses of {len(part)} frames", 0, 1)
    try:
        return reconstruct({keyframe.index: keyframe.image for keyframe in part})
    except ConfigError as error:
        state.errors.append(error)
        return []


def _label_views(views: list[View], judge: Estimator, state: _State, on_progress: OnProgress) -> None:
    found = [
        (view, inverse)
        for view, inverse in depth_of_views(views, lambda done: on_progress("depth", done, len(views)))
        if np.isfinite(inverse).mean() >= LEAST_KNOWN
    ]
    if not found:
        raise ConfigError(
            "the poses are known, but views agree on depth nearly nowhere: walls are bare, the light is poor, or too "
            "much moves; film more slowly, nearer to things, in better light",
            code="no-agreement",
        )
    if np.mean([_ordered_alike(judge, view, inverse) for view, inverse in found]) < LEAST_ORDERED:
        raise ConfigError(
            "the motion is too small, or too far away, to tell near from far: depth came out reversed; film nearer to "
            "things, and walk sideways past them",
            code="reversed",
        )
    for view, inverse in found:
        state.add(view, inverse)


def _ordered_alike(judge: Estimator, view: View, inverse: Floats32) -> float:
    """Returns the share of pairs of pixels that the model orders as the (h, w) inverse depth of a view does."""
    frame = Frame(view.image, view.index, 0, Fraction(1), 0.0)
    depth = judge.estimate([frame])[0].depth
    height, width = inverse.shape
    return ordinal_accuracy(resize_depth(depth, width, height), np.reciprocal(inverse))


def depth_of_views(
    views: list[View], on_view: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[View, Floats32]]:
    """Yields each view with the (h, w) inverse depth that other views confirm, NaN elsewhere.

    `on_view` is called with the number of views done.
    """
    prepared = {view.index: prepare(view) for view in views}
    neighbors = {view.index: choose_neighbors(view, views, NEIGHBORS) for view in views}
    found: dict[int, Floats32] = {}
    for view in views:
        if others := [prepared[other.index] for other in neighbors[view.index]]:
            found[view.index] = sweep(prepared[view.index], others)
        on_view(len(found))
    for view in views:
        others_found = [(prepared[o.index], found[o.index]) for o in neighbors[view.index] if o.index in found]
        if view.index in found:
            yield view, agreeing(prepared[view.index], found[view.index], others_found)


def encode_inverse(inverse: Floats32) -> npt.NDArray[np.uint16]:
    """Returns the (h, w) values of a dataset's PNG from inverse depth of any unit, NaN = unknown."""
    known = np.isfinite(inverse)
    values = np.where(known, inverse, 0) * (NEAREST / np.quantile(inverse[known], 0.999))
    return np.where(known, np.clip(np.rint(values), 1, 65534), 0).astype(np.uint16)


def _index(source: str) -> dict[str, object]:
    unit = "none: relative inverse depth, the nearest place is 1"
    return {"kind": "inverse", "depth_scale": NEAREST, "unit": unit, "source": source, "made_by": "motion"}
