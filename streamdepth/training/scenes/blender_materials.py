"""Blender's materials for the materials of `materials`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import bpy

from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.palette import Color

Socket: TypeAlias = bpy.types.NodeSocket


class NodeGraph:
    """The emptied node tree of a material or a world."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        tree.nodes.clear()

    def node(self, kind: str, inputs: Mapping[Any, Any] | None = None, **settings: Any) -> bpy.types.Node:
        """Adds a node; an input is a value or the socket that feeds it."""
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            else:
                is_color = node.inputs[key].type == "RGBA"
                node.inputs[key].default_value = (*value, 1.0) if is_color else value
        return node

    def math(self, operation: str, *values: Any) -> Socket:
        return self.node("ShaderNodeMath", dict(enumerate(values)), operation=operation).outputs[0]

    def vector(self, operation: str, *values: Any) -> Socket:
        return self.node("ShaderNodeVectorMath", dict(enumerate(values)), operation=operation).outputs[0]

    def mix(self, factor: Any, first: Any, second: Any, blend: str = "MIX") -> Socket:
        inputs = {0: factor, 6: first, 7: second}
        return self.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type=blend).outputs[2]

    def noise(self, position: Socket, scale: float, detail: float = 3.0, distortion: float = 0.0) -> Socket:
        inputs = {"Vector": position, "Scale": scale, "Detail": detail, "Distortion": distortion}
        return self.node("ShaderNodeTexNoise", inputs).outputs[0]

    def ramp(self, value: Socket, colors: Sequence[Color], low: float, high: float, steps: bool = False) -> Socket:
        """Returns a ramp of colors, evenly spread from `low` to `high`."""
        node = self.node("ShaderNodeValToRGB", {0: value})
        node.color_ramp.interpolation = "CONSTANT" if steps else "LINEAR"
        elements = node.color_ramp.elements
        while len(elements) < len(colors):
            elements.new(0.5)
        while len(elements) > max(1, len(colors)):
            elements.remove(elements[-1])
        span = (high - low) / max(1, len(colors) - (0 if steps else 1))
        for i, color in enumerate(colors):
            elements[i].position, elements[i].color = low + i * span, (*color, 1)
        return node.outputs[0]


class BlenderMaterials:
    """The materials of one Blender file, each made once."""

    def __init__(self) -> None:
        self._made: dict[SurfaceMaterial, bpy.types.Material] = {}
        self._place, self._stains = _place_group(), _stain_group()

    def get(self, material: SurfaceMaterial) -> bpy.types.Material:
        if material not in self._made:
            self._made[material] = self._make(material)
        return self._made[material]

    def _make(self, material: SurfaceMaterial) -> bpy.types.Material:
        result = bpy.data.materials.new(material.pattern)
        graph = NodeGraph(result.node_tree)
        color, height = PATTERN_MAKERS[material.pattern](graph, self._coordinates(graph, material), material)
        color = self._weathered(graph, material, color)
        shader = graph.node(
            "ShaderNodeBsdfPrincipled", {"Roughness": material.roughness, "Metallic": material.metallic}
        )
        graph.tree.links.new(color, shader.inputs["Base Color"])
        if material.bump and height:
            bump = graph.node("ShaderNodeBump", {"Height": height, "Strength": 0.6, "Distance": material.bump})
            graph.tree.links.new(bump.outputs[0], shader.inputs["Normal"])
        if material.glow:
            graph.tree.links.new(color, shader.inputs["Emission Color"])
            shader.inputs["Emission Strength"].default_value = material.glow
            result.cycles.emission_sampling = "NONE"
        surface = _see_through(graph, shader.outputs[0], color, material.clear) if material.clear else shader.outputs[0]
        graph.node("ShaderNodeOutputMaterial", {"Surface": surface})
        return result

    def _coordinates(self, graph: NodeGraph, material: SurfaceMaterial) -> Socket | None:
        """Returns coordinates in periods of the pattern; None for a material without one."""
        if material.pattern == "plain":
            return None
        shift = 0.0 if material.pattern in ("bricks", "tiles", "gradient") else 37.0
        inputs = {"Scale": 1 / material.scale, "Shift": material.seed if shift else 0.0, "Vary": shift}
        group = graph.node("ShaderNodeGroup", node_tree=self._place)
        for name, value in inputs.items():
            group.inputs[name].default_value = value
        return group.outputs["Body" if material.pattern in SOLID else "Face"]

    def _weathered(self, graph: NodeGraph, material: SurfaceMaterial, color: Socket) -> Socket:
        if material.tinted:
            tint = graph.node("ShaderNodeObjectInfo").outputs["Color"]
            color = graph.mix(1.0, color, tint, "MULTIPLY")
        if material.dirt < 0.08 or (material.pattern == "plain" and material.dirt < 0.25):
            return color
        group = graph.node("ShaderNodeGroup", node_tree=self._stains)
        group.inputs["Dirt"].default_value = material.dirt
        return graph.mix(1.0, color, group.outputs[0], "MULTIPLY")


