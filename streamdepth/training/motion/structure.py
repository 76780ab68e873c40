"""Poses of a moving camera and its intrinsics, by structure from motion: COLMAP's, through pycolmap.

Schoenberger and Frahm, "Structure-from-Motion Revisited" (CVPR 2016), on SIFT features of the CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, MissingDependencyError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats

LEAST_VIEWS = 6
"""Least number of frames whose poses fit each other."""
_FEATURES = 2048
_OVERLAP = 8
"""Number of next frames with which each one is matched; further ones are matched at distances that are powers of 2."""
_LEAST_ANGLE = 4.0
"""Angle in degrees between the rays of the first two frames; hand-held video has less than COLMAP's default of 16."""
_ALIKE, _ALL_ALIKE = 0.5, 0.95
"""Shares of pairs of frames explained by one homography above which the camera is said to only turn: the first after no
poses were found, the second without an attempt to find them."""
_ENOUGH = 0.5
"""Share of the frames with a pose at which no other kind of lens is tried."""
_LONGEST_LENS, _MOST_DISTORTION = 4.0, 0.6
"""Focal length in widths of the picture, and radial distortion, beyond which poses are not believed."""


@dataclass(frozen=True, slots=True)
class View:
    """A frame whose pose is known. Places are in the unit and the axes of its own reconstruction."""

    index: int
    image: Image
    """(H, W, 3) uint8 RGB."""
    camera: Intrinsics
    """The camera, for pictures of this size."""
    transform: Floats
    """(4, 4) transformation from the world to the camera."""
    point_ids: npt.NDArray[np.int64]
    """(N,) numbers of the places of the world that the frame sees."""
    points: Floats
    """(N, 3) these places."""

    @property
    def center(self) -> Floats:
        """The place of the camera, (3,)."""
        return np.asarray(-self.transform[:3, :3].T @ self.transform[:3, 3], np.float64)


def require_pycolmap() -> Any:
    """Returns the module pycolmap, silenced but for errors. Raises MissingDependencyError."""
    try:
        import pycolmap
    except ImportError as error:
        raise MissingDependencyError("pycolmap", "motion", "finding a camera's poses in its own footage") from error
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap


def reconstruct(images: Mapping[int, Image]) -> list[list[View]]:
    """Returns groups of views, each with a unit of its own; several if the footage cannot be connected.

    images: index -> (H, W, 3) RGB of consecutive keyframes, all of one size and by one camera.

    Raises:
        ConfigError: no pose was found, because the camera only turns or sees a flat wall ("no-parallax"), or because
            too little of the picture is static and textured ("no-poses").
        MissingDependencyError: without pycolmap.
    """
    pycolmap = require_pycolmap()
    with tempfile.TemporaryDirectory(prefix="streamdepth-") as temporary:
        folder, database = Path(temporary), Path(temporary) / "database.db"
        names = {f"{index:07d}.png": index for index in images}
        for name, index in names.items():
            cv2.imwrite(str(folder / name), cv2.cvtColor(images[index], cv2.COLOR_RGB2BGR))
        _match(pycolmap, database, folder, list(names))
        alike = _share_alike(pycolmap, database)
        if alike > _ALL_ALIKE:
            raise _no_poses(alike)
        groups: list[list[View]] = []
        for distorts in (True, False):
            found = _groups(pycolmap, database, folder, names, images, distorts=distorts)
            groups = max(groups, found, key=_posed)
            if _posed(groups) > _ENOUGH * len(images):
                break
        if not groups:
            raise _no_poses(alike)
        return groups


def _groups(
    pycolmap: Any,
    database: Path,
    folder: Path,
    names: Mapping[str, int],
    images: Mapping[int, Image],
    *,
    distorts: bool,
) -> list[list[View]]:
    """Returns the groups of views that one lens explains, without those whose lens no camera has.

    distorts: whether the lens may bend straight lines. A few frames often fit such a lens better than the true one.
    """
    options = pycolmap.IncrementalPipelineOptions(min_model_size=LEAST_VIEWS, random_seed=0, extract_colors=False)
    options.mapper.init_min_tri_angle = _LEAST_ANGLE
    options.ba_refine_extra_params = distorts
    models = pycolmap.incremental_mapping(database, folder, folder, options).values()
    groups = [_views(model, names, images) for model in models if _is_lens(model)]
    return [group for group in groups if len(group) >= LEAST_VIEWS]


def _posed(groups: Sequence[Sequence[View]]) -> int:
    """Returns the number of frames with a pose."""
    return sum(map(len, groups))


def _is_lens(model: Any) -> bool:
    """Returns False for a lens that no camera has, which is found where frames do not tell the lens from the scene."""
    cameras = map(_intrinsics, model.cameras.values())
    return all(c.fx / c.width < _LONGEST_LENS and abs(c.distortion[0]) < _MOST_DISTORTION for c in cameras)


def _match(pycolmap: Any, database: Path, folder: Path, names: Sequence[str]) -> None:
    """Writes features of all pictures and their verified matches into a database."""
    extraction = pycolmap.FeatureExtractionOptions(use_gpu=False)
    extraction.sift.max_num_features = _FEATURES
    single = pycolmap.CameraMode.SINGLE
    pycolmap.extract_features(database, folder, names, camera_mode=single, extraction_options=extraction)
    pairing = pycolmap.SequentialPairingOptions(overlap=_OVERLAP, quadratic_overlap=True)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False)
    pycolmap.match_sequential(
        database, matching_options=matching, pairing_options=pairing, verification_options=verification
    )


def _views(model: Any, names: Mapping[str, int], images: Mapping[int, Image]) -> list[View]:
    places = {number: point.xyz for number, point in model.points3D.items()}
    views = []
    for picture in model.images.values():
        if not picture.has_pose:
            continue
        index = names[picture.name]
        ids = sorted({p.point3D_id for p in picture.points2D if p.has_point3D()})
        points = np.array([places[number] for number in ids], np.float64).reshape(-1, 3)
        transform = np.vstack([picture.cam_from_world().matrix(), (0, 0, 0, 1)])
        camera = _intrinsics(picture.camera)
        views.append(View(index, images[index], camera, transform, np.array(ids, np.int64), points))
    return sorted(views, key=lambda view: view.index)


def _intrinsics(camera: Any) -> Intrinsics:
    """Converts COLMAP's SIMPLE_RADIAL, whose first pixel has its center at 0.5."""
    focal, cx, cy, radial = map(float, camera.params)
    return Intrinsics(focal, focal, cx - 0.5, cy - 0.5, camera.width, camera.height, (radial, 0.0, 0.0, 0.0))


def _share_alike(pycolmap: Any, path: Path) -> float:
    """Returns the share of matched pairs of frames that show the same plane, or were taken from the same place."""
    kinds = pycolmap.TwoViewGeometryConfiguration
    alike = {kinds.PLANAR, kinds.PANORAMIC, kinds.PLANAR_OR_PANORAMIC}
    with pycolmap.Database.open(path) as database:
        found = [pair.config for pair in database.read_two_view_geometries()[1] if len(pair.inlier_matches)]
    return sum(kind in alike for kind in found) / max(1, len(found))


def _no_poses(alike: float) -> ConfigError:
    if alike >= _ALIKE:
        return ConfigError(
            "the camera only turns, or sees one flat wall: that shows no depth; walk, sideways rather than ahead, past "
            "things at several distances",
            code="no-parallax",
        )
    return ConfigError(
        "no way of the camera explains its pictures: too little of them stands still, or has texture; film what does "
        "not move, in better light, and more slowly",
        code="no-poses",
    )
