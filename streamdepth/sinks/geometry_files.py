"""Point clouds and meshes as files, written by trimesh, plyfile and Open3D."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError, SinkOpenError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.render_options import Edges
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.geometry.projection import ASSUMED_FOV
from streamdepth.geometry.shapes import RELATIVE_DEPTH_RATIO, Mesh, PointCloud, build_mesh, build_point_cloud
from streamdepth.render.upsampling import check_edges, upsample
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.pending_folder import PendingFolder
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.numbering import find_numbered_files, has_number_field, insert_number

GeometryKind = Literal["points", "mesh"]
SUFFIXES: dict[GeometryKind, tuple[str, ...]] = {"points": (".ply", ".pcd"), "mesh": (".glb", ".ply", ".obj")}
"""The extensions that each kind can be written as."""
CAMERA_TO_Y_UP = np.array([1, -1, -1], np.float32)
"""Factors that turn camera axes (y down, z ahead) into those of glTF and OBJ (y up, the camera looks along -z)."""

_PCD_POINT_BYTES = 28
"""Position, normal and color of a point, as Open3D writes them."""


def check_geometry_path(path: Path, kind: GeometryKind) -> None:
    """Raises SinkOpenError ("unknown-format") for an unknown extension, MissingDependencyError without its package."""
    if path.suffix.lower() not in SUFFIXES[kind]:
        what = "a point cloud" if kind == "points" else "a mesh"
        raise SinkOpenError(
            f"cannot write {what} to '{path}'; use one of {' '.join(SUFFIXES[kind])}", code="unknown-format"
        )
    _package(path.suffix.lower())


def write_geometry(path: Path, item: DepthFrame, kind: GeometryKind, *, overwrite: bool = False) -> None:
    """Writes the point cloud or mesh of one frame, with normals; the file appears only when it is complete.

    .ply and .pcd have the camera's axes (x right, y down, z ahead); .glb and .obj have y up, as their viewers expect.
    .glb holds the whole picture as its texture. Raises MissingDependencyError or SinkError.
    """
    check_geometry_path(path, kind)
    with atomic_write(path, overwrite=overwrite) as temporary:
        _write(temporary, item, kind)


def geometry_facts(item: DepthFrame) -> dict[str, str]:
    """Returns the facts that are written into the file as comments, such as the unit."""
    metric = item.kind is DepthKind.METRIC
    facts = {
        "kind": item.kind.value,
        "unit": "metre" if metric else "none: relative depth, a shape for looking only, not meters",
    }
    if not metric:
        facts["assumed"] = f"the farthest is {RELATIVE_DEPTH_RATIO:g} times as far as the nearest"
    if item.intrinsics is None:
        facts["camera"] = f"unknown, a field of view of {ASSUMED_FOV:g} degrees was assumed"
    return facts


def geometry_notices(item: DepthFrame) -> list[str]:
    """Returns sentences that a user should read about geometry made of `item`."""
    notices = []
    if item.kind is DepthKind.RELATIVE:
        notices.append(
            "the shape is of relative depth, for looking only and not in meters: its farthest is drawn "
            f"{RELATIVE_DEPTH_RATIO:g} times as far as its nearest; --anchor or a metric model gives meters"
        )
    if item.intrinsics is None:
        notices.append(f"the camera is unknown: {ASSUMED_FOV:g} degrees are assumed; --fov or --camera-info tells it")
    return notices


class GeometrySink(Sink):
    """Writes the point cloud or mesh of every `every`th frame; all files appear at `close`.

        sink = GeometrySink("out/%06d.ply", "points", every=10)

    `%06d` in the name becomes the frame's index at the source.

    Raises:
        ConfigError: unknown edges.
        SinkOpenError: from `open`, also for a name without a number ("not-numbered").
        MissingDependencyError: from `open`, without the package for that extension.
        SinkWriteError: from `write` and `close`.
    """

    def __init__(
        self,
        pattern: str | Path,
        kind: GeometryKind = "points",
        *,
        every: int = 1,
        overwrite: bool = False,
        edges: Edges = "plain",
    ) -> None:
        super().__init__()
        check_edges(edges)
        self.pattern, self.kind, self.every = Path(pattern), kind, every
        self.overwrite, self.edges = overwrite, edges
        self._folder: PendingFolder | None = None
        self._count = 0

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_PACKAGES[s][0]] if (s := self.pattern.suffix.lower()) in _PACKAGES else []

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_geometry_path(self.pattern, self.kind)
        if not has_number_field(self.pattern.name):
            raise SinkOpenError(
                f"'{self.pattern}' can hold one frame only; number the files, for example %06d.ply", code="not-numbered"
            )
        check_output(self.pattern, overwrite=self.overwrite)
        for existing in find_numbered_files(self.pattern):
            check_output(existing, overwrite=self.overwrite, input_path=info.file_path)
        self._folder, self._count = PendingFolder(self.pattern.parent, overwrite=self.overwrite), 0

    def on_write(self, item: DepthFrame) -> None:
        assert self._folder is not None
        self._count += 1
        if (self._count - 1) % self.every:
            return
        with map_write_errors(self.pattern):
            path = self._folder.temporary / insert_number(self.pattern.name, item.frame.index)
            _write(path, upsample(item, self.edges), self.kind)
        for text in geometry_notices(item):
            self.add_notice(text)

    def on_close(self) -> None:
        assert self._folder is not None
        self._folder.commit()

    def on_discard(self) -> None:
        if self._folder is not None:
            self._folder.discard()
        self._folder = None


def _write(path: Path, item: DepthFrame, kind: GeometryKind) -> None:
    suffix, facts = path.suffix.lower(), geometry_facts(item)
    if kind == "points":
        cloud = build_point_cloud(item)
        if suffix == ".pcd":
            _write_pcd(path, cloud)
        else:
            write_ply(path, cloud, facts)
    elif suffix == ".ply":
        write_ply(path, build_mesh(item), facts)
    else:
        _write_mesh(path, build_mesh(item), item.frame.image, facts)


def write_ply(path: Path, shape: PointCloud | Mesh, facts: dict[str, str]) -> None:
    """Writes a binary PLY with `facts` as comments, and with the faces of a mesh."""
    ply = _package(".ply")
    points = shape.vertices if isinstance(shape, Mesh) else shape.points
    parts = ((("x", "y", "z"), points), (("nx", "ny", "nz"), shape.normals), (("red", "green", "blue"), shape.colors))
    vertices = np.empty(len(points), [(name, values.dtype) for names, values in parts for name in names])
    for names, values in parts:
        for i, name in enumerate(names):
            vertices[name] = values[:, i]
    elements = [ply.PlyElement.describe(vertices, "vertex")]
    if isinstance(shape, Mesh):
        faces = np.empty(len(shape.faces), [("vertex_indices", "<i4", (3,))])
        faces["vertex_indices"] = shape.faces
        elements.append(ply.PlyElement.describe(faces, "face"))
    comments = [f"{name}: {text}" for name, text in facts.items()]
    ply.PlyData(elements, byte_order="<", comments=comments).write(str(path))


_EMPTY_PCD = """VERSION 0.7
FIELDS x y z normal_x normal_y normal_z rgb
SIZE 4 4 4 4 4 4 4
TYPE F F F F F F F
COUNT 1 1 1 1 1 1 1
WIDTH 0
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 0
DATA ascii
"""
"""A point cloud of a frame without depth, which Open3D refuses to write."""


def _write_pcd(path: Path, cloud: PointCloud) -> None:
    o3d = _package(".pcd")
    if not len(cloud.points):
        path.write_text(_EMPTY_PCD)
        return
    geometry = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(np.float64)))
    geometry.normals = o3d.utility.Vector3dVector(cloud.normals.astype(np.float64))
    geometry.colors = o3d.utility.Vector3dVector(cloud.colors / 255.0)
    if not o3d.io.write_point_cloud(str(path), geometry):
        raise OSError("Open3D could not write it")
    if path.stat().st_size < _PCD_POINT_BYTES * len(cloud.points):  # Open3D does not notice a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_mesh(path: Path, shape: Mesh, image: Image, facts: dict[str, str]) -> None:
    from PIL import Image as Pillow

    trimesh = _package(".glb")
    normals = shape.normals * CAMERA_TO_Y_UP if len(shape.normals) else None  # trimesh refuses none at all
    geometry = trimesh.Trimesh(
        shape.vertices * CAMERA_TO_Y_UP, shape.faces, vertex_normals=normals, process=False, metadata=facts
    )
    if path.suffix.lower() == ".obj":
        geometry.visual = trimesh.visual.ColorVisuals(geometry, vertex_colors=shape.colors)
        header = "\n".join(f"{name}: {text}" for name, text in facts.items())
        path.write_text(trimesh.exchange.obj.export_obj(geometry, include_normals=normals is not None, header=header))
        return
    packed = io.BytesIO()
    Pillow.fromarray(image).save(packed, "JPEG", quality=92)
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Pillow.open(packed), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    geometry.visual = trimesh.visual.TextureVisuals(uv=shape.uv, material=material)
    path.write_bytes(
        trimesh.Scene(geometry, metadata=facts).export(file_type="glb", include_normals=normals is not None)
    )


def _trimesh() -> Any:
    import trimesh
    import trimesh.exchange.obj

    return trimesh


def _plyfile() -> Any:
    import plyfile

    return plyfile


def _open3d() -> Any:
    import open3d

    return open3d


_PACKAGES: dict[str, tuple[OptionalPackage, Callable[[], Any]]] = {
    ".ply": (OptionalPackage("plyfile", "plyfile", "geometry", "writing .ply"), _plyfile),
    ".pcd": (OptionalPackage("open3d", "open3d", "fusion", "writing .pcd"), _open3d),
    ".glb": (OptionalPackage("trimesh", "trimesh", "geometry", "writing .glb"), _trimesh),
    ".obj": (OptionalPackage("trimesh", "trimesh", "geometry", "writing .obj"), _trimesh),
}


def _package(suffix: str) -> Any:
    package, load = _PACKAGES[suffix]
    try:
        return load()
    except ImportError as error:
        raise MissingDependencyError(*package[1:]) from error
