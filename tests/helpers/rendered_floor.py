"""The exact depth of the floor that rendered scenes of tests stand on."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes.scene import CameraView


def floor_depth(view: CameraView) -> np.ndarray:
    """Meters along the optical axis to the plane z = 0, +inf above the horizon."""
    focal = view.width / 2 / np.tan(np.radians(view.fov) / 2)
    v, u = np.mgrid[: view.height, : view.width]
    rays = np.stack([(u + 0.5 - view.width / 2) / focal, -(v + 0.5 - view.height / 2) / focal, -np.ones(v.shape)], -1)
    fall = -(rays @ view.axes().T)[..., 2]
    with np.errstate(divide="ignore"):
        return np.where(fall > 0, view.eye[2] / fall, np.inf)
