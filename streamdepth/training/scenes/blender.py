"""Scenes in Blender: meshes, lamps, sky, and the two renderings of a view, depth and color."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt
import OpenEXR

from streamdepth.training.scenes.blender_materials import BlenderMaterials, NodeGraph, depth_material
from streamdepth.training.scenes.scene import CameraView, Lamp, PlacedModel, Scene, SharedModel
from streamdepth.training.scenes.shapes import Shape, join

Floats = npt.NDArray[np.float32]
SKY_M = 1e6
"""Cycles gives 1e10 where a ray hits nothing."""
SHARP = math.radians(40)


class Renderer:
    """A renderer of one scene. Only one can exist at a time: a new one empties Blender's file."""

    def __init__(self, scene: Scene, threads: int = 1, samples: int = 3) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.samples = samples
        self.bpy_scene = bpy.context.scene
        self._materials = BlenderMaterials()
        self._meshes: dict[SharedModel, bpy.types.Mesh] = {}
        for item in scene.items:
            self._place(item)
        for lamp in scene.lamps:
            self._light(lamp)
        self._sky(scene)
        self._settings(threads)
        self.camera = self._add("camera", bpy.data.cameras.new("camera"))
        self.bpy_scene.camera = self.camera
        self._flat = depth_material()

    def depth(self, view: CameraView) -> Floats:
        """Returns (height, width) meters along the optical axis through each pixel's center, +inf in the sky."""
        self._aim(view, focus=False)
        cycles, layer = self.bpy_scene.cycles, self.bpy_scene.view_layers[0]
        layer.material_override = self._flat
        cycles.samples, cycles.max_bounces, cycles.use_denoising, cycles.use_fast_gi = 1, 0, False, False
        cycles.pixel_filter_type, cycles.filter_width = "GAUSSIAN", 0.01
        depth = self._render()["Depth.Z"]
        return np.where(depth < SKY_M, depth, np.inf).astype(np.float32)

    def color(self, view: CameraView) -> Floats:
        """Returns (height, width, 3) linear RGB."""
        self._aim(view, focus=True)
        cycles, layer = self.bpy_scene.cycles, self.bpy_scene.view_layers[0]
        layer.material_override = None
        cycles.samples = self.samples if view.focus is None else 3 * self.samples
        cycles.max_bounces, cycles.use_denoising, cycles.use_fast_gi = 2, True, True
        cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.4
        return np.maximum(self._render()["Combined"][..., :3], 0).astype(np.float32)

    def _render(self) -> dict[str, Floats]:
        """Renders the scene as it is; returns its passes by name, without the view layer's."""
        handle, name = tempfile.mkstemp(suffix=".exr")
        os.close(handle)
        try:
            self.bpy_scene.render.filepath = name
            with muted_output():
                bpy.ops.render.render(write_still=True)
            with OpenEXR.File(name) as picture:
                channels = {k: c.pixels for part in picture.parts for k, c in part.channels.items()}
        finally:
            Path(name).unlink(missing_ok=True)
        return {key.partition(".")[2]: np.asarray(pixels) for key, pixels in channels.items()}

    def _settings(self, threads: int) -> None:
        render, cycles, layer = self.bpy_scene.render, self.bpy_scene.cycles, self.bpy_scene.view_layers[0]
        render.engine = "CYCLES"
        render.threads_mode, render.threads = "FIXED", threads
        render.use_persistent_data, render.resolution_percentage = True, 100
        render.use_compositing = render.use_sequencer = False
        cycles.device, cycles.use_adaptive_sampling, cycles.use_light_tree = "CPU", False, False
        cycles.denoiser, cycles.denoising_prefilter = "OPENIMAGEDENOISE", "NONE"
        cycles.denoising_quality = "FAST"
        cycles.fast_gi_method, cycles.ao_bounces_render = "REPLACE", 1
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.transparent_max_bounces, cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 5, 3.0, 20.0
        cycles.seed = 1
        layer.use_pass_z, layer.pass_alpha_threshold = True, 0.0
        settings = render.image_settings
        settings.media_type, settings.file_format = "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER"
        settings.color_depth, settings.exr_codec = "32", "NONE"

    def _aim(self, view: CameraView, focus: bool) -> None:
        data, render = self.camera.data, self.bpy_scene.render
        render.resolution_x, render.resolution_y = view.width, view.height
        data.sensor_fit, data.angle = "HORIZONTAL", math.radians(view.fov)
        data.clip_start, data.clip_end = 0.02, 1e5
        data.dof.use_dof = focus and view.focus is not None
        data.dof.focus_distance, data.dof.aperture_fstop = view.focus or 1.0, view.f_number
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = view.axes(), view.eye
        self.camera.matrix_world = matrix.T.tolist()

    def _add(self, name: str, data: bpy.types.ID) -> bpy.types.Object:
        item = bpy.data.objects.new(name, data)
        self.bpy_scene.collection.objects.link(item)
        return item

    def _place(self, item: PlacedModel) -> None:
        if item.model not in self._meshes:
            self._meshes[item.model] = self._mesh(item.model)
        thing = self._add("thing", self._meshes[item.model])
        thing.location, thing.scale = item.position, (item.scale,) * 3
        thing.rotation_euler = [math.radians(angle) for angle in item.euler_degrees]
        thing.color = (*item.tint, 1.0)

    def _mesh(self, model: SharedModel) -> bpy.types.Mesh:
        materials = list(dict.fromkeys(material for _, material in model.parts))
        whole = join([shape for shape, _ in model.parts])
        slots = [np.full(len(s.quads), materials.index(material)) for s, material in model.parts]
        slots += [np.full(len(s.triangles), materials.index(material)) for s, material in model.parts]
        mesh = mesh_of(whole, np.concatenate(slots))
        for material in materials:
            mesh.materials.append(self._materials.get(material))
        return mesh

    def _light(self, lamp: Lamp) -> None:
        data = bpy.data.lights.new("lamp", lamp.kind)
        data.energy, data.color = lamp.power, lamp.color
        if lamp.kind == "SUN":
            data.angle = math.radians(lamp.size)
        elif lamp.kind == "AREA":
            data.size = lamp.size
        else:
            data.shadow_soft_size = lamp.size
        if lamp.kind == "SPOT":
            data.spot_size, data.spot_blend = math.radians(130), 0.6
        item = self._add("lamp", data)
        item.location, item.rotation_euler = lamp.position, [math.radians(angle) for angle in lamp.euler_degrees]

    def _sky(self, scene: Scene) -> None:
        sky = scene.sky
        world = bpy.data.worlds.new("sky")
        self.bpy_scene.world = world
        world.cycles.sampling_method = "NONE"
        world.light_settings.distance, world.light_settings.ao_factor = scene.ambient_reach, 1.0
        graph = NodeGraph(world.node_tree)
        direction = graph.node("ShaderNodeTexCoord").outputs["Generated"]
        x, y, z = graph.node("ShaderNodeSeparateXYZ", {0: direction}).outputs
        up = graph.math("POWER", graph.math("MAXIMUM", z, 0.0), 0.55)
        color = graph.mix(up, sky.horizon, sky.zenith)
        if sky.clouds > 0:
            flat = graph.math("ADD", graph.math("MAXIMUM", z, 0.0), 0.12)
            place = graph.node(
                "ShaderNodeCombineXYZ",
                {0: graph.math("DIVIDE", x, flat), 1: graph.math("DIVIDE", y, flat), 2: sky.seed},
            )
            value = graph.noise(place.outputs[0], 0.8, 6, 0.3)
            mask = graph.ramp(value, [(0.0,) * 3, (1.0,) * 3], 0.68 - 0.4 * sky.clouds, 0.80 - 0.3 * sky.clouds)
            shaded = graph.mix(value, tuple(0.6 * c for c in sky.cloud_color), sky.cloud_color)
            color = graph.mix(mask, color, shaded)
        color = graph.vector("MULTIPLY", color, (sky.strength,) * 3)
        if scene.ambient is not None:
            seen = graph.node("ShaderNodeLightPath").outputs["Is Camera Ray"]
            color = graph.mix(seen, scene.ambient, color)
        background = graph.node("ShaderNodeBackground", {"Color": color, "Strength": 1.0})
        graph.node("ShaderNodeOutputWorld", {"Surface": background.outputs[0]})


def mesh_of(shape: Shape, slots: npt.NDArray[np.int64]) -> bpy.types.Mesh:
    """Returns a smooth Blender mesh, sharp where faces meet at more than 40 degrees.

    slots: index of the material of each quad, then of each triangle.
    """
    mesh = bpy.data.meshes.new("mesh")
    corners = np.concatenate([shape.quads.ravel(), shape.triangles.ravel()]).astype(np.int32)
    sizes = np.repeat([4, 3], [len(shape.quads), len(shape.triangles)])
    mesh.vertices.add(len(shape.points))
    mesh.vertices.foreach_set("co", shape.points.astype(np.float32).ravel())
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners)
    mesh.polygons.add(len(sizes))
    mesh.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32))
    mesh.polygons.foreach_set("material_index", slots.astype(np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=SHARP)
    return mesh


@contextmanager
def muted_output() -> Iterator[None]:
    """Hides Blender's own lines, which are written past Python, from the terminal."""
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)
