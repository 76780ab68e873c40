"""A surface fused by Open3D from the metric depth and the camera's poses of a whole clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.geometry.projection import require_pinhole
from streamdepth.geometry.shapes import Mesh
from streamdepth.geometry.trajectories import Pose, Poses
from streamdepth.sinks.geometry_files import CAMERA_TO_Y_UP, write_ply
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.write_errors import map_write_errors

SUFFIXES = (".ply", ".glb", ".obj")
_BLOCK_COUNT = 10_000
"""Blocks of 16x16x16 voxels that are allocated at first; Open3D adds more."""
_TRUNCATION_VOXELS = 4.0
"""Distance from the surface, in voxels, up to which signed distances are averaged."""

_OPEN3D = OptionalPackage("open3d", "open3d", "fusion", "fusing a clip")


class FusionSink(Sink):
    """Fuses all frames into one surface: truncated signed distances in voxels (Curless & Levoy, SIGGRAPH 1996).

    .ply has the axes of the poses' world; .glb and .obj are turned from OpenCV's camera axes to y up. Depth beyond
    `farthest_m`, flying pixels, and frames whose time lies outside the poses are left out. The file appears at `close`.

    Raises:
        ConfigError: the depth is relative, the camera is unknown or distorts, or a frame without a time of its own has
            no pose, or no frame at all has one ("bad-poses").
        SinkOpenError, MissingDependencyError, SinkWriteError.
    """

    def __init__(
        self,
        path: Path,
        poses: Poses,
        *,
        voxel_m: float = 0.02,
        farthest_m: float = 5.0,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.path, self.poses, self.voxel_m, self.farthest_m = path, poses, voxel_m, farthest_m
        self.overwrite = overwrite
        self.faces = self._fused = self._without_pose = 0
        self._file: PendingFile | None = None
        self._volume: Any = None

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_OPEN3D]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if model.kind is not DepthKind.METRIC:
            raise ConfigError(
                f"fusing needs meters, and {model.name} is relative; use a metric model, --sparse, --anchor or --depth",
                code="relative-depth",
            )
        if self.path.suffix.lower() not in SUFFIXES:
            raise SinkOpenError(
                f"cannot write a surface to '{self.path}'; use one of {' '.join(SUFFIXES)}", code="unknown-format"
            )
        o3d = _open3d()
        self._fused = self._without_pose = 0
        if notice := self.poses.begin(info):
            self.add_notice(notice)
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)
        f32 = o3d.core.float32
        self._volume = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color"), (f32, f32, f32), ((1,), (1,), (3,)), self.voxel_m, 16, _BLOCK_COUNT
        )

    def on_write(self, item: DepthFrame) -> None:
        camera = require_pinhole(item)
        if (pose := self.poses.locate(item)) is None:
            self._without_pose += 1
            return
        self._fused += 1
        self._integrate(without_flying_pixels(item).depth, item.frame.image, camera, pose)

    def _integrate(self, depth: DepthMap, image: Image, camera: Intrinsics, pose: Pose) -> None:
        import cv2

        o3d = _open3d()
        height, width = depth.shape
        near = np.isfinite(depth) & (depth > 0) & (depth < self.farthest_m)
        if not near.any():
            return
        colors = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        pictures = [o3d.t.geometry.Image(np.ascontiguousarray(part)) for part in (np.where(near, depth, 0), colors)]
        matrix = o3d.core.Tensor(camera.resized(width, height).matrix)
        view = matrix, o3d.core.Tensor(np.linalg.inv(pose)), 1.0, self.farthest_m, _TRUNCATION_VOXELS
        blocks = self._volume.compute_unique_block_coordinates(pictures[0], *view)
        self._volume.integrate(blocks, *pictures, *view)

    def on_close(self) -> None:
        assert self._file is not None
        if self._without_pose and not self._fused:
            raise ConfigError(
                f"none of the {self._without_pose} frames has a pose: their numbers or times lie outside --poses, or "
                "--poses auto could estimate none, as where meters are withheld; the messages above say why",
                code="bad-poses",
            )
        if self._without_pose:
            self.add_notice(f"{self._without_pose} frames have no pose, and were left out; {self._fused} were fused")
        if summary := self.poses.summary():
            self.add_notice(summary)
        with map_write_errors(self.path):
            self._write(self._file.temporary, self._volume.extract_triangle_mesh(weight_threshold=0.0).to_legacy())
        self._volume = None
        self._file.commit()

    def _write(self, path: Path, surface: Any) -> None:
        surface.normalize_normals()
        vertices, normals = (np.asarray(part, np.float32) for part in (surface.vertices, surface.vertex_normals))
        self.faces = len(surface.triangles)
        if not self.faces:
            self.add_notice(f"'{self.path}' is empty: no depth was nearer than {self.farthest_m:g} m")
        colors = np.rint(np.asarray(surface.vertex_colors).reshape(-1, 3) * 255).astype(np.uint8)
        if self.path.suffix.lower() == ".ply":
            faces = np.asarray(surface.triangles, np.int64)
            mesh = Mesh(vertices, normals.reshape(-1, 3), faces, colors, np.zeros((0, 2), np.float32))
            write_ply(path, mesh, {"kind": "metric", "unit": "metre"})
            return
        import trimesh

        mesh = trimesh.Trimesh(
            vertices * CAMERA_TO_Y_UP,
            np.asarray(surface.triangles),
            vertex_normals=normals.reshape(-1, 3) * CAMERA_TO_Y_UP,
            vertex_colors=colors,
            process=False,
        )
        mesh.export(path, include_normals=True)

    def on_discard(self) -> None:
        if self._file is not None:
            self._file.discard()
        self._file, self._volume = None, None


def _open3d() -> Any:
    try:
        import open3d
    except ImportError as error:
        raise MissingDependencyError(*_OPEN3D[1:]) from error
    return open3d
