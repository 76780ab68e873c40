"""A scene as a triangle soup, and rays through it: Embree's tracer, as Open3D brings it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.scene import PlacedModel, Scene, SharedModel
from streamdepth.training.scenes.shapes import Shape, join, rotation

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
SHARP = np.cos(np.radians(40))
"""Faces that meet at more than 40 degrees have an edge; others look round."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The hits of N rays; `distance` counts in lengths of the rays and is +inf where a ray hit nothing."""

    distance: Floats
    material: Ints
    item: Ints
    own: Floats
    """(N, 3) places in the thing's own frame, in meters."""
    own_normal: Floats
    normal: Floats
    """(N, 3) towards the ray's origin."""


@dataclass(frozen=True, slots=True)
class _Mesh:
    points: Floats
    normals: Floats
    triangles: Ints
    material: Ints


def _open3d() -> Any:
    import open3d

    return open3d


class Soup:
    """The triangles of a scene in a ray tracer that uses `threads` threads."""

    def __init__(self, scene: Scene, threads: int = 1) -> None:
        self.threads, self._o3d = threads, _open3d()
        self.materials: list[SurfaceMaterial] = []
        self._known: dict[SurfaceMaterial, int] = {}
        meshes: dict[SharedModel, _Mesh] = {}
        for item in scene.items:
            if item.model not in meshes:
                meshes[item.model] = self._mesh(item.model)
        parts = [meshes[item.model] for item in scene.items]
        starts = np.cumsum([0] + [len(mesh.points) for mesh in parts])
        self._triangles = np.concatenate([m.triangles + s for m, s in zip(parts, starts, strict=False)])
        self._material = np.concatenate([mesh.material for mesh in parts])
        self._item = np.repeat(np.arange(len(parts)), [len(mesh.triangles) for mesh in parts])
        scales = [item.scale for item in scene.items]
        self._own = np.concatenate([m.points * np.float32(s) for m, s in zip(parts, scales, strict=True)])
        self._own_normals = np.concatenate([mesh.normals for mesh in parts])
        self._turns = np.stack([rotation(item.euler_degrees) for item in scene.items]).astype(np.float32)
        placed = [_placed(mesh, item) for mesh, item in zip(parts, scene.items, strict=True)]
        self._scene = self._o3d.t.geometry.RaycastingScene(nthreads=threads)
        tensor = self._o3d.core.Tensor
        self._scene.add_triangles(tensor(np.concatenate(placed)), tensor(self._triangles.astype(np.uint32)))

    def _mesh(self, model: SharedModel) -> _Mesh:
        whole = join([shape for shape, _ in model.parts])
        materials = [self._known.setdefault(material, len(self._known)) for _, material in model.parts]
        self.materials += [material for material in self._known if self._known[material] >= len(self.materials)]
        quads = [len(shape.quads) for shape, _ in model.parts]
        triangles = [len(shape.triangles) for shape, _ in model.parts]
        faces = np.concatenate([whole.quads[:, [0, 1, 2]], whole.quads[:, [0, 2, 3]], whole.triangles])
        material = np.concatenate(
            [np.repeat(materials, quads), np.repeat(materials, quads), np.repeat(materials, triangles)]
        )
        points = whole.points.astype(np.float32)
        return _Mesh(points, vertex_normals(points, faces), faces, material)

    def cast(self, origins: Floats, directions: Floats) -> Hits:
        """Returns the first surface on each of N rays, (N, 3) each."""
        rays = self._o3d.core.Tensor(np.concatenate([origins, directions], 1).astype(np.float32))
        found = {key: value.numpy() for key, value in self._scene.cast_rays(rays, nthreads=self.threads).items()}
        face = np.where(np.isfinite(found["t_hit"]), found["primitive_ids"], 0).astype(np.int64)
        corners, item = self._triangles[face], self._item[face]
        u, v = found["primitive_uvs"].T[:, :, None]
        shares = np.stack([1 - u - v, u, v], 1)
        own = (self._own[corners] * shares).sum(1)
        smooth = (self._own_normals[corners] * shares).sum(1)
        turn = self._turns[item]
        flat = np.einsum("nji,nj->ni", turn, unit(found["primitive_normals"]))
        smooth = unit(smooth * np.sign((smooth * flat).sum(1, keepdims=True) + 1e-9))
        own_normal = np.where((smooth * flat).sum(1, keepdims=True) > SHARP, smooth, flat)
        normal = np.einsum("nij,nj->ni", turn, own_normal)
        normal = normal * -np.sign((normal * directions).sum(1, keepdims=True) + 1e-9)
        return Hits(found["t_hit"], self._material[face], item, own, own_normal, normal.astype(np.float32))

    def is_shaded(self, origins: Floats, directions: Floats, reach: float | Floats) -> npt.NDArray[np.bool_]:
        """Returns (N,): True if something lies on the ray within `reach` of its lengths."""
        rays = np.concatenate([origins, directions], 1).astype(np.float32)
        if np.ndim(reach):  # the tracer has one reach for all
            rays[:, 3:] *= np.asarray(reach)[:, None]
            reach = 1.0
        found = self._scene.test_occlusions(self._o3d.core.Tensor(rays), 0.0, float(reach), nthreads=self.threads)
        return np.asarray(found.numpy())


def vertex_normals(points: Floats, faces: Ints) -> Floats:
    """Returns (P, 3) normals: the mean of the faces around each point, weighted by area."""
    a, b, c = points[faces].transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in faces.T:
        for axis in range(3):
            normals[:, axis] += np.bincount(corner, across[:, axis], len(points)).astype(np.float32)
    return unit(normals)


def unit(vectors: Floats) -> Floats:
    """Returns vectors of length 1 along the last axis; zero stays zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def _placed(mesh: _Mesh, item: PlacedModel) -> Floats:
    whole = Shape(mesh.points.astype(np.float64)).transformed(item.position, item.euler_degrees, item.scale)
    return whole.points.astype(np.float32)