SOLID = ("noise", "cells", "speckle", "turf")
"""Patterns that fill space; all others lie on faces."""


def _group(
    name: str, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[NodeGraph, bpy.types.Node, bpy.types.Node]:
    tree = bpy.data.node_groups.new(name, "ShaderNodeTree")
    for direction, names in (("INPUT", inputs), ("OUTPUT", outputs)):
        for socket in names:
            kind = "NodeSocketFloat" if direction == "INPUT" else "NodeSocketVector"
            tree.interface.new_socket(socket, in_out=direction, socket_type=kind)
    graph = NodeGraph(tree)
    return graph, graph.node("NodeGroupInput"), graph.node("NodeGroupOutput")


def _place_group() -> bpy.types.NodeTree:
    """Returns the node group of coordinates.

    `Body` is the point in the object. `Face` is (x + y, z) on upright faces and (x, y) on level ones, so that bricks
    lie.
    """
    graph, given, result = _group("place", ("Scale", "Shift", "Vary"), ("Body", "Face"))
    place = graph.node("ShaderNodeTexCoord")
    x, y, z = graph.node("ShaderNodeSeparateXYZ", {0: place.outputs["Object"]}).outputs
    level = graph.node("ShaderNodeSeparateXYZ", {0: place.outputs["Normal"]}).outputs[2]
    level = graph.math("GREATER_THAN", graph.math("ABSOLUTE", level), 0.7)
    upright = graph.node("ShaderNodeCombineXYZ", {0: graph.math("ADD", x, y), 1: z}).outputs[0]
    flat = graph.node("ShaderNodeCombineXYZ", {0: x, 1: y}).outputs[0]
    face = graph.node("ShaderNodeMix", {0: level, 4: upright, 5: flat}, data_type="VECTOR").outputs[1]
    random = graph.node("ShaderNodeObjectInfo").outputs["Random"]
    shift = graph.math("MULTIPLY_ADD", random, given.outputs["Vary"], given.outputs["Shift"])
    for name, point in (("Body", place.outputs["Object"]), ("Face", face)):
        scaled = graph.vector("MULTIPLY", point, given.outputs["Scale"])
        graph.tree.links.new(graph.vector("ADD", scaled, shift), result.inputs[name])
    return graph.tree


def _stain_group() -> bpy.types.NodeTree:
    """Returns the node group of stains: 1 where a surface is clean, down to 1 - `Dirt`."""
    graph, given, result = _group("stains", ("Dirt",), ("Light",))
    location = graph.node("ShaderNodeObjectInfo").outputs["Location"]
    place = graph.vector("ADD", graph.node("ShaderNodeTexCoord").outputs["Object"], location)
    value = graph.noise(place, 0.9, 4)
    darkness = graph.node("ShaderNodeMapRange", {0: value, 1: 0.3, 2: 0.62, 3: given.outputs[0], 4: 0.0}).outputs[0]
    graph.tree.links.new(graph.math("SUBTRACT", 1.0, darkness), result.inputs[0])
    return graph.tree


def depth_material() -> bpy.types.Material:
    """Returns the cheapest opaque material, for the rendering of depth."""
    result = bpy.data.materials.new("depth")
    graph = NodeGraph(result.node_tree)
    result.cycles.emission_sampling = "NONE"
    graph.node("ShaderNodeOutputMaterial", {"Surface": graph.node("ShaderNodeEmission").outputs[0]})
    return result


def _see_through(graph: NodeGraph, surface: Socket, color: Socket, share: float) -> Socket:
    """Adds transparency without refraction, less of it at grazing angles."""
    through = graph.node("ShaderNodeBsdfTransparent", {"Color": color}).outputs[0]
    facing = graph.node("ShaderNodeLayerWeight", {"Blend": 0.3}).outputs["Facing"]
    factor = graph.math("MULTIPLY", graph.math("SUBTRACT", 1.0, facing), share)
    return graph.node("ShaderNodeMixShader", {0: factor, 1: surface, 2: through}).outputs[0]


Made = tuple[Socket, Socket | None]
"""Color and height."""


def _plain(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    node = graph.node("ShaderNodeRGB")
    node.outputs[0].default_value = (*material.colors[0], 1.0)
    return node.outputs[0], None


def _noise(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    value = graph.noise(position, 1.0, 4)
    return graph.ramp(value, material.colors, 0.3, 0.7), value


def _speckle(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    value = graph.noise(position, 1.0, 1)
    return graph.ramp(value, material.colors, 0.25, 0.75), value


def _turf(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    """Makes large areas of color under fine grain: grass from above, soil, rock."""
    fine = graph.noise(position, 23.0, 3)
    areas = graph.ramp(graph.noise(position, 1.0, 3), material.colors, 0.35, 0.65)
    grain = graph.ramp(fine, [(0.3,) * 3, (1.0,) * 3], 0.32, 0.62)
    return graph.mix(1.0, areas, grain, "MULTIPLY"), fine


def _cells(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    node = graph.node("ShaderNodeTexVoronoi", {"Vector": position, "Scale": 1.5})
    value = graph.node("ShaderNodeSeparateColor", {0: node.outputs["Color"]}).outputs[0]
    return graph.ramp(value, material.colors, 0, 1, steps=True), node.outputs["Distance"]


def _brickwork(offset: float, height: float) -> Callable[[NodeGraph, Socket, SurfaceMaterial], Made]:
    def make(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
        first, second, joint = (material.colors * 3)[:3] if len(material.colors) < 3 else material.colors[:3]
        inputs = {"Vector": position, "Color1": first, "Color2": second, "Mortar": joint, "Scale": 1.0}
        inputs |= {"Mortar Size": 0.02, "Brick Width": 1.0, "Row Height": height}
        node = graph.node("ShaderNodeTexBrick", inputs, offset=offset)
        grain = graph.ramp(graph.noise(position, 6, 2), [(0.75,) * 3, (1.0,) * 3], 0.3, 0.7)
        return graph.mix(1.0, node.outputs[0], grain, "MULTIPLY"), graph.math("SUBTRACT", 1.0, node.outputs[1])

    return make


def _checks(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    inputs = {"Vector": position, "Color1": material.colors[0], "Color2": material.colors[-1], "Scale": 1.0}
    node = graph.node("ShaderNodeTexChecker", inputs)
    return node.outputs[0], None


def _stripes(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    x, y, _ = graph.node("ShaderNodeSeparateXYZ", {0: position}).outputs
    value = graph.math("FRACT", x if int(material.seed) % 2 else y)
    return graph.ramp(value, material.colors, 0, 1, steps=True), value


def _waves(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    inputs = {"Vector": position, "Scale": 0.5, "Distortion": 6.0, "Detail": 2.0}
    value = graph.node("ShaderNodeTexWave", inputs).outputs[1]
    return graph.ramp(value, material.colors, 0.1, 0.9), value


def _grain(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    factor = (0.12, 1.6, 1.6) if int(material.seed) % 2 else (1.6, 0.12, 1.6)
    value = graph.noise(graph.vector("MULTIPLY", position, factor), 1.0, 4, 0.8)
    return graph.ramp(value, material.colors, 0.3, 0.7), value


def _patches(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    """Makes areas of color with soft and hard edges, as in a photograph."""
    areas, _ = _cells(graph, position, material)
    clouds, value = _noise(graph, graph.vector("MULTIPLY", position, (1.7, 0.6, 1.0)), material)
    mask = graph.ramp(graph.noise(position, 0.6, 2), [(0.0,) * 3, (1.0,) * 3], 0.45, 0.55)
    return graph.mix(graph.math("MULTIPLY", mask, 1.0), areas, clouds), value


def _letters(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    """Makes rows of short dark marks with gaps, as of words."""
    u, v, _ = graph.node("ShaderNodeSeparateXYZ", {0: position}).outputs
    cell = graph.node(
        "ShaderNodeCombineXYZ", {0: graph.math("FLOOR", graph.math("MULTIPLY", u, 2.2)), 1: graph.math("FLOOR", v)}
    )
    random = graph.node("ShaderNodeTexWhiteNoise", {"Vector": cell.outputs[0]}, noise_dimensions="2D").outputs[0]
    strokes = graph.noise(graph.vector("MULTIPLY", position, (4.0, 3.0, 1.0)), 1.0, 0)
    inked = graph.math("MULTIPLY", graph.math("GREATER_THAN", random, 0.3), graph.math("GREATER_THAN", strokes, 0.47))
    inked = graph.math("MULTIPLY", inked, graph.math("GREATER_THAN", graph.math("FRACT", v), 0.45))
    return graph.mix(inked, material.colors[0], material.colors[-1]), None


def _dots(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    node = graph.node("ShaderNodeTexVoronoi", {"Vector": position, "Scale": 1.0, "Randomness": 0.1})
    value = node.outputs["Distance"]
    return graph.mix(graph.math("LESS_THAN", value, 0.3), material.colors[0], material.colors[-1]), value


def _gradient(graph: NodeGraph, position: Socket, material: SurfaceMaterial) -> Made:
    _, v, _ = graph.node("ShaderNodeSeparateXYZ", {0: position}).outputs
    value = graph.math("PINGPONG", v, 1.0)
    return graph.ramp(value, material.colors, 0, 1), value


PATTERN_MAKERS: dict[str, Callable[[NodeGraph, Socket, SurfaceMaterial], Made]] = {
    "plain": _plain,
    "noise": _noise,
    "speckle": _speckle,
    "turf": _turf,
    "cells": _cells,
    "bricks": _brickwork(0.5, 0.32),
    "tiles": _brickwork(0.0, 1.0),
    "checks": _checks,
    "stripes": _stripes,
    "waves": _waves,
    "grain": _grain,
    "patches": _patches,
    "letters": _letters,
    "dots": _dots,
    "gradient": _gradient,
}
