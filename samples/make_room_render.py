"""Renders the room with Blender's Cycles: color pictures, exact depth and the camera's intrinsics."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import bpy
import numpy as np
from make_room_materials import forget_materials
from make_room_motion import CUT, FPS, FRAMES, SHOTS, Point, shot_of
from make_room_scene import build_room
from make_room_shapes import add_object
from mathutils import Quaternion, Vector

WIDTH, HEIGHT = 640, 360
FOV_DEGREES = 66.0
"""Horizontal field of view, that of a phone's main camera."""
_log = logging.getLogger(__name__)


def render(work: Path, frames: range, samples: int, sideways_m: float = 0.0) -> None:
    """Writes `color/%04d.png`, `depth/%04d.npy` and `intrinsics.json`; frames that are there already are left out.

    The camera is moved by `sideways_m` to its right, without turning: the view of the second eye.
    """
    for folder in ("color", "depth"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "intrinsics.json").write_text(json.dumps(intrinsics(), indent=1) + "\n")
    for shot, span in ((1, range(CUT)), (2, range(CUT, FRAMES))):
        wanted = [frame for frame in frames if frame in span]
        if colors := [frame for frame in wanted if not color_path(work, frame).exists()]:
            set_up(shot, sideways_m)
            color_settings(samples)
            for frame in colors:
                render_color(color_path(work, frame), frame)
        if depths := [frame for frame in wanted if not depth_path(work, frame).exists()]:
            set_up(shot, sideways_m)
            depth_settings()
            for frame in depths:
                render_depth(depth_path(work, frame), frame)


def color_path(work: Path, frame: int) -> Path:
    return work / "color" / f"{frame:04d}.png"


def depth_path(work: Path, frame: int) -> Path:
    return work / "depth" / f"{frame:04d}.npy"


def intrinsics() -> dict[str, float]:
    """Returns the intrinsics of a pinhole camera; pixel centers lie at whole numbers."""
    focal = WIDTH / 2 / math.tan(math.radians(FOV_DEGREES) / 2)
    return {"fx": focal, "fy": focal, "cx": (WIDTH - 1) / 2, "cy": (HEIGHT - 1) / 2, "width": WIDTH, "height": HEIGHT}


def set_up(shot: int, sideways_m: float) -> None:
    """Prepares an empty file with the room, and the animation of camera and ball."""
    forget_materials()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    item = build_room(shot)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.fps = FPS
    scene.render.use_persistent_data = True
    scene.camera = camera()
    span = range(CUT) if shot == 1 else range(CUT, FRAMES)
    for frame in range(span.start - 1, span.stop + 1):
        time = (frame - span.start) / FPS
        key_camera(scene.camera, *SHOTS[shot - 1].camera(time), frame, sideways_m)
        key_ball(item, shot, max(time, 0.0), frame)


def camera() -> bpy.types.Object:
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.angle = "HORIZONTAL", math.radians(FOV_DEGREES)
    data.clip_start, data.clip_end = 0.05, 200.0
    item = add_object("camera", data)
    item.rotation_mode = "QUATERNION"
    return item


def key_camera(item: bpy.types.Object, eye: Point, target: Point, frame: int, sideways_m: float) -> None:
    turn = (Vector(target) - Vector(eye)).to_track_quat("-Z", "Y")
    turn.make_compatible(item.rotation_quaternion)
    item.location = Vector(eye) + turn @ Vector((sideways_m, 0.0, 0.0))
    item.rotation_quaternion = turn
    item.keyframe_insert("location", frame=frame)
    item.keyframe_insert("rotation_quaternion", frame=frame)


def key_ball(item: bpy.types.Object, shot: int, time: float, frame: int) -> None:
    throw = SHOTS[shot - 1].throw
    across = Vector((-throw.velocity[1], throw.velocity[0], 0.0)).normalized()
    item.rotation_mode = "QUATERNION"
    turn = Quaternion(across, throw.angle(time)) @ Quaternion((1.0, 0.0, 0.0), 0.9)
    turn.make_compatible(item.rotation_quaternion)
    item.location, item.rotation_quaternion = throw.position(time), turn
    item.keyframe_insert("location", frame=frame)
    item.keyframe_insert("rotation_quaternion", frame=frame)


def color_settings(samples: int) -> None:
    scene, cycles = bpy.context.scene, bpy.context.scene.cycles
    cycles.samples, cycles.use_adaptive_sampling, cycles.use_animated_seed = samples, False, True
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"
    cycles.max_bounces, cycles.use_light_tree = 3, False
    cycles.use_fast_gi, cycles.fast_gi_method, cycles.ao_bounces_render = True, "REPLACE", 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 0.25
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGB"


def render_color(path: Path, frame: int) -> None:
    scene = bpy.context.scene
    scene.frame_set(frame)
    partial = path.with_name(f"partial-{path.name}")
    scene.render.filepath = str(partial)
    bpy.ops.render.render(write_still=True)
    partial.replace(path)
    _log.info("frame %d of %d, shot %d", frame, FRAMES, shot_of(frame)[0])


def depth_settings() -> None:
    """Renders one ray through each pixel's center, so that no edge is averaged; surfaces emit their Z in meters."""
    scene, cycles = bpy.context.scene, bpy.context.scene.cycles
    cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling = 1, False, False
    cycles.max_bounces, cycles.use_light_tree = 0, False
    cycles.pixel_filter_type, cycles.filter_width = "GAUSSIAN", 0.01
    scene.render.use_motion_blur = False
    scene.view_layers[0].material_override = depth_material()
    scene.world = bpy.data.worlds.new("nothing")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
    for item in [item for item in scene.objects if item.type == "LIGHT"]:
        bpy.data.objects.remove(item)
    scene.view_settings.view_transform = "Raw"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth, settings.exr_codec = "OPEN_EXR", "RGB", "32", "ZIP"


def depth_material() -> bpy.types.Material:
    material = bpy.data.materials.new("depth")
    material.use_nodes = True
    material.cycles.emission_sampling = "NONE"
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    view, light, output = (
        nodes.new(kind) for kind in ("ShaderNodeCameraData", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    links.new(view.outputs["View Z Depth"], light.inputs["Color"])
    links.new(light.outputs[0], output.inputs["Surface"])
    return material


def render_depth(path: Path, frame: int) -> None:
    scene = bpy.context.scene
    scene.frame_set(frame)
    picture = path.with_suffix(".exr")
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)
    depth = read_exr(picture)
    picture.unlink()
    partial = path.with_name(f"partial-{path.name}")
    np.save(partial, np.where(depth > 0, depth, np.inf).astype(np.float32))
    partial.replace(path)


def read_exr(path: Path) -> np.ndarray:
    """Returns the first channel, (H, W) float32, with the first row on top."""
    picture = bpy.data.images.load(str(path))
    picture.colorspace_settings.name = "Non-Color"
    values = np.empty(WIDTH * HEIGHT * picture.channels, np.float32)
    picture.pixels.foreach_get(values)
    bpy.data.images.remove(picture)
    return values.reshape(HEIGHT, WIDTH, -1)[::-1, :, 0]
