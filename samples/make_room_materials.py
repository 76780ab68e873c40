"""Procedural materials of the room: wood, paint, cloth, paintings and light. Colors are linear RGB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import bpy

Color = tuple[float, float, float]
Socket: TypeAlias = bpy.types.NodeSocket
Stops = Sequence[tuple[float, Color]]


class Shader:
    """The node tree of one material, built around a Principled BSDF."""

    def __init__(self, name: str, **inputs: Any) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.surface = self.node(
            "ShaderNodeBsdfPrincipled", {key.replace("_", " "): value for key, value in inputs.items()}
        )
        output = self.node("ShaderNodeOutputMaterial")
        self.tree.links.new(self.surface.outputs[0], output.inputs["Surface"])

    def node(self, kind: str, inputs: Mapping[Any, Any] | None = None, **settings: Any) -> bpy.types.Node:
        """Adds a node; an input is a value or the socket that feeds it."""
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = (*value, 1.0) if is_color(node.inputs[key], value) else value
        return node

    def feed(self, name: str, socket: Socket) -> None:
        self.tree.links.new(socket, self.surface.inputs[name])

    def coordinates(self, scale: Color = (1, 1, 1), *, varied: bool = True) -> Socket:
        """Object coordinates in meters times `scale`; `varied` shifts them so that no two objects look alike."""
        place = self.node("ShaderNodeTexCoord").outputs["Object"]
        if varied:
            shift = self.node("ShaderNodeObjectInfo").outputs["Location"]
            place = self.node("ShaderNodeVectorMath", {0: place, 1: shift}).outputs[0]
        return self.node("ShaderNodeMapping", {"Vector": place, "Scale": scale}).outputs[0]

    def noise(self, at: Socket, scale: float, detail: float = 4, distortion: float = 0) -> Socket:
        inputs = {"Vector": at, "Scale": scale, "Detail": detail, "Distortion": distortion}
        return self.node("ShaderNodeTexNoise", inputs).outputs[0]

    def ramp(self, value: Socket, stops: Stops, *, interpolation: str = "LINEAR") -> Socket:
        node = self.node("ShaderNodeValToRGB", {0: value})
        node.color_ramp.interpolation = interpolation
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, color) in zip(elements, stops, strict=True):
            element.position, element.color = position, (*color, 1)
        return node.outputs[0]

    def multiply(self, first: Socket, second: Socket, factor: float = 1.0) -> Socket:
        inputs = {0: factor, 6: first, 7: second}
        return self.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type="MULTIPLY").outputs[2]

    def bump(self, height: Socket, distance: float, strength: float = 0.5) -> None:
        """`distance`: meters between the lowest and the highest point."""
        node = self.node("ShaderNodeBump", {"Height": height, "Strength": strength, "Distance": distance})
        self.feed("Normal", node.outputs[0])


def is_color(socket: Socket, value: Any) -> bool:
    return socket.type == "RGBA" and isinstance(value, tuple) and len(value) == 3


def shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(1.0, channel * factor) for channel in color)
    return red, green, blue


@cache
def plain(color: Color, roughness: float = 0.5, metallic: float = 0.0) -> bpy.types.Material:
    """One color, with the slight unevenness of every real surface."""
    shader = Shader("plain", Base_Color=color, Metallic=metallic)
    stain = shader.noise(shader.coordinates(), 9, 5)
    low, high = roughness * 0.8, min(1.0, roughness * 1.2)
    shader.feed("Roughness", shader.ramp(stain, [(0.3, (low,) * 3), (0.7, (high,) * 3)]))
    shader.feed("Base Color", shader.ramp(stain, [(0.3, shade(color, 0.97)), (0.7, shade(color, 1.02))]))
    return shader.material


@cache
def paint(color: Color) -> bpy.types.Material:
    """A rolled wall: faint clouds and orange peel."""
    shader = Shader("paint", Roughness=0.75)
    at = shader.coordinates()
    shader.feed("Base Color", shader.ramp(shader.noise(at, 1.7, 6), [(0.3, shade(color, 0.94)), (0.7, color)]))
    shader.bump(shader.noise(at, 130, 2), 0.002, 0.25)
    return shader.material


@cache
def wood(dark: Color, light: Color, axis: int = 0, roughness: float = 0.42) -> bpy.types.Material:
    """Grain along `axis` (0 = x, 1 = y, 2 = z)."""
    shader = Shader("wood", Roughness=roughness)
    stretch = [14.0, 14.0, 14.0]
    stretch[axis] = 0.9
    at = shader.coordinates((stretch[0], stretch[1], stretch[2]))
    grain = shader.noise(at, 1.6, 7, 0.9)
    middle = ((dark[0] + light[0]) / 2, (dark[1] + light[1]) / 2, (dark[2] + light[2]) / 2)
    shader.feed("Base Color", shader.ramp(grain, [(0.32, dark), (0.5, middle), (0.66, light)]))
    shader.bump(grain, 0.001, 0.3)
    return shader.material


@cache
def cloth(color: Color, threads: float = 260, contrast: float = 0.25) -> bpy.types.Material:
    """Woven cloth with soft folds."""
    shader = Shader("cloth", Roughness=0.92, Sheen_Weight=0.25, Specular_IOR_Level=0.2)
    at = shader.coordinates()
    weave = shader.noise(at, threads, 2)
    blotches = shader.ramp(
        shader.noise(at, 3.2, 6), [(0.3, shade(color, 1 - contrast)), (0.72, shade(color, 1 + contrast / 2))]
    )
    speckle = shader.ramp(weave, [(0.35, (0.72,) * 3), (0.65, (1,) * 3)])
    shader.feed("Base Color", shader.multiply(blotches, speckle))
    folds = shader.noise(at, 11, 3)
    shader.bump(folds, 0.02, 0.35)
    return shader.material


@cache
def floorboards() -> bpy.types.Material:
    shader = Shader("floorboards", Coat_Weight=0.12, Coat_Roughness=0.25)
    at = shader.coordinates(varied=False)
    boards = shader.node(
        "ShaderNodeTexBrick",
        {
            "Vector": at,
            "Color1": (0.20, 0.095, 0.042),
            "Color2": (0.36, 0.20, 0.10),
            "Mortar": (0.03, 0.014, 0.007),
            "Scale": 1.0,
            "Mortar Size": 0.0022,
            "Brick Width": 1.35,
            "Row Height": 0.135,
        },
        offset=0.37,
    )
    grain = shader.noise(shader.coordinates((1.2, 22, 1), varied=False), 2.4, 8, 1.3)
    tint = shader.ramp(grain, [(0.3, (0.52, 0.45, 0.40)), (0.52, (0.9, 0.88, 0.86)), (0.7, (1, 1, 1))])
    shader.feed("Base Color", shader.multiply(boards.outputs["Color"], tint))
    shader.feed("Roughness", shader.ramp(grain, [(0.3, (0.5,) * 3), (0.7, (0.32,) * 3)]))
    shader.bump(shader.multiply(boards.outputs["Color"], tint), 0.003, 0.2)
    return shader.material


@cache
def carpet() -> bpy.types.Material:
    """Lozenges in three colors, worn, with a bordered edge."""
    shader = Shader("carpet", Roughness=0.95, Sheen_Weight=0.3, Specular_IOR_Level=0.1)
    at = shader.coordinates(varied=False)
    turned = shader.node(
        "ShaderNodeMapping", {"Vector": at, "Rotation": (0.0, 0.0, 0.785), "Scale": (3.2, 3.2, 3.2)}
    ).outputs[0]
    cells = shader.node(
        "ShaderNodeTexVoronoi", {"Vector": turned, "Scale": 1.0, "Randomness": 0.0}, distance="CHEBYCHEV"
    ).outputs["Distance"]
    cream, blue, rust = (0.50, 0.43, 0.33), (0.055, 0.10, 0.16), (0.30, 0.075, 0.04)
    pattern = shader.ramp(
        cells, [(0.0, rust), (0.2, cream), (0.27, blue), (0.40, cream), (0.46, rust)], interpolation="CONSTANT"
    )
    wear = shader.ramp(shader.noise(at, 90, 4), [(0.3, (0.55,) * 3), (0.7, (1, 1, 1))])
    shader.feed("Base Color", shader.multiply(pattern, wear))
    shader.bump(shader.noise(at, 220, 2), 0.012, 0.8)
    return shader.material


@cache
def painting(number: int, colors: tuple[Color, ...]) -> bpy.types.Material:
    """An abstract landscape: bands of color bent by noise."""
    shader = Shader("painting", Roughness=0.6)
    at = shader.coordinates((1, 1, 1), varied=False)
    moved = shader.node("ShaderNodeMapping", {"Vector": at, "Location": (number * 3.7, number * 1.3, 0.0)}).outputs[0]
    wave = shader.node(
        "ShaderNodeTexWave",
        {"Vector": moved, "Scale": 0.55, "Distortion": 5.5, "Detail": 4.0, "Detail Scale": 1.4},
        bands_direction="Z",
    ).outputs[1]
    stops = [(0.04 + 0.92 * i / (len(colors) - 1), color) for i, color in enumerate(colors)]
    strokes = shader.ramp(shader.noise(at, 60, 5), [(0.3, (0.8,) * 3), (0.7, (1, 1, 1))])
    shader.feed("Base Color", shader.multiply(shader.ramp(wave, stops), strokes))
    return shader.material


@cache
def foliage(color: Color) -> bpy.types.Material:
    shader = Shader("foliage", Roughness=0.38)
    tint = shader.noise(shader.coordinates(), 7, 3)
    shader.feed("Base Color", shader.ramp(tint, [(0.3, shade(color, 0.55)), (0.7, shade(color, 1.3))]))
    return shader.material


@cache
def glow(color: Color, strength: float) -> bpy.types.Material:
    """Makes a glowing surface that is not sampled as a light; a lamp stands inside each."""
    shader = Shader("glow", Base_Color=color, Emission_Color=color, Emission_Strength=strength, Roughness=0.8)
    shader.material.cycles.emission_sampling = "NONE"
    return shader.material


@cache
def bricks() -> bpy.types.Material:
    shader = Shader("bricks", Roughness=0.9)
    at = shader.node(
        "ShaderNodeMapping", {"Vector": shader.coordinates(varied=False), "Rotation": (1.5708, 0.0, 1.5708)}
    ).outputs[0]
    wall = shader.node(
        "ShaderNodeTexBrick",
        {
            "Vector": at,
            "Color1": (0.35, 0.13, 0.08),
            "Color2": (0.22, 0.08, 0.05),
            "Mortar": (0.4, 0.38, 0.35),
            "Scale": 2.2,
            "Mortar Size": 0.02,
        },
    )
    shader.feed("Base Color", wall.outputs["Color"])
    return shader.material


@cache
def rubber_stripes() -> bpy.types.Material:
    """A toy ball: six sectors of three colors about its Z axis."""
    shader = Shader("ball", Roughness=0.35)
    at = shader.coordinates(varied=False)
    angle = shader.node("ShaderNodeTexGradient", {"Vector": at}, gradient_type="RADIAL").outputs[1]
    red, white, blue = (0.60, 0.035, 0.03), (0.75, 0.70, 0.62), (0.03, 0.12, 0.42)
    sectors = [(i / 6, (red, white, blue)[i % 3]) for i in range(6)]
    shader.feed("Base Color", shader.ramp(angle, sectors, interpolation="CONSTANT"))
    return shader.material


MAKERS = (plain, paint, wood, cloth, floorboards, carpet, painting, foliage, glow, bricks, rubber_stripes)


def forget_materials() -> None:
    """Empties the cache of materials; must be called before a new file, which has none of them."""
    for maker in MAKERS:
        maker.cache_clear()
