"""Point clouds and meshes as files, written by trimesh, plyfile and Open3D."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.render_options import Edges
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.geometry.projection import ASSUMED_FOV
from streamdepth.geometry.shapes import RELATIVE_DEPTH_RATIO, Mesh, PointCloud, build_mesh, build_point_cloud
from streamdepth.render.upsampling import check_edges, upsample
from streamdepth.sinks.pending_files import PendingFolder, atomic_write, check_output, map_write_errors
from streamdepth.utils.numbering import find_numbered_files, has_number_field, insert_number

Shape = Literal["points", "mesh"]
SUFFIXES: dict[Shape, tuple[str, ...]] = {"points": (".ply", ".pcd"), "mesh": (".glb", ".ply", ".obj")}
"""What each can be written as."""
UP = np.array([1, -1, -1], np.float32)
"""Turns the camera's axes (y down, z forward) into those of glTF and OBJ (y up, looking along -z)."""


def check_model(path: Path, shape: Shape) -> None:
    """Raises SinkOpenError for an ending that cannot be written, MissingDependencyError without its package."""
    if path.suffix.lower() not in SUFFIXES[shape]:
        what = "a point cloud" if shape == "points" else "a mesh"
        raise SinkOpenError(f"cannot write {what} to '{path}'; use one of {' '.join(SUFFIXES[shape])}")
    _package(path.suffix.lower())


def write_model(path: Path, item: DepthFrame, shape: Shape, *, overwrite: bool = False) -> None:
    """Writes one frame's shape, with normals; the file appears only when complete. .glb holds the whole picture as
    texture.

    Camera's axes in .ply and .pcd (x right, y down, z forward); y up in .glb and .obj, as their viewers expect.
    Raises MissingDependencyError or SinkError.
    """
    check_model(path, shape)
    with atomic_write(path, overwrite=overwrite) as temporary:
        _write(temporary, item, shape)


def facts_of(item: DepthFrame) -> dict[str, str]:
    """What goes into the file as comments: the unit above all."""
    metric = item.kind is DepthKind.METRIC
    facts = {
        "kind": item.kind.value,
        "unit": "metre" if metric else "none: relative depth, a shape for looking only, not metres",
    }
    if not metric:
        facts["assumed"] = f"the farthest is {RELATIVE_DEPTH_RATIO:g} times as far as the nearest"
    if item.intrinsics is None:
        facts["camera"] = f"unknown, a field of view of {ASSUMED_FOV:g} degrees was assumed"
    return facts


def words_about(item: DepthFrame) -> list[str]:
    """What a user should know of a shape made of `item`."""
    words = []
    if item.kind is DepthKind.RELATIVE:
        words.append(
            "the shape is of relative depth, for looking only and not in metres: its farthest is drawn "
            f"{RELATIVE_DEPTH_RATIO:g} times as far as its nearest; --anchor or a metric model gives metres"
        )
    if item.intrinsics is None:
        words.append(f"the camera is unknown: {ASSUMED_FOV:g} degrees are assumed; --fov or --camera-info tells it")
    return words


class GeometrySink(Sink):
    """Writes the point cloud or mesh of every `every`th frame; all appear at `close`.

    `%06d` in the name becomes the frame's index at the source. Raises SinkOpenError from `open`, also for a name
    without a number, MissingDependencyError, and SinkWriteError from `write` and `close`.
    """

    def __init__(
        self,
        pattern: str | Path,
        shape: Shape = "points",
        *,
        every: int = 1,
        overwrite: bool = False,
        edges: Edges = "plain",
    ) -> None:
        super().__init__()
        check_edges(edges)
        self.pattern, self.shape, self.every = Path(pattern), shape, every
        self.overwrite, self.edges = overwrite, edges
        self._folder: PendingFolder | None = None
        self._count = 0

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_model(self.pattern, self.shape)
        if not has_number_field(self.pattern.name):
            raise SinkOpenError(f"'{self.pattern}' can hold one frame only; number the files, for example %06d.ply")
        check_output(self.pattern, overwrite=self.overwrite)
        for existing in find_numbered_files(self.pattern):
            check_output(existing, overwrite=self.overwrite, origin=info.origin)
        self._folder, self._count = PendingFolder(self.pattern.parent, overwrite=self.overwrite), 0

    def write(self, item: DepthFrame) -> None:
        if self._folder is None:
            raise SinkWriteError(f"'{self.pattern}' is not open; call open first")
        self._count += 1
        if (self._count - 1) % self.every:
            return
        try:
            with map_write_errors(self.pattern):
                path = self._folder.temporary / insert_number(self.pattern.name, item.frame.index)
                _write(path, upsample(item, self.edges), self.shape)
        except SinkWriteError:
            self.discard()
            raise
        for text in words_about(item):
            self.add_notice(text)

    def close(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.commit()

    def discard(self) -> None:
        if self._folder is not None:
            self._folder.discard()
        self._folder = None


def _write(path: Path, item: DepthFrame, shape: Shape) -> None:
    suffix, facts = path.suffix.lower(), facts_of(item)
    if shape == "points":
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
    """Binary, with `facts` as comments; a mesh with its faces."""
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


def _write_pcd(path: Path, cloud: PointCloud) -> None:
    o3d = _package(".pcd")
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(np.float64)))
    made.normals = o3d.utility.Vector3dVector(cloud.normals.astype(np.float64))
    made.colors = o3d.utility.Vector3dVector(cloud.colors / 255.0)
    if not o3d.io.write_point_cloud(str(path), made):
        raise OSError("Open3D could not write it")


def _write_mesh(path: Path, shape: Mesh, image: Image, facts: dict[str, str]) -> None:
    from PIL import Image as Pillow

    trimesh = _package(".glb")
    normals = shape.normals * UP if len(shape.normals) else None  # trimesh refuses none at all
    made = trimesh.Trimesh(shape.vertices * UP, shape.faces, vertex_normals=normals, process=False, metadata=facts)
    if path.suffix.lower() == ".obj":
        made.visual = trimesh.visual.ColorVisuals(made, vertex_colors=shape.colors)
        header = "\n".join(f"{name}: {text}" for name, text in facts.items())
        path.write_text(trimesh.exchange.obj.export_obj(made, include_normals=normals is not None, header=header))
        return
    packed = io.BytesIO()
    Pillow.fromarray(image).save(packed, "JPEG", quality=92)
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Pillow.open(packed), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    made.visual = trimesh.visual.TextureVisuals(uv=shape.uv, material=material)
    path.write_bytes(trimesh.Scene(made, metadata=facts).export(file_type="glb", include_normals=normals is not None))


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


_PACKAGES: dict[str, tuple[str, str, Callable[[], Any]]] = {
    ".ply": ("plyfile", "geometry", _plyfile),
    ".pcd": ("open3d", "fusion", _open3d),
    ".glb": ("trimesh", "geometry", _trimesh),
    ".obj": ("trimesh", "geometry", _trimesh),
}


def _package(suffix: str) -> Any:
    name, extra, load = _PACKAGES[suffix]
    try:
        return load()
    except ImportError as error:
        raise MissingDependencyError(name, extra, f"writing {suffix}") from error
